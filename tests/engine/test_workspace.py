"""vwlite.Workspace: the engine from Python."""

import gzip
import math
import resource
import sys
from pathlib import Path

import pytest

import vwlite
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError, ParseError

LINES = [f"{1 if i % 3 else -1} 'tag{i} |a x{i % 5} y:{i % 7 + 0.5} |b z{i % 2}" for i in range(40)]
PHISHING = Path(__file__).parents[2] / "examples" / "data" / "phishing_train.vw.gz"


def taught(flags: str | list[str] = "") -> Workspace:
    workspace = Workspace(flags)
    workspace.learn(LINES)
    return workspace


def test_a_line_gives_a_number_and_several_give_a_list():
    workspace = Workspace()
    assert workspace.learn("1 | a") == 0
    assert isinstance(workspace.predict("| a"), float)
    assert len(workspace.learn(["1 | a", "0 | b"])) == 2
    assert workspace.learn([]) == workspace.predict([]) == []


def test_every_iterable_of_lines_will_do():
    expected = Workspace().learn(LINES)
    assert Workspace().learn(tuple(LINES)) == expected
    assert Workspace().learn(line for line in LINES) == expected
    assert Workspace().learn(dict.fromkeys(LINES).keys()) == expected
    one_by_one = Workspace()
    assert [one_by_one.learn(line) for line in LINES] == expected


def test_bytes_and_text_are_the_same():
    lines = [*LINES, "1 |ä ö:2 ü", "0 | \udcff"]
    expected = Workspace().learn(lines)
    assert Workspace().learn([line.encode("utf-8", "surrogateescape") for line in lines]) == expected
    assert Workspace().learn([f"{line}\n" for line in lines]) == expected
    assert Workspace().predict(b"| a") == 0


def test_an_open_file_is_an_iterable_of_lines(tmp_path):
    (tmp_path / "data.txt").write_text("\n".join(LINES))
    expected = Workspace().learn(LINES)
    with open(tmp_path / "data.txt", "rb") as file:
        assert Workspace().learn(file) == expected
    with open(tmp_path / "data.txt", encoding="utf-8") as file:
        assert Workspace().learn(file) == expected


def test_more_lines_than_are_taken_at_once():
    lines = [f"{i % 2} | a{i % 7}" for i in range(5003)]
    workspace = Workspace()
    assert Workspace().learn(lines) == [workspace.learn(line) for line in lines]


def test_empty_lines_are_no_examples():
    workspace = Workspace()
    assert workspace.learn(["", "1 | a", "\n", "", "0 | b", ""]) == Workspace().learn(["1 | a", "0 | b"])
    assert workspace.predict("") is None


@pytest.mark.parametrize("call", [Workspace.learn, Workspace.predict])
def test_a_malformed_line_is_an_exception_that_says_where(call):
    with pytest.raises(ParseError) as caught:
        call(Workspace(), ["1 | a", "", "1 | a:1:2"])
    assert (caught.value.line, caught.value.column, caught.value.text) == (3, 8, "1 | a:1:2")
    with pytest.raises(ParseError):
        call(Workspace(), "none | a")


def test_the_lines_before_a_malformed_one_have_been_learned():
    workspace = Workspace()
    with pytest.raises(ParseError):
        workspace.learn(["1 | a", "1 | b", "none | c", "1 | d"])
    expected = Workspace()
    expected.learn(["1 | a", "1 | b"])
    names = ["| a", "| b", "| c", "| d"]
    assert workspace.predict(names) == expected.predict(names)


def test_a_failing_iterable_passes_its_exception_on_and_leaves_the_workspace_in_order():
    def lines():
        yield "1 | a"
        raise LookupError("no more")

    workspace = Workspace()
    with pytest.raises(LookupError, match="no more"):
        workspace.predict(lines())
    assert workspace.learn(LINES) == Workspace().learn(LINES)


@pytest.mark.parametrize("line", ["1 | a\n1 | b", "1 | a\n\n"])
def test_two_lines_in_one_are_refused(line):
    with pytest.raises(ValueError, match="several lines"):
        Workspace().learn(line)


@pytest.mark.parametrize("line", [1, None, ["1 | a", 1], [["1 | a"]]])
def test_what_is_no_line_is_a_type_error(line):
    with pytest.raises((TypeError, AttributeError)):
        Workspace().learn(line)


def test_flags_are_a_string_or_words():
    flags = "--loss_function logistic -q ab"
    assert taught(flags).predict(LINES) == taught(flags.split()).predict(LINES)
    assert Workspace("--constant='0.5'").predict("|") == Workspace(["--constant=0.5"]).predict("|")


def test_bad_flags_are_an_exception_with_all_of_them():
    with pytest.raises(OptionError) as caught:
        Workspace("--pases 3 -b 99")
    assert len(caught.value.errors) == 2


def test_testing_only_learns_nothing():
    workspace = Workspace("-t")
    workspace.learn(LINES)
    assert set(workspace.predict(LINES)) == {0}


def test_a_model_is_loaded_by_the_class_and_by_an_instance(tmp_path):
    flags = "--loss_function logistic --link logistic -q ab"
    workspace = taught(flags)
    workspace.save(tmp_path / "m.model")
    expected = workspace.predict(LINES)
    assert Workspace.load(tmp_path / "m.model").predict(LINES) == expected
    assert Workspace.load(str(tmp_path / "m.model"), "-t").predict(LINES) == expected
    assert Workspace(["-i", str(tmp_path / "m.model")]).predict(LINES) == expected
    for instance in (Workspace(), Workspace(flags), workspace):
        instance.learn("1 | something else")
        assert instance.load(tmp_path / "m.model") is instance
        assert instance.predict(LINES) == expected


def test_an_instance_can_load_again_and_again(tmp_path):
    workspace = taught()
    workspace.save(tmp_path / "one.model")
    one = workspace.predict(LINES)
    workspace.learn(LINES)
    workspace.save(tmp_path / "two.model")
    two = workspace.predict(LINES)
    assert one != two
    for name, expected in (("one", one), ("two", two), ("one", one)):
        assert workspace.load(tmp_path / f"{name}.model").predict(LINES) == expected


def test_loading_what_is_no_model_leaves_the_instance_as_it_was(tmp_path):
    workspace = taught()
    expected = workspace.predict(LINES)
    (tmp_path / "bad.model").write_text("no model")
    for load in (workspace.load, Workspace.load):
        with pytest.raises(ModelError, match=r"bad\.model"):
            load(tmp_path / "bad.model")
    assert workspace.predict(LINES) == expected
    assert workspace.learn("1 | a") is not None


def test_saving_where_nothing_can_be_written_is_an_exception(tmp_path):
    with pytest.raises(ModelError):
        taught().save(tmp_path)


@pytest.mark.parametrize(
    "flags", ["", "--loss_function logistic --link logistic -b 12", "-q :: --l2 0.0001", "--binary --noconstant"]
)
def test_python_predicts_as_the_command_line_does(tmp_path, flags):
    with gzip.open(PHISHING, "rt") as file:
        lines = file.read().splitlines()[:300]
    (tmp_path / "data.txt").write_text("\n".join(lines))
    words = [*flags.split(), "-d", str(tmp_path / "data.txt"), "--quiet", "-f", str(tmp_path / "cli.model")]
    assert main([*words, "-p", str(tmp_path / "p.txt")]) == 0
    written = [float(line.split()[0]) for line in (tmp_path / "p.txt").read_text().splitlines()]
    workspace = Workspace(flags)
    assert workspace.learn(lines) == pytest.approx(written, abs=5.1e-7)
    assert Workspace.load(tmp_path / "cli.model").predict(lines) == workspace.predict(lines)
    workspace.save(tmp_path / "py.model")
    test = ["-t", "-i", str(tmp_path / "py.model"), "-d", str(tmp_path / "data.txt"), "--quiet"]
    assert main([*test, "-p", str(tmp_path / "p.txt")]) == 0
    written = [float(line.split()[0]) for line in (tmp_path / "p.txt").read_text().splitlines()]
    assert workspace.predict(lines) == pytest.approx(written, abs=1e-6)


def test_the_journal_tells_of_every_run(tmp_path):
    first = taught()
    first.save(tmp_path / "m.model")
    second = Workspace.load(tmp_path / "m.model")
    second.learn(LINES[:5])
    journal = second.metadata()["journal"]
    assert [entry["examples"] for entry in journal] == [40, 5]
    assert all(math.isfinite(entry["loss_after"]) for entry in journal)
    assert journal[1]["parent"] is not None and journal[0]["parent"] is None


def test_importing_the_package_imports_no_engine():
    assert vwlite.Workspace is Workspace
    with pytest.raises(AttributeError):
        _ = vwlite.workspase


def test_many_workspaces_leave_memory_flat(tmp_path):
    def cycle() -> None:
        workspace = taught("-b 18 -q ab --initial_weight 0.1")  # which touches all of the table
        workspace.save(tmp_path / "m.model")
        Workspace.load(tmp_path / "m.model").load(tmp_path / "m.model")

    def peak() -> int:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used if sys.platform == "darwin" else used * 1024

    for _ in range(5):
        cycle()
    before = peak()
    for _ in range(60):
        cycle()
    # each cycle holds three tables of 4 MiB
    assert peak() - before < 120 << 20


def test_sensitivity_tells_how_far_learning_a_line_moves_its_prediction():
    workspace = Workspace("--loss_function classic --min_prediction -9 --max_prediction 9 --offset_scale 0.5")
    workspace.learn(["1 |a x:0.5 y", "-1 |a y z:2", "0.5 |a x z"] * 50)
    line = "3 1 0.2|a x:0.4 z"
    before, sensitivity = workspace.predict(line), workspace.sensitivity(line)
    assert workspace.sensitivity(line) == sensitivity is not None
    workspace.learn(line)
    assert workspace.predict(line) - before == pytest.approx(2 * (3 - before) * sensitivity, rel=0.02)
    assert 0 < (workspace.sensitivity(line) or 0) < sensitivity
    assert workspace.sensitivity("no |number") is None


def test_lines_that_a_learner_refuses_are_told_of_in_later_passes_too():
    workspace = Workspace("--bayes_logistic")
    workspace.learn(["1 | a", "-1 | b"])
    workspace.end_pass()
    with pytest.raises(ParseError, match="label"):
        workspace.learn(["1 | a", "3 | b"])


def test_malformed_lines_that_are_used_nevertheless_are_learned_from():
    workspace = Workspace("--vw_compat")
    assert len(workspace.learn(["1 | a", "1x | a:1y b"])) == 2
    assert workspace.predict("| a") > 0


def test_lines_may_be_made_by_predicting():
    workspace = Workspace()
    workspace.learn(["2 | a", "1 | b"])
    expected = [workspace.predict("| a"), workspace.predict("| b")]
    assert workspace.predict(f"| {name}" for name in "ab" if workspace.predict("| a")) == expected


def test_columns_and_intervals_are_predicted_in_python_as_on_the_command_line(run, tmp_path):
    lines = [f"{i % 3} |user u{i % 4} |a x{i % 5}" for i in range(60)]
    flags = "--bayes_linear --random_effect user --fixed same"
    run(lines, *flags.split())
    probe = [line.partition(" ")[2] for line in lines[:6]]
    words = ["--columns", "score,user,sd,low,high", "--interval", "0.9"]
    text, _ = run(probe, "-t", "-i", str(tmp_path / "run.model"), *words)
    expected = [tuple(map(float, line.split())) for line in text.splitlines()]
    workspace = Workspace.load(tmp_path / "run.model", f"-t {' '.join(words)}")
    found = workspace.predict(probe)
    assert all(mine == pytest.approx(theirs, abs=1e-6) for mine, theirs in zip(found, expected, strict=True))
    assert workspace.predict(probe[0]) == found[0]


def test_columns_that_are_not_there_are_refused():
    with pytest.raises(OptionError, match="no column 'item'"):
        Workspace("--bayes_linear --columns item")
    with pytest.raises(OptionError, match="sd needs a learner with a posterior"):
        Workspace("--columns sd")


@pytest.mark.parametrize("flags", [None, 3, ["-b", 18], {"l1": 1}, b"-b 18", [["-b"]]])
def test_flags_that_are_no_text_are_refused_with_what_to_do(flags):
    with pytest.raises(TypeError, match="flags are text as on the command line"):
        Workspace(flags)


def test_flags_may_hold_paths_and_must_end_quotations(tmp_path):
    Workspace().save(tmp_path / "m")
    assert Workspace(["-t", "-i", tmp_path / "m"]).predict("| a") == 0
    with pytest.raises(OptionError, match="can't be read: no closing quotation"):
        Workspace("--keep 'a")


@pytest.mark.parametrize("flag", ["--help", "-h", "--version"])
def test_what_only_the_command_line_shows_is_refused(flag):
    with pytest.raises(OptionError, match="has no effect in a Workspace"):
        Workspace(flag)


def test_a_line_may_be_any_kind_of_bytes():
    workspace = Workspace()
    assert workspace.learn(bytearray(b"1 | a")) == 0 == Workspace().learn(b"1 | a")
