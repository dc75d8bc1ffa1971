"""The whole command: help, subcommands, exit statuses, and how it ends when something else ends first."""

import os
import signal
import subprocess
import sys
import textwrap
import types
from typing import Any

import click
import pytest

import vwlite
import vwlite.cli
from vwlite.cli.help import GroupedCommand
from vwlite.core.options import Option, OptionGroup
from vwlite.engine import command_line
from vwlite.errors import ModelError

INPUT = OptionGroup(
    "Input",
    (
        Option("data", str, "File of examples.", short="d", many=True, metavar="FILE"),
        Option("passes", int, "Times through the data.", default=1, least=1),
        Option("testonly", bool, "Do not learn.", short="t"),
    ),
)
LEARNER = OptionGroup(
    "Online learner",
    (
        Option("bit_precision", int, "Bits.", short="b", default=18, least=1, most=61, fixed=True),
        Option("learning_rate", float, "Rate.", short="l", default=0.5, above=0),
        Option("loss_function", str, "Loss.", default="squared", choices=("squared", "logistic")),
        Option("quadratic", str, "Pairs.", short="q", many=True),
    ),
    help="Learns from one example at a time.",
)
GROUPS = (INPUT, LEARNER)


@pytest.fixture
def executed(monkeypatch):
    """A module that notes the options it is to execute."""
    module: Any = types.ModuleType("vwlite.cli.execute")
    module.seen = []
    module.execute = lambda options: module.seen.append(options) or 0
    monkeypatch.setattr(command_line, "option_groups", lambda: GROUPS)
    monkeypatch.setitem(sys.modules, "vwlite.cli.execute", module)
    monkeypatch.setattr(vwlite.cli, "execute", module, raising=False)
    return module


@pytest.fixture
def inspect(monkeypatch):
    """A subcommand that repeats its argument, and has its ways to fail."""

    @click.command()
    @click.argument("model")
    @click.option("--status", type=int)
    def command(model, status):
        """Shows what a model holds."""
        if model == "broken":
            raise ModelError("broken: not a model")
        click.echo(model)
        return status

    module: Any = types.ModuleType("vwlite.cli.inspect")
    module.command = command
    monkeypatch.setitem(sys.modules, "vwlite.cli.inspect", module)
    monkeypatch.setattr(vwlite.cli, "SUBCOMMANDS", {"inspect": "vwlite.cli.inspect"})


def test_runs_the_workspace_and_returns_its_status(executed):
    assert vwlite.cli.main(["-b", "20", "train.txt"]) == 0
    (options,) = executed.seen
    assert (options["bit_precision"], options.data) == (20, "train.txt")
    executed.execute = lambda options: 3
    assert vwlite.cli.main([]) == 3


def test_takes_its_words_from_the_process(executed, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["vwlite", "-b", "21"])
    assert vwlite.cli.main() == 0
    assert executed.seen[0]["bit_precision"] == 21


def test_mistakes_go_to_stderr_one_a_line_and_nothing_runs(executed, capsys):
    assert vwlite.cli.main(["-b99", "--pases", "3"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "vwlite: error: --bit_precision must be at most 61, not 99",
        "vwlite: error: unknown flag '--pases', did you mean --passes?",
    ]
    assert executed.seen == []


@pytest.mark.parametrize(
    ("failure", "status", "message"),
    [
        (ModelError("m.model: cut short"), 1, "vwlite: error: m.model: cut short\n"),
        (PermissionError(13, "Permission denied", "x.txt"), 1, "vwlite: error: x.txt: Permission denied\n"),
        (OSError("odd"), 1, "vwlite: error: odd\n"),
        (MemoryError(), 1, "vwlite: error: out of memory\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_failures_are_one_line_and_a_status(executed, capsys, failure, status, message):
    def run(options):
        raise failure

    executed.execute = run
    assert vwlite.cli.main([]) == status
    assert capsys.readouterr() == ("", message)


def test_a_fault_of_the_program_keeps_its_traceback(executed):
    executed.execute = lambda options: 1 // 0
    with pytest.raises(ZeroDivisionError):
        vwlite.cli.main([])


def test_a_subcommand_gets_the_words_after_its_name(inspect, capsys):
    assert vwlite.cli.main(["inspect", "some.model"]) == 0
    assert vwlite.cli.main(["inspect", "some.model", "--status", "4"]) == 4
    assert capsys.readouterr().out == "some.model\nsome.model\n"


def test_a_subcommand_has_its_own_help(inspect, capsys):
    assert vwlite.cli.main(["inspect", "--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: vwlite inspect [OPTIONS] MODEL")


def test_failures_of_a_subcommand_look_like_all_others(inspect, capsys):
    assert vwlite.cli.main(["inspect"]) == 1
    assert vwlite.cli.main(["inspect", "broken"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "vwlite: error: Missing argument 'MODEL'.",
        "vwlite: error: broken: not a model",
    ]


def test_the_name_of_a_subcommand_is_a_file_anywhere_but_first(executed):
    assert vwlite.cli.main(["-t", "inspect"]) == 0
    assert executed.seen[0].data == "inspect"


@pytest.mark.parametrize("words", [["--help-all"], ["help", "--all"], ["--bogus", "--help_all"]])
def test_the_help_of_all_flags_is_grouped_and_complete(executed, inspect, capsys, words):
    assert vwlite.cli.main(words) == 0
    out = capsys.readouterr().out
    places = [
        out.index(text)
        for text in (
            "Usage: vwlite [OPTIONS] [DATA]",
            "\nInput:\n",
            "-d, --data FILE",
            "File of examples. [may be repeated]",
            "--passes INT",
            "[default 1, at least 1]",
            "-t, --testonly ",
            "\nOnline learner:\n",
            "Learns from one example at a time.",
            "[default 18, at least 1, at most 61]",
            "-l, --learning_rate FLOAT",
            "[default 0.5, above 0]",
            "--loss_function [squared|logistic]",
            "[default squared]",
            "-q, --quadratic TEXT",
            "\nGeneral:\n",
            "--config FILE",
            "-h, --help ",
            "--version ",
            "\nCommands:\n",
            "Shows what a model holds.",
            "Examples:",
        )
    ]
    assert places == sorted(places)
    assert out.count("    vwlite ") + out.count("| vwlite ") == 3


def test_help_leaves_no_option_out():
    with click.Context(command := GroupedCommand(GROUPS, {}), info_name="vwlite") as context:
        text = command.get_help(context)
    for group in GROUPS:
        for option in group.options:
            assert f"--{option.name} " in text


def test_version_needs_no_workspace(monkeypatch, capsys):
    monkeypatch.setattr(vwlite, "__version__", "1.2.3", raising=False)
    monkeypatch.setitem(sys.modules, "vwlite.engine.workspace", None)  # importing it would fail
    assert vwlite.cli.main(["--version"]) == 0
    assert capsys.readouterr().out == "vwlite 1.2.3\n"


def run_process(body: str, *words: str, **more: Any) -> Any:
    """Starts vwlite in a process of its own, where `body` executes what is asked for."""
    code = f"""
import os, signal, sys, types
import vwlite
from vwlite.core.options import Option, OptionGroup
vwlite.__version__ = "1.2.3"
import vwlite.cli
from vwlite.engine import command_line
groups = (OptionGroup("Some", (Option("loss", str, "", choices=("square", "logistic")),)),)
command_line.option_groups = lambda: groups
def run(options):
{textwrap.indent(textwrap.dedent(body), "    ")}
vwlite.cli.execute = sys.modules["vwlite.cli.execute"] = types.SimpleNamespace(execute=run)
vwlite.cli.SUBCOMMANDS = {{}}
sys.argv[0] = "vwlite"
sys.exit(vwlite.cli.main())
"""
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('for _ in range(100000): print("0.5")', []),
        ('sys.stdin.read(); print("0.5"); return 0', []),  # fails only as the last buffer is written
        ("for _ in range(100000): os.write(1, b'0.5\\n')", []),
    ],
)
def test_a_closed_pipe_ends_it_quietly(body, words):
    process = run_process(body, *words, stdin=subprocess.PIPE)
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 141


def test_interrupting_ends_it_quietly():
    process = run_process("print('ready', flush=True); signal.pause()")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (out, err, process.returncode) == ("", "", 130)


def test_a_shell_can_ask_for_completions():
    def complete(line: str, position: int) -> list[str]:
        asked = {"_VWLITE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(position)}
        return run_process("return 9", env=os.environ | asked).communicate()[0].split()

    assert complete("vwlite --lo", 1) == ["plain,--loss"]
    assert complete("vwlite --loss ", 2) == ["plain,square", "plain,logistic"]


def test_runs_as_a_module():
    ended = subprocess.run([sys.executable, "-m", "vwlite", "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout == f"vwlite {vwlite.__version__}\n"
