"""The same command line, given to vwlite and to Vowpal Wabbit: predictions, table and summary agree."""

import contextlib
import io
import itertools
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.multiclass import ROW, TOLERANCE, close
from vwlite.cli import main

DATA = Path(__file__).parent.parent / "data"
PROGRAMS = ("ours", "vw")
TABLE_TOLERANCE = 2e-4  # labels and predictions have four decimals there
OURS_ALONE = {"--allow_empty", "--vw_compat"}
# Figures in which we know better, by an option of the command line.
DELIBERATE = {
    "--quantile_tau": ("best constant", "best constant's loss"),  # VW takes the quantile from the other end
    "--logistic_min": ("best constant's loss",),  # VW has it for labels -1 and 1
    "--preserve_performance_counters": ("number of examples", "number of examples per pass", "passes used"),
}

LOSSES = {
    "squared": "0002.dat",
    "classic --min_prediction -3 --max_prediction 3": "0002.dat",
    "logistic": "rcv1_mini.dat",
    "hinge": "rcv1_mini.dat",
    "quantile --quantile_tau 0.3": "0002.dat",
    "expectile --expectile_q 0.2": "0002.dat",
    "poisson": "poisson_small.dat",
}
UPDATES = (
    "",
    "--sgd -l 0.1",
    "--adaptive -l 0.3",
    "--normalized -l 0.3",
    "--invariant -l 0.1",
    "--adaptive --normalized",
    "--adaptive --invariant -l 0.3",
    "--normalized --invariant -l 0.3",
)

# Poisson regression where the mean is large
LARGE = "".join(f"{i % 3} 1 {p} |f x{p}\n1 |f x{p}\n" for i, p in enumerate((5, 10, 14, 18, 20.9, 25, 40)))

# data file, then the command line
CASES = """
0001.dat
0001.dat --adaptive -l 0.3
0001.dat --sgd
0001.dat --normalized
0001.dat --power_t 0.3
0001.dat --power_t 0.8 --initial_t 2
0001.dat --power_t 0
0001.dat --power_t 1
0001.dat --initial_t 10
0001.dat --sgd --power_t 0.2 --initial_t 5 -l 0.5
0001.dat --adaptive --power_t 0.7 -l 0.2
0001.dat --normalized --power_t 0.3 -l 0.2
0001.dat --invariant --power_t 0 -l 0.05
0001.dat -l 0.02
0001.dat -l 10
0001.dat --l1 0.0005
0001.dat --l2 0.001
0001.dat --l1 0.0002 --l2 0.0005 --sgd -l 1
0001.dat --sparse_l2 0.01
0001.dat --l1 0.0005 --loss_function logistic --vw_compat
0001.dat --l2 0.1 --loss_function logistic --vw_compat
0001.dat --link logistic
0001.dat --link logistic --loss_function logistic --vw_compat
0001.dat --loss_function logistic --logistic_min 0 --logistic_max 1 --link logistic
0001.dat --link glf1
0001.dat --link identity
rcv1_mini.dat --loss_function logistic
rcv1_mini.dat --loss_function logistic --link logistic
rcv1_mini.dat --loss_function logistic --link glf1
rcv1_mini.dat --loss_function logistic --binary
rcv1_mini.dat --loss_function hinge --binary
rcv1_mini.dat --binary
rcv1_mini.dat --loss_function hinge --l1 0.0001
rcv1_mini.dat --loss_function logistic -q ff -b 10
rcv1_mini.dat --classweight 1:3
rcv1_mini.dat --classweight 1:2,-1:0.5 --loss_function logistic
0001.dat --classweight 1:3 --classweight 0:0.25
0001.dat --min_prediction 0.2 --max_prediction 0.7
0001.dat --min_prediction -1 --vw_compat
0001.dat --min_prediction 0.2 --vw_compat
0001.dat --max_prediction 0.5 --vw_compat
0001.dat --max_prediction -1 --vw_compat
0001.dat --min_prediction -10 --max_prediction 10 --l2 0.01
0001.dat --noconstant
0001.dat -C 0.5
0001.dat --constant -2 --sgd -l 0.5
0001.dat --initial_weight 0.01
0001.dat --initial_weight 0.01 --sgd -l 0.1
0001.dat -b 4
0001.dat -b 8 -q ff
0001.dat -b 1
0001.dat -b 24
0001.dat -q ff --permutations
0001.dat -q ff --examples 50
0001.dat --hash all
0001.dat --hash all --hash_seed 7
0001.dat --hash_seed 7
0001.dat --feature_limit 10
0001.dat --feature_limit f5
0001.dat --ignore f --allow_empty
0001.dat --ignore_linear f
0001.dat --keep f
0001.dat --keep x --allow_empty
0001.dat -t
0001.dat -t --loss_function logistic --vw_compat
0001.dat --examples 17
0001.dat --examples 1000
0001.dat -P 1
0001.dat -P 7
0001.dat -P 1.3
0001.dat -P 50.5
0001.dat --quantile_tau 0.9 --loss_function quantile
0001.dat --loss_function expectile --expectile_q 0.5
0002.dat
0002.dat --sgd -l 0.1
0002.dat --link poisson
0002.dat --loss_function logistic --vw_compat
0002.dat --loss_function quantile
0002.dat -q ff
0002.dat -q ff --l2 0.001
0002.dat -q :: --noconstant
0002.dat --cubic fff --power_t 0.4
0002.dat -P 100
poisson_small.dat --loss_function poisson --link poisson
poisson_small.dat --loss_function poisson --link poisson --l2 0.01
large.dat --loss_function poisson --noconstant
large.dat --loss_function poisson --adaptive --invariant --l2 0.001
poisson_small.dat -q ::
poisson_small.dat --passes 5 -c -k --holdout_off
interact.dat -q ab
interact.dat -q ba
interact.dat --quadratic ab --quadratic aa
interact.dat -q ab -q ba
interact.dat -q ab -q ba --leave_duplicate_interactions
interact.dat -q ab --ignore_linear a
interact.dat -q ab --ignore b
interact.dat --cubic aab
interact.dat --cubic aba --permutations
interact.dat --interactions aabb
interact.dat --interactions abab --leave_duplicate_interactions
interact.dat -q a:
interact.dat -q :: --permutations
interact.dat --interactions ::: --leave_duplicate_interactions
interact.dat --redefine x:=ab -q xx
interact.dat --redefine a:=: -q aa
interact.dat -q ab --feature_limit a3 --feature_limit b2
interact.dat --passes 6 -c -k --holdout_period 3
mixed.dat
mixed.dat --sgd -l 0.5
mixed.dat --adaptive --normalized
mixed.dat --loss_function logistic --binary
mixed.dat --loss_function hinge
mixed.dat --loss_function quantile --quantile_tau 0.7
mixed.dat --loss_function expectile --expectile_q 0.1
mixed.dat --noconstant -b 6
mixed.dat -q ab --cubic abc
mixed.dat -q :: -b 12
mixed.dat -q :: --permutations -b 12
mixed.dat --cubic ::: -b 14 -l 0.05
mixed.dat --interactions a::
mixed.dat --interactions abc: --leave_duplicate_interactions -l 0.1
mixed.dat -q aa --permutations
mixed.dat -q aa --cubic aab --interactions bbb
mixed.dat -q ab --ignore c
mixed.dat -q ab --ignore_linear ab
mixed.dat --keep a --keep b -q ::
mixed.dat --keep ab --ignore b --vw_compat
mixed.dat --ignore abc
mixed.dat --redefine b:=ac --redefine :=b
mixed.dat --redefine c:= -q cb
mixed.dat --redefine a:=: --keep a
mixed.dat -q \\x61b
mixed.dat --hash all -q ab
mixed.dat --hash_seed 12345 -q ab --noconstant
mixed.dat --feature_limit 2 -q ab
mixed.dat --classweight 1:5 -t
mixed.dat --initial_t 3 --power_t 0.6
mixed.dat --l1 0.001 --l2 0.001 -q ab
mixed.dat --passes 3 -c -k
mixed.dat --passes 4 -c -k --holdout_off -q ab
mixed.dat --passes 4 --cache_file mixed.cache -k --holdout_period 4
mixed.dat --passes 3 -c -k --holdout_after 80
mixed.dat --holdout_after 50
mixed.dat --passes 20 -c -k --early_terminate 2
mixed.dat --passes 20 -c -k --early_terminate 1 -P 3
mixed.dat --passes 3 -c -k --decay_learning_rate 0.5 --holdout_off
mixed.dat --passes 3 -c -k --decay_learning_rate 0.5 --sgd -l 0.3
mixed.dat --passes 3 -c -k --examples 40
mixed.dat --passes 2 -c -k --examples 40 --holdout_off -P 1
mixed.dat --passes 2 -c -k --l1 0.0001 --loss_function logistic
mixed.dat --passes 2 -c -k --ignore a --keep ab -q bb --vw_compat
mixed.dat -c -k
blank.dat
blank.dat --holdout_after 50
blank.dat --examples 30
blank.dat --passes 3 -c -k
blank.dat --passes 3 -c -k --holdout_period 4 -q ab
blank.dat --passes 2 -c -k --holdout_off --examples 30
""".strip().splitlines()

BAD = """
1 | a:1:2 b
1 1 1 1 | a
abc | a
abc| a b
1 0 | a b
nan | a
1 nan | a
1 1 nan | a
| a:nan b
0 | a:x b:1e c:-
1 |n:2 a b:3
1 |n:nan a
1 |n: a
1 |:3 a
1 |a b|c d
0 'tag | a b
0 'tag' 2 | a b
-1 2 |a  x:3  y:0
1 2 0.25 t|a x:0.5
t| a
1
1 1
""".lstrip()

# the first command line saves a model, the second starts from it
MODELS = (
    ("0001.dat", "0002.dat -t"),
    ("0001.dat", "0001.dat -t"),
    ("0001.dat", "0001.dat"),
    ("0001.dat --sgd -l 0.3", "0001.dat"),
    ("0001.dat --adaptive -l 0.3", "0001.dat"),
    ("0001.dat --l1 0.0005 --l2 0.001", "0001.dat --l1 0.0005 --l2 0.001"),
    ("0001.dat --l1 0.0005 --l2 0.001", "0001.dat -t --vw_compat"),
    ("0001.dat -q ff -b 14 --noconstant", "0001.dat -t"),
    ("0001.dat --power_t 0.3 -l 0.1 --initial_t 2", "0001.dat"),
    (
        "0001.dat --link logistic --loss_function logistic --vw_compat",
        "0001.dat -t --loss_function logistic --vw_compat",
    ),
    ("rcv1_mini.dat --loss_function logistic", "rcv1_mini.dat -t --vw_compat"),
    ("rcv1_mini.dat --loss_function logistic --binary", "rcv1_mini.dat -t --binary --loss_function logistic"),
    ("0002.dat --passes 3 -c -k", "0002.dat -t"),
    ("0001.dat --preserve_performance_counters", "0001.dat --preserve_performance_counters"),
    ("mixed.dat -q ab --hash all --hash_seed 3", "mixed.dat"),
    ("mixed.dat -q ab", "mixed.dat --cubic abc"),
    ("mixed.dat --ignore a --ignore_linear b -q bc", "mixed.dat -t"),
    ("mixed.dat --keep ab --redefine b:=c", "mixed.dat"),
    ("mixed.dat --passes 4 -c -k --early_terminate 1", "mixed.dat -t"),
    ("mixed.dat --predict_only_model", "mixed.dat -t"),
    ("mixed.dat", "mixed.dat -l 0.1 --loss_function quantile"),
    ("mixed.dat --initial_weight 0.1", "mixed.dat -t"),
    ("mixed.dat -C 0.3", "mixed.dat"),
)


def mixed_lines() -> list[str]:
    """Lines with every part that a line may have: weights, initial predictions, tags, and lines without a label."""
    choose = random.Random(7)
    lines = []
    for i in range(150):
        words = [choose.choice(("1", "-1", "1", "-1", "1.0", ""))]
        if words[0] and choose.random() < 0.4:
            words.append(choose.choice(("2", "0.5", "3.25", "1", "0")))
            if choose.random() < 0.5:
                words.append(choose.choice(("0.25", "-1", "0")))
        tag = choose.choice(("", "", f"'tag{i}", f"'tag{i} ", f"touching{i}"))
        line = " ".join([*words, tag]).lstrip()
        for name in choose.sample(("a", "b", "c", "", "alpha:2", "b2:0.5"), choose.randint(1, 4)):
            line += f"|{name}"
            for _ in range(choose.randint(0, 5)):
                line += (
                    choose.choice((" ", "  ")) + choose.choice("uvwxyz") + choose.choice(("", "", ":2", ":-0.5", ":0"))
                )
            line += " " * choose.randint(0, 1)
        lines.append(line)
    return lines


def run_vw(words: list[str], folder: Path) -> tuple[int, str]:
    """Its exit status, and what it said on stderr."""
    command = [sys.executable, "-m", "vowpalwabbit", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def run_ours(words: list[str], folder: Path) -> tuple[int, str]:
    """The same, in this process, which spares hundreds of starts."""
    with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()) as said:
        return main(words), said.getvalue()


class Figures:
    """What one run of one program came to."""

    def __init__(self, program: str, folder: Path, words: list[str]) -> None:
        outputs = ["-p", "predictions", "-r", "raw"]
        if program == "vw":
            words = [word for word in words if word not in OURS_ALONE]
        command = ["-d", *words, *outputs]
        status, said = (run_vw if program == "vw" else run_ours)(command, folder)
        assert status == 0, f"{program} {' '.join(command)}\n{said}"
        self.predictions = (folder / "predictions").read_text().splitlines()
        self.raw = (folder / "raw").read_text().splitlines()
        table, _, summary = said.partition("finished run")
        self.rows = [line for line in table.splitlines() if ROW.match(line)]
        ignored = [key for option, keys in DELIBERATE.items() if option in words for key in keys]
        pairs = (line.split(" = ") for line in summary.splitlines() if " = " in line)
        self.summary = {key: value for key, value in pairs if key not in ignored}


def differences(ours: list[str], theirs: list[str], tolerance: float = TOLERANCE) -> list[str]:
    found = []
    for number, (one, other) in enumerate(itertools.zip_longest(ours, theirs, fillvalue="nothing"), 1):
        words, other_words = one.split(), other.split()
        if len(words) != len(other_words) or not all(map(close, words, other_words, itertools.repeat(tolerance))):
            found.append(f"line {number}: {one!r} should be {other!r}")
    return found


def assert_agree(ours: Figures, theirs: Figures) -> None:
    assert not differences(ours.predictions, theirs.predictions)[:10]
    assert not differences(ours.raw, theirs.raw)[:10]
    assert not differences(ours.rows, theirs.rows, TABLE_TOLERANCE)
    assert ours.summary.keys() == theirs.summary.keys()
    pairs = ((key, ours.summary[key], value) for key, value in theirs.summary.items())
    assert not [pair for pair in pairs if not all(map(close, pair[1].split(), pair[2].split()))]


@pytest.fixture
def folders(tmp_path):
    """A folder for each program, so that neither sees the other's caches and models."""
    for program in PROGRAMS:
        shutil.copytree(DATA, tmp_path / program)
        lines = [line + "\n" for line in mixed_lines()]
        (tmp_path / program / "mixed.dat").write_text("".join(lines))
        (tmp_path / program / "blank.dat").write_text("\n".join(["".join(lines[i : i + 7]) for i in range(0, 150, 7)]))
        (tmp_path / program / "bad.dat").write_text(BAD)
        (tmp_path / program / "large.dat").write_text(LARGE)
    return {program: tmp_path / program for program in PROGRAMS}


def run_both(folders: dict[str, Path], line: str) -> None:
    ours, theirs = (Figures(program, folder, line.split()) for program, folder in folders.items())
    assert theirs.predictions
    assert_agree(ours, theirs)


@pytest.mark.parametrize("update", UPDATES, ids=lambda update: update or "usual")
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_with_every_update(folders, loss, update):
    run_both(folders, f"{LOSSES[loss]} --loss_function {loss} {update}")


@pytest.mark.parametrize("line", CASES)
def test_command_line(folders, line):
    run_both(folders, line)


@pytest.mark.parametrize(("first", "second"), MODELS)
def test_from_a_saved_model(folders, first, second):
    run_both(folders, f"{first} -f model")
    run_both(folders, f"{second} -i model")


@pytest.mark.parametrize("flags", ["", "--sgd -l 0.1", "-q ::", "--loss_function logistic", "--hash all", "-t"])
def test_malformed_lines_under_vw_compat(folders, flags):
    run_both(folders, f"bad.dat --vw_compat {flags}")
