"""No option is accepted where it does nothing: each acts by itself, or says what it needs and is refused without."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.models import arrays
from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.options import Option, OptionGroup, Options, gather, renamed
from vwlite.daemon.engine import Engine
from vwlite.engine import registry
from vwlite.engine.command_line import option_groups, parse
from vwlite.engine.daemon_flags import IMPLY
from vwlite.engine.daemon_flags import OPTIONS as DAEMON_OPTIONS
from vwlite.engine.needs import USES
from vwlite.errors import OptionError
from vwlite.model.model_file import open as open_model

DECLARED = gather(option_groups())

# What the tests give to an option that wants a value.
VALUES = {
    "cache_file": "other.cache",
    "classweight": "1:2",
    "columns": "initial",
    "constant": "1",
    "cost_range": "-2,0",
    "count_weight": "user=-0.5",
    "cubic": "aab",
    "effect_l2": "2",
    "examples": "2",
    "explore": "greedy",
    "feature_limit": "1",
    "final_regressor": "again.model",
    "fixed_effect": "fixed.model",
    "forget": "0.5",
    "forget_time": "t",
    "freeze": "fixed",
    "ignore": "a",
    "ignore_linear": "a",
    "initial_regressor": "first.model",
    "initial_weight": "0.5",
    "interactions": "ab",
    "invert_hash": "names.txt",
    "keep": "a",
    "link": "logistic",
    "loss_function": "logistic",
    "max_line_bytes": "1024",
    "max_malformed": "0",
    "min_prediction": "-0.1",
    "max_prediction": "0.2",
    "noise": "1",
    "offset_scale": "2",
    "predictions": "again.txt",
    "progress": "1",
    "quadratic": "ab",
    "random_effect": "b",
    "random_seed": "7",
    "raw_predictions": "raw.txt",
    "readable_model": "weights.txt",
    "redefine": "a:=b",
    "report": "rmse",
    "hash": "all",
    "holdout": "0.5",
    "where": "a^y > 0",
    "shuffle": "7",
    "hash_seed": "5",
    "data": "more.txt",
    "interval": "0.9",
}

# Options that ask for what a plain run does anyway; where it would not, their own tests show what they change.
ALREADY_SO = {
    "allow_empty": "there are examples",
    "format": "the data is VW's text",
    "holdout_off": "one pass holds nothing out",
    "no_stdin": "data is named",
    "onethread": "which thread parses can't be seen",
}

# Options that only a learner with a posterior can obey; it is there in the run without the option, too.
BESIDE = dict.fromkeys(("interval", "random_effect", "thompson"), "--bayes_linear")

LINES = [
    "1 1 0.5 tag1|a x:2 y 7 y |b u",
    "-1 |a x z:0.5 |b v:3 w",
    "what is this",
    "",
    "1 2|a y:2 |b u w " + " ".join(f"long{i}" for i in range(300)),
    "0.5 |a x x z |b u",
]


def value_of(option: Option) -> str | None:
    """What to give to an option: something other than its default."""
    if option.type is bool:
        return None
    if option.name in VALUES:
        return VALUES[option.name]
    if option.choices:
        return next(choice for choice in option.choices if choice != option.default)
    if option.type is str:
        return "7"
    value = max(option.least or 0, 7 if option.most is None or option.most >= 7 else option.most / 2)
    return str(option.type(value))


def words_of(option: Option) -> list[str]:
    value = value_of(option)
    return [f"--{option.name}", *([] if value is None else [value])]


def outcome(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """All that a user could notice of a run: its status, words, stack, predictions, model and files."""
    folder.mkdir()
    (folder / "data.txt").write_text("".join(f"{line}\n" for line in LINES))
    (folder / "more.txt").write_text("1 |c more\n")
    for name in ("first.model", "fixed.model"):
        taught = Workspace()
        taught.learn(["1 |a x", "-1 |b v"])
        taught.save(folder / name)
    base = [("-d", "data.txt", "--data"), ("-p", "p.txt", "--predictions"), ("-f", "m.model", "--final_regressor")]
    words = [*words, *(word for short, name, long in base if long not in words for word in (short, name))]
    status = main([str(folder / word) if re.fullmatch(r"[a-z]+\.(txt|model|cache)", word) else word for word in words])
    said = capsys.readouterr()
    found: dict[str, Any] = {"status": status, "text": (said.out + said.err).replace(str(folder), "")}
    for path in folder.iterdir():
        found[path.name] = path.read_bytes() if path.suffix in (".txt", ".cache") else None
    if (folder / "m.model").exists():
        metadata = open_model(folder / "m.model").metadata
        seeds = [run["seed"] for run in metadata["journal"]]
        found["m.model"] = [arrays(folder / "m.model"), metadata["options"], seeds]
    return found


@pytest.mark.parametrize("name", [name for name in DECLARED if name not in IMPLY])
def test_an_option_alone_acts_or_is_refused(name, tmp_path, capsys):
    option = DECLARED[name]
    beside = BESIDE.get(name, "").split()
    found = outcome(tmp_path / "with", [*words_of(option), *beside], capsys)
    if option.needs and f"--{name} has no effect with" in found["text"]:
        remarked = "[info] " in found["text"]
        assert found["status"] == (0 if remarked else 1)
        assert ("m.model" in found) == remarked
        assert option.mild or not remarked
    elif name in ALREADY_SO:
        assert found["status"] == 0
    else:
        assert "has no effect" not in found["text"]
        assert found != outcome(tmp_path / "without", beside, capsys)


def test_options_that_act_alone_are_not_asked_what_they_need():
    refused = {"quantile_tau", "sweeps", "moments", "ts_alpha", "kill_cache", "foreground", "save_per_pass"}
    assert not {name for name in refused if not DECLARED[name].needs}


@pytest.mark.parametrize("option", [option for option in DECLARED.values() if option.needs], ids=lambda it: it.name)
def test_all_that_an_option_needs_exists(option):
    modules = [*registry.names(), "table", "classes", "probable", "decisions"]
    terms = [term for alternative in option.needs for term in alternative.split(" & ")]
    assert set(option.mild) <= set(terms)
    for term in [term.removeprefix("!") for term in terms]:
        name, equals, value = term.partition("=")
        assert re.split("[=>]", term)[0] in (*DECLARED, *modules, *USES, "learning")
        if equals and DECLARED[name].choices:
            assert value in DECLARED[name].choices


REFUSED = [
    ("--quantile_tau 0.9", "--quantile_tau has no effect without --loss_function quantile: add that or leave it out"),
    ("--moments", "--moments has no effect without --bayes_logistic: add that or leave it out"),
    ("--effect_l2 3", "--effect_l2 has no effect without --random_effect: add that or leave it out"),
    ("--sweeps 3", "--sweeps has no effect without --random_effect: add that or leave it out"),
    (
        "--forget 0.9",
        "--forget has no effect without --bayes_logistic or --bayes_linear: add that or leave it out",
    ),
    ("--explore greedy --ts_alpha 2", "--ts_alpha has no effect without --thompson or --explore thompson"),
    ("--explore greedy --ucb_alpha 2", "--ucb_alpha has no effect without --explore ucb"),
    (
        "-l 3 --bayes_linear",
        "--learning_rate has no effect without gradient descent (gd) (here: scorer, glm): leave it out",
    ),
    ("--random_effect u --bayes_linear --fixed none --l2 3", "--l2 with --random_effect needs --fixed gd or same"),
    ("--random_effect u --bayes_linear -l 3", "--learning_rate with --random_effect needs --fixed gd"),
    ("--keep a --ignore b", "--ignore has no effect with --keep: leave one of them out"),
    ("--noconstant --constant 2", "--constant has no effect with --noconstant: leave one of them out"),
    ("--bayes_logistic --logistic_min 0", "--logistic_min has no effect without --loss_function logistic"),
    ("--permutations", "--permutations has no effect without --quadratic or --cubic or --interactions"),
]
ONLY_FOR_RUNS = [
    ("--holdout_period 5", "--holdout_period has no effect without --passes above 1"),
    ("--passes 3 --holdout_off --holdout_period 5", "--holdout_period has no effect with --holdout_off"),
    ("--decay_learning_rate 0.5", "--decay_learning_rate has no effect without --passes above 1"),
    ("--columns initial", "--columns has no effect without --predictions: add that or leave it out"),
    ("--interval 0.9 --bayes_linear", "--interval has no effect without --predictions: add that or leave it out"),
    ("-k", "--kill_cache has no effect without --cache or --cache_file"),
    ("--save_per_pass", "--save_per_pass has no effect without --final_regressor and --passes above 1"),
    ("--quiet -P 1", "--progress has no effect with --quiet: leave one of them out"),
    ("--quiet --report rmse", "--report has no effect with --quiet: leave one of them out"),
    ("--foreground", "--foreground has no effect without a daemon (--daemon): add that or leave it out"),
    ("--token_file t", "--token_file has no effect without a daemon (--daemon): add that or leave it out"),
]


@pytest.mark.parametrize(("flags", "reason"), REFUSED + ONLY_FOR_RUNS)
def test_a_run_refuses_what_would_do_nothing(flags, reason, capsys):
    assert main([*flags.split(), "--no_stdin"]) == 1
    assert f"vwlite: error: {reason}" in capsys.readouterr().err


@pytest.mark.parametrize(("flags", "reason"), REFUSED)
def test_a_workspace_and_a_daemon_refuse_the_same(flags, reason):
    with pytest.raises(OptionError, match=re.escape(reason)):
        Workspace(flags)
    with pytest.raises(OptionError, match=re.escape(reason)):
        Engine(parse([*flags.split(), "--daemon"], option_groups()))


@pytest.mark.parametrize("name", [option.name for option in DAEMON_OPTIONS.options])
def test_a_workspace_refuses_a_daemons_options(name):
    why = "in a Workspace: leave it out" if name == "daemon" else "without a daemon"
    with pytest.raises(OptionError, match=f"--{name} has no effect {why}"):
        Workspace(words_of(DECLARED[name]))


@pytest.mark.parametrize(
    "flags",
    [
        "--interval 0.9 --bayes_linear",
        "--columns initial",
        "--decay_learning_rate 0.5",
        "--quiet --report rmse",
        "--predict_only_model",
        "-b 10 --bayes_linear --feature_limit 3",
        "--thompson --bayes_linear --ts_alpha 2",
        "--random_effect u --bayes_linear --fixed gd -l 3",
        "--bayes_linear --l2 2",
    ],
)
def test_a_workspace_takes_what_acts_in_it(flags):
    Workspace(flags)


def test_an_interval_needs_its_columns():
    with pytest.raises(OptionError, match="--columns names neither"):
        Workspace("--bayes_linear --columns sd --interval 0.9")


def test_what_a_model_kept_is_not_asked_again(tmp_path):
    """Versions before took options that did nothing; their models must load, and what they hold counts as given."""
    workspace = Workspace("--loss_function quantile --quantile_tau 0.9")
    workspace.options.set("effect_l2", "3")
    workspace.save(tmp_path / "old.model")
    loaded = Workspace.load(tmp_path / "old.model", "--quantile_tau 0.8")
    assert loaded.options["effect_l2"] == "3"
    with pytest.raises(OptionError, match="--effect_l2 has no effect"):
        Workspace.load(tmp_path / "old.model", "--effect_l2 4")


def test_compatible_mode_remarks_what_vw_takes(capsys):
    assert main(["--vw_compat", "--no_stdin", "--quantile_tau", "0.9"]) == 0
    assert "[info] --quantile_tau has no effect without --loss_function quantile" in capsys.readouterr().out


# Under -t

KINDS = {
    "gd": "",
    "logistic": "--loss_function logistic",
    "ftrl": "--ftrl",
    "coin": "--coin",
    "linear": "--bayes_linear",
    "odds": "--bayes_logistic",
    "effects": "--random_effect b:a --bayes_linear --effect_l2 2 --l2 1",
    "sweeps": "--random_effect b --square --sweeps 2 --effect_l2 1 --l2 1",
    "offset": "--offset_scale fit --bayes_linear",
}
CLEAN = [
    *["1 |a x |b u", "-1 |a y |b v", "1 1 0.05 t|a x:2 |b u |c v", "-1 |a z |b w |c u", "1 |a z x |b new"],
    *["-1 |a x |b u", "1 |a y |b v", "-1 |a x:2 |b w |c v", "1 |a y z |b w |c u", "-1 |a z |b old"],
]
# Options that a test asks for and that do nothing to these lines; their own tests show what they change.
TESTED_ELSEWHERE = {
    "crossing_limit", "early_terminate", "feature_limit", "hash", "hash_seed", "holdout_off", "max_line_bytes",
    "max_malformed", "onethread", "posterior_full", "random_seed", "strict_parse", "vw_compat", "allow_empty", "cache",
    "examples", "no_stdin", "progress", "save_resume", "audit", "constant", "redefine", "loss_function",
    "interactions", "format",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_under_t_an_option_changes_what_comes_out_or_is_refused_or_remarked(kind, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data.txt").write_text("".join(f"{line}\n" for line in CLEAN))
    assert main(["--quiet", "data.txt", "-f", "first.model", *KINDS[kind].split()]) == 0
    assert main(["--quiet", "data.txt", "-f", "fixed.model"]) == 0
    columns = ["--columns", "prediction,score,sd"] if kind not in ("gd", "logistic", "ftrl", "coin") else []
    capsys.readouterr()

    def tested(*words: str) -> tuple[int, str, str, str]:
        status = main(["-t", "-i", "first.model", "data.txt", "-p", "p.txt", *columns, *words])
        said = capsys.readouterr().err
        return status, Path("p.txt").read_text(), said.partition("finished run")[2], said

    plain, kept = tested(), Workspace.load("first.model", "-t").options
    inert = []
    for option in DECLARED.values():
        if option.name in IMPLY or option.file or option.name in TESTED_ELSEWHERE | {"columns", "interval", "dry_run"}:
            continue
        found = tested(*words_of(option))
        if found[0] == 0 and "has no effect" not in found[3] and found[:3] == plain[:3]:
            repeats = option.fixed or kept.given(option.name)  # what the model says
            inert += [] if repeats else [option.name]
    assert inert == []


@pytest.mark.parametrize(
    "flags",
    ["-l 3", "--power_t 0.3", "--l1 0.1", "--l2 0.1", "--sparse_l2 0.1", "--initial_t 3", "--classweight 1:2"],
)
def test_what_scripts_for_vw_leave_there_under_t_is_remarked(flags, tmp_path, capsys):
    (tmp_path / "data.txt").write_text("1 |a x\n")
    words = [str(tmp_path / "data.txt"), "-t", *flags.split()]
    assert main(words) == 0
    assert capsys.readouterr().err.count("has no effect with -t, under which nothing is learned") == 1
    assert main([*words, "-f", str(tmp_path / "m.model")]) == 0  # it goes into the model
    assert "has no effect" not in capsys.readouterr().err
    assert any("has no effect with -t" in note for note in Workspace(f"-t {flags}").notes)


@pytest.mark.parametrize("flags", ["--forget 0.9", "--batch_size 3", "--sweeps 3", "--freeze u", "--count_weight u=1"])
def test_options_of_our_own_are_refused_where_nothing_is_learned(flags, tmp_path, capsys):
    words = ["--no_stdin", "--random_effect", "u", "--bayes_linear", *flags.split(), "--allow_empty"]
    assert main(words) == 0
    assert main([*words, "-t", "-f", str(tmp_path / "m.model")]) == 0
    capsys.readouterr()
    assert main([*words, "-t"]) == 1
    assert "has no effect with -t, under which nothing is learned" in capsys.readouterr().err


def test_passes_under_t_predict_again_and_hold_nothing_out(tmp_path, capsys):
    (tmp_path / "data.txt").write_text("1 |a x\n0.5 |a y\n" * 20)
    words = [str(tmp_path / "data.txt"), "-t", "--initial_weight", "0.3", "-p", str(tmp_path / "p.txt")]
    assert main(words) == 0
    once, said = (tmp_path / "p.txt").read_text(), capsys.readouterr().err
    assert main([*words, "--passes", "3"]) == 0
    again = capsys.readouterr().err
    assert (tmp_path / "p.txt").read_text() == once * 3
    assert "[info] --passes with -t: nothing is learned, so all passes make the same predictions" in again
    loss = re.compile(r"average loss = .*")
    assert loss.findall(again) == loss.findall(said) != []


def test_counters_are_preserved_only_where_a_model_is_loaded(tmp_path, capsys):
    (tmp_path / "data.txt").write_text("1 |a x\n")
    words = [str(tmp_path / "data.txt"), "-f", str(tmp_path / "m.model"), "--preserve_performance_counters"]
    assert main(words) == 0
    assert "[info] --preserve_performance_counters has no effect without --initial_regressor" in capsys.readouterr().err
    assert main([*words, "-i", str(tmp_path / "m.model")]) == 0
    found = capsys.readouterr().err
    assert "has no effect" not in found
    assert "number of examples = 2" in found


def test_a_client_at_a_unix_socket_takes_no_address(capsys):
    for flags in ("--host 127.0.0.1", "--port 26542"):
        assert main(["client", "--socket", "nowhere", *flags.split()]) == 1
        assert f"{flags} has no effect with --socket: leave one of them out" in capsys.readouterr().err


def test_simulate_gives_each_policy_the_flags_that_act_in_it(capsys):
    play = ["simulate", "arms", "--rounds", "20", "--seeds", "1", "--jobs", "1", "--quiet"]
    assert main([*play, "--policies", "ucb,thompson,greedy", "--", "--ts_alpha", "0.5", "--ucb_alpha", "2"]) == 0
    assert main([*play, "--policies", "ucb,greedy", "--", "--ts_alpha", "0.5"]) == 1
    assert "--ts_alpha has no effect under any of --policies" in capsys.readouterr().err
    assert main([*play, "--policies", "greedy"]) == 0


# Renamed options

OLD_NAMES = {"confidence": "interval", "metrics": "report"}


@pytest.mark.parametrize(("old", "new"), OLD_NAMES.items())
def test_an_old_name_is_answered_with_the_new_one(old, new, tmp_path, capsys):
    assert main(["--no_stdin", f"--{old}", "0.9"]) == 1
    assert f"vwlite: error: unknown flag '--{old}': --{old} is now --{new}\n" == capsys.readouterr().err
    (tmp_path / "flags.toml").write_text(f"{old} = 1\n")
    assert main(["--no_stdin", "--config", str(tmp_path / "flags.toml")]) == 1
    assert f"--{old} is now {new}" in capsys.readouterr().err


def test_values_kept_under_old_names_have_the_new_ones():
    new = Options([OptionGroup("", (Option("report", float, ""),))])
    assert renamed({"metrics": 0.1, "other": 1}, new.declared) == {"report": 0.1, "other": 1}
    old = Options([OptionGroup("", (Option("metrics", float, ""),))])
    assert renamed({"metrics": 0.1}, old.declared) == {"metrics": 0.1}
