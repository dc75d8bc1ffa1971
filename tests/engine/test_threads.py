"""--threads N: all that a run prints and writes is the same for any number of threads."""

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command import VWLITE
from tests.support.models import arrays
from tests.support.threads import DEALT, THREADS, Results, lines, results, write
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import OptionError

LINEAR = f"--bayes_linear {DEALT}"
LOGISTIC = f"--bayes_logistic {DEALT}"
FILES = "-f run.model -p run.pred -r run.raw"

Same = Callable[..., Results]


@pytest.fixture
def same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Same:
    """Runs the command without the flag, and with several numbers of threads; asserts that all is equal."""
    monkeypatch.chdir(tmp_path)

    def check(words: str, threads: Sequence[int] = THREADS, status: int = 0) -> Results:
        def capture() -> tuple[str, str]:
            out, err = capfd.readouterr()
            return out, err

        expected = results(tmp_path, words.split(), capture, status)
        for n in threads:
            found = results(tmp_path, [*words.split(), "--threads", str(n)], capture, status)
            assert found.keys() == expected.keys(), n
            for name, value in expected.items():
                assert found[name] == value, (n, name)
        return expected

    return check


@pytest.fixture
def data(tmp_path: Path) -> None:
    """A few blocks of each kind of data."""
    write(tmp_path / "linear.vw", lines(1, 5000))
    write(tmp_path / "logistic.vw", lines(2, 5000, logistic=True))


CASES = {
    "linear": f"linear.vw {LINEAR} {FILES}",
    "logistic": f"logistic.vw {LOGISTIC} {FILES} --link logistic",
    "mode": f"logistic.vw {LOGISTIC} {FILES} --posterior_mode",
    "intercepts": f"linear.vw --bayes_linear --random_effect user --fixed none --effect_l2 2 --shrink zero {FILES}",
    "all features": f"linear.vw --bayes_linear --random_effect user:* --fixed none --effect_l2 2 --shrink zero {FILES}",
    "diagonal": f"linear.vw {LINEAR} --posterior diagonal {FILES}",
    "identity": f"linear.vw {LINEAR} --posterior identity {FILES}",
    "narrowed": f"linear.vw {LINEAR} --posterior_full 16 {FILES}",
    "strict": f"linear.vw {LINEAR} --posterior full --posterior_full 16 {FILES}",
    "forget": f"linear.vw {LINEAR} --forget 0.99 {FILES}",
    "forget diagonal": f"logistic.vw {LOGISTIC} --forget 0.99 --posterior diagonal {FILES}",
    "noise": f"linear.vw {LINEAR} --noise 0.25 --columns prediction,sd,label_sd -p run.pred -f run.model",
    "batches": f"linear.vw {LINEAR} --batch_size 7 {FILES} --columns prediction,score,sd",
    "logistic batches": f"logistic.vw {LOGISTIC} --batch_size 3 {FILES}",
    "square batches": f"linear.vw --square {DEALT} --batch_size 5 {FILES}",
    "columns": f"linear.vw {LINEAR} --interval 0.8 -p run.pred "
    "--columns prediction,score,initial,sd,low,high,label_sd,label_low,label_high,fixed,user",
    "logistic columns": f"logistic.vw {LOGISTIC} --link logistic --interval 0.9 -p run.pred",
    "newcomers": f"linear.vw {LINEAR} --entity_min 5 {FILES}",
    "intercept": f"linear.vw {LINEAR} --intercept_l2 1e-6 {FILES}",
    "noconstant": f"linear.vw {LINEAR} --noconstant {FILES}",
    "frozen": f"linear.vw {LINEAR} --freeze user {FILES}",
    "crossed": f"linear.vw --bayes_linear --random_effect user:* -q co --fixed none --effect_l2 2 --shrink zero "
    f"{FILES}",
    "ignored": f"linear.vw --bayes_linear --random_effect user:* --ignore o --fixed none --effect_l2 2 --shrink zero "
    f"{FILES}",
    "report": f"logistic.vw {LOGISTIC} {FILES} --report auc,logloss,rmse,brier",
    "progress": f"linear.vw {LINEAR} {FILES} -P 100",
    "every row": f"linear.vw {LINEAR} {FILES} -P 1 --examples 700",
    "examples": f"linear.vw {LINEAR} {FILES} --examples 3333",
    "passes": f"linear.vw {LINEAR} {FILES} --passes 3 -c -k --save_per_pass",
    "passes in memory": f"linear.vw {LINEAR} {FILES} --passes 3 --holdout_off --save_per_pass",
    "early": f"linear.vw {LINEAR} {FILES} --passes 9 --early_terminate 1 -c -k --holdout_period 4",
    "passes of examples": f"logistic.vw {LOGISTIC} {FILES} --passes 3 --examples 2500 -c -k",
    "holdout": f"linear.vw {LINEAR} {FILES} --holdout 0.3 --report rmse",
    "holdout after": f"linear.vw {LINEAR} {FILES} --holdout_after 4000 --report mae",
    "sampled": f"linear.vw {LINEAR} {FILES} --sample 0.5 --shuffle 1000",
    "where": f"linear.vw {LINEAR} {FILES} --where weight>0",
    "interleaved": f"-d linear.vw -d logistic.vw --interleave {LINEAR} {FILES}",
    "two files": f"-d linear.vw -d logistic.vw {LINEAR} {FILES}",
    "one thread reads": f"linear.vw {LINEAR} {FILES} --onethread",
    "binary": f"logistic.vw {LOGISTIC} {FILES} --binary",
    "weights": f"logistic.vw {LOGISTIC} {FILES} --classweight 1:2,-1:0.5",
    "scaled": f"linear.vw {LINEAR} {FILES} --offset_scale 0.5",
    "log": f"linear.vw {LINEAR} {FILES} --transform x1:log,clip(0,1)",
    "renamed": f"linear.vw {LINEAR} {FILES} --transform x1:onehot",
    "quiet": f"linear.vw {LINEAR} {FILES} --quiet",
    "vw": f"logistic.vw {LOGISTIC} {FILES} --vw_compat",
    "readable": f"linear.vw {LINEAR} --readable_model run.txt -f run.model",
    "limits": f"linear.vw {LINEAR} {FILES} --min_prediction -1 --max_prediction 1",
    "lines": f"linear.vw {LINEAR} {FILES} --max_malformed 90%",
    "another hash": f"linear.vw {LINEAR} --hash all --hash_seed 7 {FILES}",
    "another index": f"linear.vw {LINEAR} --redefine A:=u {FILES}",
    "no such effect": f"linear.vw --bayes_linear --random_effect nosuch --fixed none --effect_l2 1 --shrink zero "
    f"{FILES}",
    "limited crossing": f"linear.vw --bayes_linear --random_effect user:* -q cc --cubic ccc --crossing_limit 90 "
    f"--fixed none --effect_l2 1 --shrink zero {FILES}",
    "effect ignored": f"linear.vw {LINEAR} --ignore u {FILES}",
    "dropped": f"linear.vw {LINEAR} --transform c^x1:drop {FILES}",
    "pairs of words": f"linear.vw {LINEAR} --transform c:ngrams(2) {FILES}",
    "weights only": f"linear.vw {LINEAR} {FILES} --predict_only_model",
}


@pytest.mark.parametrize("case", CASES)
def test_all_that_a_run_prints_and_writes_is_the_same_for_any_number_of_threads(case, same, data):
    found = same(CASES[case])
    assert "example" in found["prints"][1] or "--quiet" in CASES[case]


def test_a_strict_run_says_the_same_of_the_first_malformed_line(same, tmp_path):
    rows = lines(3, 4000, wild=False)
    rows[3000] = "nonsense |user a"
    write(tmp_path / "data.vw", rows)
    found = same(f"data.vw {LINEAR} {FILES} --strict_parse -P 50", status=1)
    assert found.keys() == {"prints"} and "data.vw:3001" in found["prints"][1]
    assert len(re.findall(r"(?m)^\d\.\d{6} ", found["prints"][1])) == 3000 // 50


def test_too_many_malformed_lines_are_refused_alike(same, tmp_path):
    write(tmp_path / "data.vw", lines(3, 4000))
    found = same(f"data.vw {LINEAR} {FILES} --max_malformed 10", status=1)
    assert found.keys() == {"prints"} and "more than --max_malformed 10" in found["prints"][1]


def test_a_model_goes_on_and_predicts_with_threads(same, tmp_path, capfd):
    for part, name in enumerate(("first.vw", "second.vw")):
        write(tmp_path / name, lines(part, 3000))
    assert main(["first.vw", *LINEAR.split(), "--threads", "3", "-f", "first", "--quiet"]) == 0
    assert main(["-d", "first.vw", "-d", "second.vw", *LINEAR.split(), "-f", "whole", "--quiet"]) == 0
    assert main(["second.vw", "-i", "first", "-f", "both", "--threads", "2", "--quiet"]) == 0
    assert arrays("whole") == arrays("both")
    same(f"second.vw -i first {FILES}")
    same("second.vw -i first -t -p run.pred -r run.raw --columns prediction,sd,user --report rmse")
    same("second.vw -i first -t -p run.pred --interval 0.5 -f run.model --passes 2")
    assert arrays("first") == arrays(tmp_path / "first")


@pytest.mark.parametrize("flags", ["--effect_l2 auto --shrink mean", "--effect_l2 auto --shrink zero --sweeps 3",
                                   "--effect_l2 reml --sweeps 2 --shrink mean"])  # fmt: skip
def test_models_that_estimate_across_entities_predict_with_threads(flags, same, tmp_path):
    write(tmp_path / "data.vw", lines(4, 3000))
    words = f"data.vw --bayes_linear --random_effect user:c --fixed none {flags} -f made --quiet"
    assert main(words.split()) == 0
    found = same("data.vw -i made -t -p run.pred -r run.raw --interval 0.9 --report rmse")
    assert len(set(found["run.pred"].splitlines())) > 100


@pytest.mark.parametrize("fixed", ["--bfgs", "--bayes_linear", "--bayes_linear --random_effect item", ""])
def test_a_saved_model_is_the_offset(fixed, same, tmp_path):
    rows = [f"{row} |item i{i % 17}" if "|c" in row else row for i, row in enumerate(lines(5, 3000))]
    write(tmp_path / "data.vw", rows)
    fixed = fixed if fixed != "--bfgs" else "-b 12 -q ci"
    assert main(["data.vw", *fixed.split(), "-f", "start", "--quiet"]) == 0
    same(f"data.vw --fixed_effect start {LINEAR} {FILES} --columns prediction,fixed,user,sd")
    assert main(["data.vw", "--fixed_effect", "start", *LINEAR.split(), "-f", "on", "--threads", "3", "--quiet"]) == 0
    os.unlink("start")  # it is in the model
    same(f"data.vw -i on {FILES}")
    same("data.vw -i on -t -p run.pred")


def test_statistics_of_features_are_read_by_all_threads(same, tmp_path):
    write(tmp_path / "data.vw", lines(6, 3000))
    words = f"data.vw {LINEAR} -f made --quiet --transform"
    assert main([*words.split(), "x1:scale x2:bins(4) /x3.*/:minmax"]) == 0
    same("data.vw -i made -t -p run.pred")


def records(n: int) -> list[dict[str, object]]:
    source = random.Random(8)
    return [
        {"y": round(source.gauss(0, 1), 3), "x": round(source.random(), 3),
         "city": source.choice(["Bonn", "Rome", "Oslo"]), "user": f"u{source.randrange(30)}"}
        for _ in range(n)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "arrow", "gz", "zst"])
def test_all_formats_are_learned_alike(kind, same, tmp_path):
    rows = records(9000)
    flags = "--bayes_linear --random_effect user:* --fixed none --effect_l2 1 --shrink zero"
    flags += " --label y" if kind != "jsonl" else " --columns_in y:label --columns_in /.*/:auto"
    path = tmp_path / f"data.{kind}"
    if kind == "csv":
        write(path, ["y,x,city,user", *(",".join(map(str, row.values())) for row in rows)])
    elif kind == "jsonl":
        write(path, [json.dumps(row) for row in rows])
    elif kind in ("parquet", "arrow"):
        table = pytest.importorskip("pyarrow").Table.from_pylist(rows)
        if kind == "parquet":
            pytest.importorskip("pyarrow.parquet").write_table(table, path)
        else:
            arrow = pytest.importorskip("pyarrow")
            with arrow.OSFile(str(path), "wb") as file, arrow.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
    else:
        flags = LINEAR
        text = "".join(f"{line}\n" for line in lines(9, 6000)).encode()
        packed = gzip.compress(text)
        if kind == "zst":
            packed = pytest.importorskip("zstandard").compress(text)
        path.write_bytes(packed)
    same(f"{path.name} {flags} {FILES}")
    same(f"{path.name} {flags} {FILES} --passes 2 --holdout_off", (2, 5))


@pytest.mark.parametrize(
    ("name", "rows"),
    {
        "empty": [],
        "one example": ["1 |user a |c x"],
        "one entity": [f"{i % 3} |user a |c x:{i % 7}" for i in range(9000)],
        "an entity a line": [f"{i % 3} |user u{i} |c x:{i % 7}" for i in range(9000)],
        "sorted": [f"{i % 3} |user u{i // 100} |c x:{i % 7}" for i in range(9000)],
        "no entity": [f"{i % 3} |c x:{i % 7}" for i in range(5000)],
        "one class": [f"1 |user u{i % 9} |c x:{i % 7}" for i in range(5000)],
        "zero and one": [f"{int(i > 4000)} |user u{i % 9} |c x:{i % 7}" for i in range(5000)],
        "both codes": [f"{(1, 0, -1)[i % 3]} |user u{i % 9} |c x:{i % 7}" for i in range(5000)],
        "shares": ["0.5 |user a |c x"] * 3000,
        "unlabelled": [f"|user u{i % 9} |c x:{i % 7}" for i in range(5000)],
        "huge": [f"{i * 1e30} |user u{i % 9} |c x:{i}e25" for i in range(3000)],
        "tiny": [f"{i * 1e-6} |user u{i % 9} |c x:{i}e-30" for i in range(3000)],
        "long": [f"1 |user a{'b' * 10000}{i % 5} |c x" for i in range(100)],
    }.items(),
)
@pytest.mark.parametrize("flags", [LINEAR, LOGISTIC])
def test_odd_data(name, rows, flags, same, tmp_path):
    write(tmp_path / "data.vw", rows)
    same(f"data.vw {flags} {FILES} --allow_empty")


@pytest.mark.parametrize("posterior", ["full", "diagonal"])
def test_entities_forget_by_their_own_time(posterior, same, tmp_path):
    source = random.Random(3)
    rows = [f"{i % 5} |user u{source.randrange(20)} |c x:{source.random():.3f} |t v:{i // 10}" for i in range(6000)]
    write(tmp_path / "data.vw", rows)
    same(f"data.vw {LINEAR} --posterior {posterior} --forget 0.5 --forget_time t {FILES}")


def test_more_threads_than_entities_and_lines(same, tmp_path):
    write(tmp_path / "data.vw", lines(1, 50))
    same(f"data.vw {LINEAR} {FILES}", (100, 256))


def test_threads_that_cannot_be_started_are_one_line(tmp_path, monkeypatch, capfd):
    def start(thread: threading.Thread) -> None:
        if thread.name == "vwlite-entities-2":
            raise RuntimeError("can't start new thread")
        begin(thread)

    begin = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    path = write(tmp_path / "data.vw", lines(1, 50))
    assert main([str(path), *LINEAR.split(), "--threads", "4", "--quiet"]) == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "give fewer threads" in said
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vwlite-entities")]


def test_a_full_disk_ends_a_run_with_one_line(tmp_path):
    write(tmp_path / "data.vw", lines(1, 5000))
    words = ["data.vw", *LINEAR.split(), "--threads", "3", "--quiet", "-f", "run.model", "-p", "/dev/full"]
    done = subprocess.run([*VWLITE, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "no space left on the disk" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data.vw"]


def test_more_blocks_than_are_run_at_once(same, tmp_path):
    write(tmp_path / "data.vw", lines(10, 30000, users=3000))
    same(f"data.vw {LINEAR} --posterior diagonal {FILES}", (2, 7))


@given(
    rows=st.lists(
        st.builds(
            lambda label, weight, user, words: f"{label}{weight} |{user} |c {' '.join(words)}",
            st.sampled_from(["1", "-1", "0", "0.5", "", "-3e5", "x"]),
            st.sampled_from(["", " 2", " 0", " -1", " nan"]),
            st.sampled_from(["user a", "user b", "user c:2", "user", "other d", "user a b"]),
            st.lists(st.sampled_from(["x", "y:2", "z:-0.5", "x:1e-9", "u:1e30", "v:0"]), max_size=5),
        ),
        max_size=40,
    ),
    flags=st.sampled_from([LINEAR, LOGISTIC, f"{LINEAR} --posterior diagonal", f"{LOGISTIC} --batch_size 2"]),
    threads=st.integers(2, 9),
)
def test_any_data(rows, flags, threads, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    write(folder / "data.vw", rows)
    found = []
    for n in (1, threads):
        path = str(folder / f"{n}")
        words = [str(folder / "data.vw"), *flags.split(), "--allow_empty", "--threads", str(n), "--quiet"]
        assert main([*words, "-f", f"{path}.model", "-p", f"{path}.pred"]) == 0
        found.append((arrays(f"{path}.model"), Path(f"{path}.pred").read_bytes()))
    assert found[0] == found[1]


# what threads can't share


@pytest.mark.parametrize(
    ("flags", "words"),
    {
        "--bayes_linear --random_effect user": ["--fixed none", "--effect_l2 N"],
        "--bayes_linear --random_effect user --fixed gd --effect_l2 1": ["--fixed gd"],
        "--bayes_linear --random_effect user --fixed none --effect_l2 1": ["--shrink zero"],
        "--bayes_linear": ["none (scorer-identity)"],
        "": ["leave --threads out"],
        "--oaa 3": ["none (oaa)"],
        "--oaa 2 " + LOGISTIC: ["oaa"],
        f"{LINEAR} --random_effect item": ["several random effects"],
        f"{LINEAR} --audit": ["--audit"],
        f"{LINEAR} --invert_hash names": ["--invert_hash"],
        f"{LINEAR} --entity_limit 10": ["no --entity_limit"],
        f"{LINEAR} --count_weight user=-0.5": ["no --count_weight"],
        f"{LINEAR} --sweeps 3": ["no --sweeps"],
        f"--square {DEALT}": ["--batch_size N"],
        f"{LINEAR} --offset_scale fit": ["the scale as a number"],
        f"{LINEAR} --interactions ::": ["wildcards"],
        f"{LINEAR} --transform x:scale": ["--transform"],
        f"{LINEAR} --names stats": ["leave --names stats or --threads out"],
        f"--thompson --bayes_logistic {DEALT}": ["thompson"],
    }.items(),
)
def test_what_threads_cannot_share_is_said_in_one_line(flags, words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data.vw", lines(1, 100))
    assert main(["data.vw", *flags.split(), "--threads", "2", "-f", "run.model"]) == 1
    message = capfd.readouterr().err
    assert message.startswith("vwlite: error: --threads 2") and message.count("\n") == 1, message
    assert all(word in message for word in words), message
    assert not (tmp_path / "run.model").exists()


def test_a_workspace_and_a_daemon_refuse_threads(capfd):
    with pytest.raises(OptionError, match="--threads has no effect in a Workspace"):
        Workspace(f"{LINEAR} --threads 2")
    assert main(["--daemon", *LINEAR.split(), "--threads", "2", "--socket", "s"]) == 1
    assert "--threads has no effect" in capfd.readouterr().err


# signals, pipes, failures


def test_a_pipe_gets_each_answer_at_once(tmp_path):
    with subprocess.Popen(
        [*VWLITE, *LINEAR.split(), "--threads", "3", "--quiet", "-p", "/dev/stdout"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as run:  # fmt: skip
        assert run.stdin and run.stdout
        for i in range(20):
            run.stdin.write(f"{i} |user u{i % 3} |c x\n".encode())
            run.stdin.flush()
            assert run.stdout.readline()
        run.stdin.close()
        assert run.stdout.read() == b""
        assert run.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_a_model_of_a_beginning_of_the_input(number, tmp_path):
    rows = [f"{i % 5} |user u{i % 7} |c x:{i % 11} y:{i % 3}" for i in range(400_000)]
    write(tmp_path / "data.vw", rows)
    words = ["data.vw", *LINEAR.split(), "--threads", "3", "-f", "run.model", "-p", "run.pred"]
    with subprocess.Popen([*VWLITE, *words, "-P", "1000"], cwd=tmp_path, stderr=subprocess.PIPE) as run:
        assert run.stderr
        while b" 20000 " not in run.stderr.readline():
            pass
        run.send_signal(number)
        said = run.stderr.read().decode()
        assert run.wait(60) == 128 + number
    found = re.search(r"number of examples = (\d+)", said)
    assert found and "model saved to run.model" in said
    n = int(found[1])
    assert 20000 <= n < len(rows)
    assert len((tmp_path / "run.pred").read_text().splitlines()) == n
    write(tmp_path / "part.vw", rows[:n])
    assert main([str(tmp_path / "part.vw"), *LINEAR.split(), "-f", str(tmp_path / "part.model"), "--quiet"]) == 0
    assert arrays(tmp_path / "part.model") == arrays(tmp_path / "run.model")


def test_a_killed_run_leaves_the_model_as_it_was(tmp_path):
    write(tmp_path / "data.vw", lines(11, 3000))
    assert main([str(tmp_path / "data.vw"), *LINEAR.split(), "-f", str(tmp_path / "run.model"), "--quiet"]) == 0
    before = (tmp_path / "run.model").read_bytes()
    words = [*LINEAR.split(), "--threads", "2", "-f", "run.model", "-P", "1"]
    with subprocess.Popen([*VWLITE, *words], cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdin and run.stderr
        run.stdin.write((tmp_path / "data.vw").read_bytes())
        run.stdin.flush()
        while b" 1000 " not in run.stderr.readline():
            pass
        run.kill()
        run.communicate()
    assert (tmp_path / "run.model").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.vw", "run.model"]


FAILS = """
import sys
from vwlite.bayes import solve
from vwlite.cli import main

def minimise(*_):
    raise MemoryError("no memory for this batch")

solve.minimise = minimise
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_in_a_thread_is_one_line_after_the_examples_before(threads, tmp_path):
    rows = [f"{i % 3} |user u{i % 9} |c x" for i in range(5000)]
    for at in (3001, 3003, 3009, 3500):
        rows[at - 1] = rows[at] = f"1 |user big{at} |c " + " ".join(f"w{k}" for k in range(80))
    write(tmp_path / "data.vw", rows)
    words = ["data.vw", *LINEAR.split(), "--batch_size", "2", "-P", "1", "-f", "run.model"]
    done = subprocess.run(
        [sys.executable, "-c", FAILS, *words, "--threads", str(threads)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    said = done.stderr.splitlines()
    assert "no memory for this batch" in said[-1]
    assert said[-2].split()[2] == "3001"
    assert not (tmp_path / "run.model").exists()


def test_a_second_signal_ends_a_run_at_once(tmp_path):
    """Also while threads learn: an example of 2,000 coefficients takes long."""
    words = " ".join(f"x{k}" for k in range(1500))
    write(tmp_path / "data.vw", [f"{i % 5} |user u{i % 3} |c {words}" for i in range(400)])
    run_words = ["data.vw", *LINEAR.split(), "--posterior_full", "2000", "--threads", "3", "-P", "1"]
    with subprocess.Popen([*VWLITE, *run_words], cwd=tmp_path, stderr=subprocess.PIPE) as run:
        assert run.stderr
        while b"examples counter" not in run.stderr.readline() and run.poll() is None:
            break
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
        assert run.returncode in (130, -signal.SIGINT)
