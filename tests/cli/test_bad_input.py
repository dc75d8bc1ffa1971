"""What a person is told when a run cannot go on, and what is left behind: one line, status 1, no half-written file."""

import re
from pathlib import Path

import pytest

from tests.support.command import run
from vwlite.model import model_file

TEXT = "".join(f"{i % 2} |a x{i % 5} y:{i % 7 + 0.5} |b z\n" for i in range(20))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every run has a folder of its own with the data in it."""
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text(TEXT)
    return tmp_path


def refusal(*words: str, text: str | bytes = b"") -> str:
    """The one line of a run that cannot begin."""
    done = run(*words, text=text, status=1)
    assert done.stdout == ""
    assert done.stderr.startswith("vwlite: error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def files() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


# Options


def test_all_mistakes_are_told_at_once():
    done = run("--pases", "3", "-b", "99", "--link", "none", "--learning_rate", "fast", "-q", status=1)
    assert done.stderr.splitlines() == [
        "vwlite: error: unknown flag '--pases', did you mean --passes?",
        "vwlite: error: --bit_precision must be at most 32, not 99",
        "vwlite: error: --link must be one of identity, logistic, glf1, poisson, not 'none'",
        "vwlite: error: --learning_rate wants a number, not 'fast'",
        "vwlite: error: -q needs a value",
    ]


@pytest.mark.parametrize(
    ("words", "length"),
    [(["-q", "abc"], "2"), (["-q", "a"], "2"), (["--cubic", "ab"], "3"), (["--interactions", "a"], "")],
)
def test_interactions_of_the_wrong_length_are_refused(words, length):
    assert f"{words[1]}: expected" in refusal(*words, "data.txt")
    assert length in refusal(*words, "data.txt")


@pytest.mark.parametrize(
    "words",
    [
        ["--classweight", "1"],
        ["--classweight", "1:-1"],
        ["--classweight", "1:nan"],
        ["--feature_limit", "0"],
        ["--redefine", "nonsense"],
        ["--loss_function", "expectile"],
        ["--passes", "0"],
        ["-l", "0"],
        ["-l", "inf"],
    ],
)
def test_values_that_make_no_sense_are_refused(words):
    assert words[0].lstrip("-")[:1] in refusal(*words, "data.txt")


# Files


def test_data_that_is_not_there_is_named_with_what_was_meant():
    assert "data.tx: can't read examples: no such file; did you mean data.txt?" in refusal("data.tx", "-f", "m.model")
    assert files() == ["data.txt"]


def test_a_folder_is_no_data():
    Path("folder").mkdir()
    run("folder", "-f", "m.model", status=1)
    assert files() == ["data.txt", "folder"]


def test_damaged_compressed_data_leaves_no_model():
    Path("data.gz").write_bytes(b"\x1f\x8b\x08damaged")
    done = run("data.gz", "-f", "m.model", "-p", "p.txt", status=1)
    assert done.stderr.splitlines()[-1].startswith("vwlite: error: data.gz: damaged or cut short")
    assert files() == ["data.gz", "data.txt"]


@pytest.mark.parametrize("flag", ["-p", "-r", "-f", "--readable_model", "--invert_hash"])
@pytest.mark.parametrize("path", ["/proc/none/file", ".", "data.txt/file"])
def test_what_cannot_be_written_is_one_line(flag, path):
    done = run("data.txt", "--quiet", flag, path, status=1)
    assert done.stderr.startswith("vwlite: error: ") and done.stderr.count("\n") == 1
    assert path in done.stderr
    assert files() == ["data.txt"]


def test_predictions_that_cannot_be_written_are_found_before_learning():
    assert "/proc/none/file" in refusal("data.txt", "-p", "/proc/none/file", "-f", "m.model")
    assert files() == ["data.txt"]


def test_an_old_model_and_old_predictions_survive_a_run_that_fails():
    run("data.txt", "-f", "m.model", "-p", "p.txt", "--quiet")
    before = Path("m.model").read_bytes(), Path("p.txt").read_bytes()
    run("--strict_parse", "-f", "m.model", "-p", "p.txt", text="1 | a\nnone | b\n", status=1)
    assert (Path("m.model").read_bytes(), Path("p.txt").read_bytes()) == before
    assert files() == ["data.txt", "m.model", "p.txt"]


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "short", "flipped", "folder"])
def test_a_model_that_is_not_whole_is_refused(damage):
    run("data.txt", "-f", "m.model", "--quiet")
    whole = Path("m.model").read_bytes()
    path = Path("bad.model")
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        flipped = whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]
        path.write_bytes({"empty": b"", "text": TEXT.encode(), "short": whole[:-1], "flipped": flipped}[damage])
    for words in ([], ["-t"]):
        assert "bad.model: " in refusal("data.txt", "-i", "bad.model", "-f", "new.model", *words)
    assert not Path("new.model").exists()


def test_a_model_of_another_size_is_refused_with_a_way_out():
    run("-b", "20", "-f", "m.model", "--quiet", "data.txt")
    message = refusal("-b", "18", "-i", "m.model", "data.txt")
    assert "--bit_precision 18" in message and "--bit_precision 20" in message
    run("-b", "20", "-i", "m.model", "data.txt")


# Lines

BAD = ["none | a", "1 | x:1:2", "1 2 3 4 | a", "nan | a", "1 | x:inf", "1 -1 | a", "1 |:2 x"]


@pytest.mark.parametrize("line", BAD)
def test_a_malformed_line_is_skipped_and_shown(line):
    done = run("-p", "p.txt", text=f"1 | a\n{line}\n\n0 | b\n")
    assert len(Path("p.txt").read_text().splitlines()) == 2
    (shown,) = [text for text in done.stderr.splitlines() if text.startswith("skipped stdin:")]
    assert re.match(r"skipped stdin:2:\d+: .+: 1? ?.+", shown)
    assert "number of examples = 2\n" in done.stderr
    assert "skipped malformed lines = 1 of 3" in done.stderr


@pytest.mark.parametrize(("line", "column"), [("none | a", 1), ("1 | x:1:2 b", 8), ("1 |a x |b y:inf", 11)])
def test_the_column_is_where_the_line_goes_wrong(line, column):
    assert f"skipped stdin:1:{column}: " in run(text=f"{line}\n1 | a\n").stderr


def test_only_the_first_malformed_lines_are_shown_but_all_are_counted():
    stderr = run(text="1 | a\n" + "none | a\n" * 50).stderr
    assert stderr.count("skipped stdin:") == 5
    assert "skipped malformed lines = 50 of 51" in stderr


@pytest.mark.parametrize("words", [["--passes", "3"], ["--holdout_after", "4"], ["--passes", "2", "--holdout_off"]])
def test_lines_are_counted_once_whatever_is_held_out_and_however_often_they_are_read(words):
    stderr = run(*words, text="1 | a\nnone | a\n2 | b\n" * 5).stderr
    assert "skipped malformed lines = 5 of 15" in stderr


def test_lines_are_counted_in_each_file():
    Path("one.txt").write_text("1 | a\nnone | b\n1 | c")
    Path("two.txt").write_text("\nnone | b\n")
    stderr = run("-d", "one.txt", "-d", "two.txt").stderr
    assert "skipped one.txt:2:1: " in stderr and "skipped two.txt:2:1: " in stderr


def test_a_malformed_line_of_any_bytes_is_shown_on_one_line():
    stderr = run(text=b"1 | a:\x1b[31m:2\n1 | a\n").stderr
    assert "\x1b" not in stderr


def test_a_line_over_the_limit_is_skipped():
    long = "1 | " + "word " * 1000
    stderr = run("--max_line_bytes", "2000", "-p", "p.txt", text=f"1 | a\n{long}\n0 | b\n").stderr
    assert "skipped stdin:2:" in stderr and "--max_line_bytes" in stderr
    assert len(Path("p.txt").read_text().splitlines()) == 2


@pytest.mark.parametrize("line", BAD)
def test_strict_parsing_stops_at_the_first_and_saves_nothing(line):
    done = run("--strict_parse", "-f", "m.model", "-p", "p.txt", text=f"1 | a\n{line}\n0 | b\n", status=1)
    assert re.match(r"vwlite: error: stdin:2:\d+: ", done.stderr.splitlines()[-1])
    assert files() == ["data.txt"]


def test_compatible_mode_uses_malformed_lines_as_far_as_they_go():
    done = run("--vw_compat", "-p", "p.txt", text="1 | a\nnone | a\n1 | a x:1:2 c\n")
    assert len(Path("p.txt").read_text().splitlines()) == 3
    assert "number of examples = 3\n" in done.stderr
    assert "[warning] malformed example!" in done.stdout
    assert "b'" not in done.stdout and 'b"' not in done.stdout


# Where an option's value comes from


def options(path: str) -> dict[str, object]:
    return model_file.open(path).metadata["options"]


def test_the_command_line_wins_over_the_file_over_the_model_over_the_default():
    def rate(*words: str) -> str:
        return re.findall(r"^learning rate = (.*)$", run("--no_stdin", *words).stderr, re.MULTILINE)[0]

    Path("config.toml").write_text("learning_rate = 0.2\n")
    run("--no_stdin", "-l", "0.1", "-f", "m.model")
    model, config, typed = ["-i", "m.model"], ["--config", "config.toml"], ["-l", "0.3"]
    assert rate() == "0.5"
    assert rate(*model) == "0.1"
    assert rate(*model, *config) == "0.2"
    assert rate(*model, *config, *typed) == "0.3"
    assert rate(*config, *typed) == "0.3"


def test_a_config_file_can_hold_everything_that_can_be_typed():
    Path("config.toml").write_text(
        'data = ["data.txt"]\nloss_function = "logistic"\nquadratic = ["ab"]\n'
        'final-regressor = "m.model"\nquiet = true\n'
    )
    assert run("--config", "config.toml").stderr == ""
    assert options("m.model") == {"loss_function": "logistic", "quadratic": ["ab"]}


def test_a_bad_config_file_names_itself():
    Path("config.toml").write_text("learning_rat = 1\n")
    assert "config.toml: unknown option 'learning_rat', did you mean learning_rate?" in refusal(
        "--config", "config.toml"
    )


def test_a_model_remembers_how_it_was_made():
    words = ["--loss_function", "logistic", "--link", "logistic", "-q", "ab", "--l2", "0.01", "-b", "17"]
    run("data.txt", *words, "-f", "m.model", "-p", "p.txt")
    first = run("data.txt", "-t", "-i", "m.model", "-p", "first.txt").stderr
    assert "Num weight bits = 17\n" in first and "scorer-logistic" in first and "pairs: ab\n" in first
    run("data.txt", "-t", "-i", "m.model", *words, "-p", "again.txt")
    assert Path("first.txt").read_text() == Path("again.txt").read_text()
    run("data.txt", "-i", "m.model", "-f", "second.model")
    assert options("second.model") == options("m.model")


def test_in_compatible_mode_a_model_forgets_its_loss_function():
    run("data.txt", "--loss_function", "logistic", "-f", "m.model")
    kept = run("data.txt", "-t", "-i", "m.model").stderr
    forgotten = run("data.txt", "-t", "-i", "m.model", "--vw_compat").stderr
    assert kept.split("average loss = ")[1] != forgotten.split("average loss = ")[1]


def test_interactions_given_anew_replace_the_models_with_a_note():
    run("data.txt", "-q", "ab", "-f", "m.model")
    stderr = run("data.txt", "-i", "m.model", "-q", "aa").stderr
    assert "pairs: aa\n" in stderr
    assert "--quadratic ab is replaced by the interactions given now" in stderr


def test_save_resume_is_accepted_with_a_note():
    assert "[info] --save_resume is not needed" in run("data.txt", "--save_resume").stderr
