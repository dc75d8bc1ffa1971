"""Help: what most people need on one screen, a page for each topic, learner and flag, examples that run, completion."""

import os
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.support.command import VWLITE
from tests.support.multiline import costs, decisions
from vwlite.cli import SUBCOMMANDS, main
from vwlite.cli.help import parameter
from vwlite.cli.topics import QUESTIONS, TASKS, Pages
from vwlite.core.options import Option, OptionGroup
from vwlite.engine import registry
from vwlite.engine.command_line import option_groups
from vwlite.engine.flags import GENERAL

GROUPS = [*option_groups(), GENERAL]
OPTIONS = [option for group in GROUPS for option in group.options]
EXAMPLES = [example for group in GROUPS for example in group.examples]


def pages(width: int | None = 80) -> Pages:
    return Pages(GROUPS, {}, width)


def help_of(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(list(words)) == status
    told = capsys.readouterr()
    return told.err if status else told.out


def gives(example: str, option: Option) -> bool:
    names = {f"--{option.name}", f"-{option.short}"}
    return any(word.partition("=")[0] in names for word in example.split())


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["--bogus", "-h"]])
def test_help_is_one_screen_by_task(capsys, words):
    text = help_of(capsys, *words)
    assert len(text.splitlines()) <= 60
    for task, heading, _ in TASKS:
        shown = [option for option in OPTIONS if option.task == task]
        assert shown and all(f"--{option.name}" in text for option in shown)
        assert f"{heading}:\n" in text
    assert "vwlite help WORD" in text and "--help-all" in text
    for names, question in QUESTIONS:
        assert set(names) <= set(SUBCOMMANDS)
        assert re.search(rf"^  {', '.join(names)} +{re.escape(question)}$", text, re.M)


def test_no_task_is_misspelled():
    assert {option.task for option in OPTIONS} == {"", *(task for task, _, _ in TASKS)}


def test_all_flags_are_listed_when_asked_for(capsys):
    for words in (["--help-all"], ["--help_all"], ["help", "--all"]):
        text = help_of(capsys, *words)
        assert not [option.name for option in OPTIONS if f"--{option.name}" not in text]
        assert not [name for name in SUBCOMMANDS if f"\n  {name} " not in text]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_there_is_a_page_of_everything(width):
    made = pages(width)
    for name in made.words():
        assert len(made.about(name).splitlines()) > 2
    for option in OPTIONS:
        text = made.about(f"--{option.name}")
        assert f"--{option.name}" in text and "Facts:" in text and "Examples:" in text
        assert " ".join(option.help.split())[:20] in " ".join(text.split())
    texts = [made.overview(), made.topics()]
    examples = {f"  {line}" for line in (*EXAMPLES, *(example for _, _, example in TASKS))}
    flags = re.compile(r"^ +-")  # a flag with its value is never broken
    wide = [line for text in texts for line in text.splitlines() if len(line) > max(width, 60)]
    assert not [line for line in wide if line not in examples and not flags.match(line)]


def test_a_page_of_a_learner_has_its_types_equation_source_flags_and_examples(capsys):
    text = help_of(capsys, "help", "gd")
    assert text.startswith("gd: online gradient descent")
    for part in ("SIMPLE -> SCALAR", "w_i += ", "Duchi, Hazan and Singer 2011", "--l1 FLOAT", "vwlite data.vw --sgd"):
        assert part in text


def test_a_page_of_a_flag_has_its_facts(capsys):
    text = help_of(capsys, "help", "-b")
    for part in ("-b, --bit_precision", "default", "18", "at least 1, at most 32", "keeps its value", "help table_of"):
        assert part in " ".join(text.split())
    assert "gradient descent" in help_of(capsys, "help", "--power_t")
    assert "not stored" in help_of(capsys, "help", "quiet")


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("nonsens", "did you mean --noise?"),
        ("oaaa", "did you mean oaa"),
        ("--learning_rat", "did you mean --learning_rate"),
        ("zzzzzz", "vwlite help topics lists what there is"),
        ("--bfgs", "there is no --bfgs: .*--square and --logistic"),
        ("--boosting", "Vowpal Wabbit has it"),
    ],
)
def test_a_word_without_a_page_is_answered_with_what_there_is(capsys, word, answer):
    text = help_of(capsys, "help", word, status=1)
    assert re.match(f"vwlite: error: vwlite help {word}: .*{answer}", text)
    assert text.count("\n") == 1


def test_a_subcommand_is_explained_as_by_itself(capsys):
    text = help_of(capsys, "help", "inspect")
    assert "Usage: vwlite inspect [OPTIONS] MODEL" in text and "--entity NAME" in text


def test_colours_are_for_terminals_that_want_them(monkeypatch, capsys):
    bold = "\x1b[1m"
    assert bold not in help_of(capsys, "--help")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(click.utils, "should_strip_ansi", lambda *_: False)
    for variables, wanted in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert (bold in help_of(capsys, "--help")) == wanted


def test_help_needs_no_home_terminal_or_locale(tmp_path):
    for words in (["--help"], ["help", "gd"], ["--help-all"]):
        done = subprocess.run([*VWLITE, *words], env={}, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "") and "vwlite" in done.stdout


# Examples


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.title)
def test_every_flag_is_in_an_example_of_its_group(group: OptionGroup):
    missing = [option.name for option in group.options if not any(gives(one, option) for one in group.examples)]
    assert not missing


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    source = random.Random(4)

    def words() -> str:
        return f"|u u{source.randrange(9)} |a x:{source.uniform(0, 2):.2f} w{source.randrange(20)}"

    def lines(count: int, label: object) -> str:
        return "".join(f"{label()} {words()}\n" for _ in range(count))  # type: ignore[operator]

    def rated() -> str:
        return f"{source.randint(1, 5)} |user u{source.randrange(9)} |item i{source.randrange(9)}"

    made = {
        "data.vw": lines(300, lambda: source.choice((1, -1))),
        "more.vw": lines(50, lambda: source.choice((1, -1))),
        "ratings.vw": lines(200, rated),
        "timed.vw": lines(50, lambda: f"{source.randint(1, 5)} |t days:{source.randrange(9)}"),
        "classes.vw": lines(100, lambda: f"{source.choice(('cat', 'dog', 'fox'))} |user u{source.randrange(5)}"),
        "numbers.vw": lines(50, lambda: source.randrange(3)),
        "several.vw": lines(50, lambda: f"{source.randrange(2)},{source.randrange(2, 4)}"),
        "costs.vw": lines(50, lambda: f"1:{source.random():.2f} 2:{source.random():.2f} 3:1"),
        "lines.vw": "\n".join(costs(30)) + "\n",
        "decisions.vw": "\n".join(decisions(40, rewards=True)) + "\n",
        "flags.toml": "passes = 1\n",
        "columns.toml": '[columns]\nday = "number"\ncarrier = "category"\n"/.*/" = "ignore"\n',
        "trips.csv": "day,carrier,hour,delay\n" + "".join(f"{i},c{i % 4},{i % 24},{i % 31}\n" for i in range(60)),
        "trips.txt": "".join(f"{i};{i % 24},5;{i % 31}\n" for i in range(60)),
        "clicks.ndjson": '{"clicked": "yes", "site": "a"}\n{"clicked": "no", "site": "b"}\n' * 20,
        "examples.json": '{"_label": 1, "site": {"name": "a"}}\n{"_label": -1, "site": {"name": "b"}}\n' * 20,
        "decisions.json": '{"_label_cost": -1, "_label_probability": 0.5, "_labelIndex": 0, '
        '"c": {"_multi": [{"x": 1}, {"y": 1}]}}\n' * 20,
        "heart.txt": "+1 1:0.5 3:1\n-1 2:1 9:0.25 # a comment\n" * 20,
        "token": "0123456789abcdef0123456789abcdef\n",
        "salt.key": "0123456789abcdef\n",
    }
    for name, text in made.items():
        (folder / name).write_text(text)
    (folder / "token").chmod(0o600)
    for data, model, flags in (
        ("data.vw", "start.model", "--loss_function logistic"),
        ("ratings.vw", "effects.model", "--bayes_linear --random_effect user"),
    ):
        assert main(["-d", str(folder / data), "-f", str(folder / model), "--quiet", *flags.split()]) == 0
    key = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    subprocess.run(key.split(), cwd=folder, capture_output=True, check=True)
    (folder / "key.pem").chmod(0o600)
    (folder / "models").mkdir()
    return folder


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_run(example, files, tmp_path, monkeypatch, capsys):
    for path in files.iterdir():
        os.symlink(path, tmp_path / path.name)
    if " --daemon" in example:
        serves(example, tmp_path)
        return
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(example)[1:]) == 0
    said = capsys.readouterr()
    assert "malformed" not in said.err and "nothing matched" not in said.err


def serves(example: str, folder: Path) -> None:
    """The daemon of an example comes up, and ends when it is asked to."""
    words = [word for word in example.split()[1:] if word != "--foreground"]
    command = [*VWLITE, *words, "--foreground", "--port_file", "port"]
    if "--socket" in words:
        command = command[:-2]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told = []
    while "listening" not in (line := process.stderr.readline()):
        told.append(line)
        assert line, told
    process.terminate()
    process.communicate()
    assert process.returncode == 0


# Shells, and the manual page


def completed(line: str) -> list[str]:
    words = line.split(" ")
    asked = {"_VWLITE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(VWLITE, env=os.environ | asked, capture_output=True, text=True, check=True)
    return [answer.partition(",")[2] for answer in done.stdout.split()]


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("vwlite --loss_function hi", ["hinge"]),
        ("vwlite ins", ["inspect"]),
        ("vwlite inspect --ent", ["--entity"]),
        ("vwlite help table_of", ["table_of_weights"]),
        ("vwlite help --bit", ["--bit_precision"]),
        ("vwlite --final_reg", ["--final_regressor"]),
    ],
)
def test_a_shell_completes_flags_values_subcommands_and_words(line, answers):
    assert answers[0] in completed(line)
    assert len(completed(line)) <= 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(capsys, shell):
    assert "_VWLITE_COMPLETE" in help_of(capsys, "help", "--completion", shell)


def test_an_unknown_shell_is_answered_with_those_that_there_are(capsys):
    assert "the shells are bash, zsh, fish" in help_of(capsys, "help", "--completion", "tcsh", status=1)


def test_the_manual_page_has_every_flag_and_command(capsys):
    text = help_of(capsys, "help", "--man")
    assert text.startswith(".TH VWLITE 1")
    assert not [option.name for option in OPTIONS if f"\\-\\-{option.name}" not in text]
    assert not [name for name in SUBCOMMANDS if ".B vwlite " + name.replace("-", "\\-") not in text]
    with click.Context(click.Command("vwlite")) as context:
        records = [parameter(option).get_help_record(context) for option in OPTIONS]
    assert text.count("\n.TP\n") == len([record for record in records if record]) + len(SUBCOMMANDS)
    assert not re.search(r"^['.](?!TH|SH|B |br|TP|PP|\\&)", text, re.M)


def test_learners_without_flags_have_a_page_too():
    assert pages().about("nothing").startswith("nothing: ")
    assert {*registry.names()} <= {*pages().words()}
