"""What an option names in the data and no example had is said at the end, and nothing is said of what matched."""

import json
import re
import subprocess

import pytest

from tests.support.command import VWLITE
from tests.support.daemon import ask, serving
from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.options import gather
from vwlite.engine.command_line import option_groups

LINES = ["1 |a x |b y", "-1 |a z:2", "1 |user ann |b q", "| v |b", ""]
DECISIONS = ["shared |u x", "0:-1:0.5 |i y", "|i z", "", "shared |u w", "|i p", "1:0:0.5 |i q r", ""]

MATCHED = [
    "-q ab",
    "-q ba",
    "-q aa",
    "-q ::",
    "-q a:",
    "--interactions ::::",
    "--cubic aab",
    "--keep a",
    "--keep ab -q ab",
    "--ignore u",
    "--ignore_linear ab -q ab",
    "--feature_limit 2",
    "--feature_limit b:2",
    "--redefine a:=b",
    "--redefine a:=:",
    "--random_effect user --bayes_linear",
    "--random_effect user:b --bayes_linear",
    "--random_effect user:* --bayes_linear",
    "--random_effect user --ignore u --bayes_linear",
    "--classweight 1:2,-1:3",
    "--classweight 1:2 -t",
]

BEGIN = "(they begin with ' ', a, b or u)"
THERE = "(the first examples have a, b, user)"
UNMATCHED = [
    ("-q zz", f"--quadratic zz: no namespace begins with z {BEGIN}"),
    ("-q zy", f"--quadratic zy: no namespace begins with y or z {BEGIN}"),
    ("-q au", "--quadratic au: no example has namespaces that begin with a and u together"),
    ("-q :z", f"--quadratic :z: no namespace begins with z {BEGIN}"),
    ("--cubic abz", f"--cubic abz: no namespace begins with z {BEGIN}"),
    ("--interactions abuu", "--interactions abuu: no example has namespaces that begin with a, b and u together"),
    (r"-q \x01a", rf"--quadratic \x01a: no namespace begins with \x01 {BEGIN}"),
    ("-q ab --ignore b", "--quadratic ab: namespaces that begin with b are left out (--keep, --ignore)"),
    ("-q ab --keep a", "--quadratic ab: namespaces that begin with b are left out (--keep, --ignore)"),
    ("--keep aZ", f"Z of --keep aZ: no namespace begins with Z {BEGIN}"),
    ("--ignore Z", f"--ignore Z: no namespace begins with Z {BEGIN}"),
    ("--ignore_linear Z", f"--ignore_linear Z: no namespace begins with Z {BEGIN}"),
    ("--feature_limit Z:2", f"--feature_limit Z:2: no namespace begins with Z {BEGIN}"),
    ("--redefine a:=bZ", "Z of --redefine a:=bZ: no namespace begins with Z (they begin with a, b or u)"),
    ("--random_effect usr --bayes_linear", f"--random_effect usr: no example has a namespace usr {THERE}"),
    (
        "--random_effect user:ctx,b --bayes_linear",
        f"ctx of --random_effect user:ctx,b: no example with a namespace user has a namespace ctx that counts {THERE}",
    ),
    (
        "--random_effect user:a --bayes_linear",
        f"a of --random_effect user:a: no example with a namespace user has a namespace a that counts {THERE}",
    ),
    (
        "--random_effect user:b --ignore b --bayes_linear",
        f"b of --random_effect user:b: no example with a namespace user has a namespace b that counts {THERE}",
    ),
    (
        "--bayes_linear --forget 0.9 --forget_time when",
        f"--forget_time when: no example has a namespace when {THERE}",
    ),
    ("--classweight 1:2,5:3", "5 of --classweight 1:2,5:3: no example that was learned from has this label"),
]


def said(folder, capsys, lines, *words):
    """The remarks at the end of a run."""
    (folder / "data.txt").write_text("".join(f"{line}\n" for line in lines))
    assert main([str(folder / "data.txt"), *words]) == 0
    return re.findall(r"^\[warning\] nothing matched (.*)$", capsys.readouterr().err, re.MULTILINE)


@pytest.mark.parametrize("flags", MATCHED)
def test_nothing_is_said_of_what_matched(flags, tmp_path, capsys):
    assert said(tmp_path, capsys, LINES, *flags.split()) == []
    workspace = Workspace(flags)
    workspace.learn(LINES)
    assert workspace.unmatched() == []


@pytest.mark.parametrize(("flags", "line"), UNMATCHED)
def test_what_nothing_matched_is_named_at_the_end(flags, line, tmp_path, capsys):
    assert said(tmp_path, capsys, LINES, *flags.split()) == [line]
    assert said(tmp_path, capsys, LINES[::-1] * 5000, *flags.split(), "--passes", "2", "--holdout_off") == [line]
    workspace = Workspace(flags.split())
    workspace.learn(LINES)
    assert workspace.unmatched() == [f"nothing matched {line}"]


@pytest.mark.parametrize("flags", ["-q zz", "-q zz --passes 2 --holdout_off", "-q zz -t", "-q zz --vw_compat"])
def test_every_kind_of_run_says_so_once(flags, tmp_path, capsys):
    (tmp_path / "data.txt").write_text("\n".join(LINES) + "\n")
    assert main([str(tmp_path / "data.txt"), *flags.split()]) == 0
    found = capsys.readouterr()
    assert (found.out + found.err).count("nothing matched --quadratic zz") == 1
    assert main([str(tmp_path / "data.txt"), *flags.split(), "--quiet"]) == 0
    assert "nothing matched" not in "".join(capsys.readouterr())


def test_what_comes_late_has_come(tmp_path, capsys):
    lines = ["1 |a x"] * 30_000
    assert said(tmp_path, capsys, [*lines, "1 |a x |b y"], "-q", "ab") == []
    assert said(tmp_path, capsys, [*lines, "1 |a x |b y"], "-q", "ab", "--examples", "30000") != []
    assert said(tmp_path, capsys, [*lines, "1 x |b y"], "-q", "ab") != []  # a line that is left out


def test_a_pattern_of_wildcards_needs_a_namespace_that_they_stand_for(tmp_path, capsys):
    (line,) = said(tmp_path, capsys, ["1 |ä x |ö y"], "-q", "::")
    assert line.startswith("--quadratic ::: no example has a namespace that ':' stands for")
    assert said(tmp_path, capsys, ["1 |ä x |ö y", "1 | z"], "-q", "::") == []


def test_nothing_is_said_where_there_was_no_example(tmp_path, capsys):
    assert said(tmp_path, capsys, [], "-q", "zz", "--allow_empty") == []
    assert Workspace("-q zz --classweight 5:2").unmatched() == []


def test_flags_of_a_model_are_marked_as_such(tmp_path, capsys):
    workspace = Workspace("-q ab --ignore c")
    workspace.learn(["1 |a x |b y |c z"])
    workspace.save(tmp_path / "m.model")
    found = said(tmp_path, capsys, ["1 |a x"], "-t", "-i", str(tmp_path / "m.model"))
    assert found == [
        "--quadratic ab (of the model): no namespace begins with b (they begin with a)",
        "--ignore c (of the model): no namespace begins with c (they begin with a)",
    ]


def test_a_cache_tells_as_much_as_it_holds(tmp_path, capsys):
    for flags, n in (("-q az", 1), ("--random_effect usr --bayes_linear", 1), ("--keep Z --allow_empty", 1)):
        for _ in range(2):
            assert len(said(tmp_path, capsys, LINES, "-c", *flags.split())) == n
    # packed caches don't hold the letters that were redefined: nothing is said rather than something wrong
    assert said(tmp_path, capsys, LINES, "-c", "-k", "--redefine", "a:=b") == []
    assert said(tmp_path, capsys, LINES, "-c", "--redefine", "a:=b") == []


def test_features_shared_by_the_actions_of_a_decision_count_for_each(tmp_path, capsys):
    thompson = ["--thompson", "--bayes_logistic"]
    assert said(tmp_path, capsys, DECISIONS, *thompson, "-q", "ui") == []
    assert said(tmp_path, capsys, DECISIONS, *thompson, "-q", "iz") != []
    apart = ["shared |u x", "0:-1:0.5 | y", "| z", "", "| p", "1:0:0.5 |i q r", ""]
    assert said(tmp_path, capsys, apart, *thompson, "-q", "ui") != []
    workspace = Workspace([*thompson, "-q", "ui"])
    workspace.learn(DECISIONS)
    assert workspace.unmatched() == []


def test_labels_count_as_they_are_written(tmp_path, capsys):
    for flags in ("--loss_function logistic", "--loss_function logistic --binary", "--loss_function squared"):
        assert said(tmp_path, capsys, ["0 | a", "1 | b"] * 9, *flags.split(), "--classweight", "0:2,1:3") == []


def test_replay_names_what_its_log_lacks(tmp_path, capsys):
    (tmp_path / "log.txt").write_text("\n".join(DECISIONS) + "\n")
    play = ["simulate", str(tmp_path / "log.txt"), "--seeds", "1", "--jobs", "1", "--policies", "greedy"]
    assert main([*play, "--", "-q", "uz"]) == 0
    assert capsys.readouterr().err.count("[warning] nothing matched --quadratic uz") == 1
    assert main([*play, "--", "-q", "ui"]) == 0
    assert "nothing matched" not in capsys.readouterr().err


@pytest.mark.parametrize(("problem", "there"), [("arms", "aa"), ("pool", "aa"), ("ads", "ua")])
def test_a_simulated_problem_has_namespaces_too(problem, there, capsys):
    play = ["simulate", problem, "--rounds", "20", "--seeds", "1", "--jobs", "1", "--policies", "greedy"]
    assert main([*play, "--", "-q", "zz"]) == 0
    assert capsys.readouterr().err.count("[warning] nothing matched --quadratic zz: no namespace begins with z") == 1
    assert main([*play, "--", "-q", there]) == 0
    assert "nothing matched" not in capsys.readouterr().err


def test_a_daemon_says_so_when_asked_and_at_its_end(tmp_path):
    with serving(tmp_path, "-q", "ab", "-q", "zz") as daemon:
        daemon.talk(b"1 |a x\n")
        with daemon.connect() as client:
            first = json.loads(ask(client, b"!stats"))["unmatched"]
            ask(client, b"1 |a x |b y")
            second = json.loads(ask(client, b"!stats"))["unmatched"]
        assert daemon.end() == 0
        log = "\n".join(daemon.log)
    assert [line.partition(":")[0] for line in first] == [
        "nothing matched --quadratic ab",
        "nothing matched --quadratic zz",
    ]
    assert second == ["nothing matched --quadratic zz: no namespace begins with z (they begin with a or b)"]
    assert log.count("nothing matched") == 1
    assert f"warning: {second[0]}" in log


def test_a_daemon_logs_what_is_said_of_flags_and_labels(tmp_path):
    with serving(tmp_path, "--loss_function", "logistic", "-q", "ab", "-q", "ba") as daemon:
        daemon.talk(b"1 |a x |b y\n0 |a x\n")
        assert daemon.end() == 0
        log = "\n".join(daemon.log)
    assert log.count("the labels 0 and 1 are the two classes") == 1
    assert log.count("1 interactions dropped that differ only in the order of letters") == 1


def test_a_run_that_is_stopped_says_nothing_of_data_that_it_has_not_seen(tmp_path):
    process = subprocess.Popen(
        [*VWLITE, "-q", "ab", "-p", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin and process.stdout
    process.stdin.write(b"1 |a x\n")
    process.stdin.flush()
    process.stdout.readline()
    process.terminate()
    assert b"nothing matched" not in process.communicate()[1]


# Every option whose value is a name in the data is here, or is none of them by this list.
LOOKS_AT_DATA = {word.removeprefix("--") for flags, _ in UNMATCHED for word in flags.split() if word.startswith("--")}


def test_every_option_of_letters_or_namespaces_is_looked_for():
    declared = gather(option_groups())
    of_letters = {
        name
        for name, option in declared.items()
        if option.metavar in ("AB", "ABC", "ABC..", "LETTERS", "NAMESPACE", "N:=S")
        or option.metavar.startswith("NAME[")
    }
    assert of_letters <= LOOKS_AT_DATA | {"quadratic", "cubic"}
