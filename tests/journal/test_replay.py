"""vwlite replay: the same model bit for bit, or what differs; and what can't be replayed, with the reason."""

import gzip
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from tests.support.command import VWLITE
from tests.support.models import arrays
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError, VwliteError
from vwlite.journal.editing import arrays_of
from vwlite.journal.replay import replay
from vwlite.model import model_file

STORED = Path(__file__).parents[1] / "data" / "format_1"


def lines(n=400, seed=0):
    draw = random.Random(seed)
    for i in range(n):
        x, user = draw.gauss(0, 1), draw.randrange(20)
        label = 1 if x + user / 10 - 1 + draw.gauss(0, 0.3) > 0 else -1
        yield f"{label} t{i}|user u{user} |a x:{x:.4f} w{draw.randrange(9)} |b {'rain' if x > 0 else 'sun'}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current directory, with data."""
    monkeypatch.chdir(tmp_path)
    Path("d.vw").write_text("".join(lines()))
    Path("e.vw").write_text("".join(lines(seed=1)))
    return tmp_path


def learn(*words):
    assert main([*words, "--quiet"]) == 0


def check(path="m"):
    """Whether a model is reproduced from another folder."""
    before = {name: Path(name).read_bytes() for name in os.listdir(".") if os.path.isfile(name)}
    place, here = os.path.abspath(path), os.getcwd()
    os.chdir("/")
    try:
        found = replay(place)
    finally:
        os.chdir(here)
    assert {name: Path(name).read_bytes() for name in os.listdir(".") if os.path.isfile(name)} == before
    assert found.differences == []
    assert all(old == new for old, new in found.losses)
    return found.reproduced


@pytest.mark.parametrize(
    "flags",
    [
        "-q ab --loss_function logistic --link logistic",
        "-b 22 --l1 1e-7 --l2 1e-6 --invert_hash names.txt -p predictions.txt --readable_model weights.txt",
        "--passes 3 -c --holdout_period 7",
        "--passes 4 --cache_file x.cache -k --save_per_pass --early_terminate 1",
        "--ftrl --loss_function logistic",
        "--bayes_logistic --random_effect user:b",
        "--square --random_effect user",
        "--bayes_linear --random_effect user --entity_limit 5",
        "--sample 0.5 --shuffle 100 --random_seed 9",
        "--where 'a^x>0' --holdout 0.2",
        "--transform '/x/:scale'",
        "--examples 123",
        "--predict_only_model",
    ],
)
def test_a_run_is_reproduced_bit_for_bit_from_another_folder(flags, folder):
    import shlex

    learn("d.vw", "-f", "m", *shlex.split(flags))
    if "--predict_only_model" in flags:
        with pytest.raises(ModelError, match=r"m: its journal.* was stripped.* sha256 [0-9a-f]{64}"):
            replay("m")
        return
    assert check()


@pytest.mark.parametrize(
    "flags", ["", "-P 7", "-P 1.5 --passes 3 -c", "--report auc,logloss", "--report page.html -q ab"]
)
def test_a_run_that_printed_its_table_is_reproduced_in_silence(flags, folder, capfd):
    words = ["d.vw", "--loss_function", "logistic", "-f", "m"]
    assert main([*words, *flags.split()]) == 0
    assert "average loss" in capfd.readouterr().err
    page = Path("page.html")
    before = page.stat().st_mtime_ns if page.exists() else None
    assert check()
    assert main(["replay", "m", "--check"]) == 0
    assert capfd.readouterr() == ("m: reproduced bit for bit\n", "")
    assert before is None or page.stat().st_mtime_ns == before
    # the same with malformed lines, and a second run that goes on
    Path("odd.vw").write_text("1 |a x\nnonsense\n-1 |a y\n" * 20)
    assert main(["odd.vw", "-i", "m", "-f", "two"]) == 0
    assert "skipped" in capfd.readouterr().err
    assert main(["replay", "two", "--check"]) == 0
    assert capfd.readouterr() == ("two: reproduced bit for bit\n", "")


@pytest.mark.parametrize(
    "words",
    [
        "sweep {} --grid l=.1,.3,.5 -f m --quiet",
        "sweep {} --grid l=.5,.3,.1 --scale --passes 3 -f m",
        "cv {} -k 3 --samples 0 -f m",
        "tune {} --tune l=0.1..1 --evaluations 5 -f m",
        "tune {} --tune l=0.1..1 --evaluations 5 --holdout 0.2 -f m --quiet",
    ],
)
def test_models_of_searches_and_folds_know_the_columns_of_their_table(words, folder, capsys):
    """Such a model reads another table as its own, and all but those of folds are reproduced by their journals."""
    draw = random.Random(1)
    rows = [f"c{i},{draw.randrange(2)},{draw.random():.3f},{draw.choice('ab')}" for i in range(900)]
    Path("t.csv").write_text("\n".join(["id,y,x,k", *rows]) + "\n")
    table = "t.csv --columns_in id:ignore --columns_in /.*/:auto --label y --loss_function logistic"
    assert main(words.format(table).split()) == 0
    for name in ("m.1", "m.2", "m.3") if words.startswith("cv") else ("m",):
        assert model_file.open(name).metadata["options"]["columns_in"] == ["id:ignore", "x:number", "k:category"]
        # what looks like a number in its first row is a category here, too
        Path("new.csv").write_text("id,y,x,k\nc1,1,0.5,7\n")
        assert main(["explain", name, "new.csv", "--json", "-o", "why.json"]) == 0
        assert '"k=7"' in Path("why.json").read_text()
        if name == "m":
            assert replay(name).differences == []
        else:
            fold = f"without fold {name[-1]} of 3 of vwlite cv"
            with pytest.raises(ModelError, match=rf"{name}: run 1 learned {fold}, so it can't be replayed"):
                replay(name)
            assert main(["inspect", name, "--journal"]) == 0
            assert f"  learned     {fold}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        ("", 0),
        ("-P 7 --passes 3 -c", 0),
        ("--drift adwin", 0),
        ("--drift adwin --on_drift save", 0),
        ("--drift adwin:0.9 --on_drift stop", 3),
    ],
)
def test_a_run_that_printed_its_table_or_watched_for_drift_is_reproduced(flags, status, folder):
    turned = (
        line.replace("x:", "z:") if line.startswith("1") else f"-{line}".replace("--1", "1") for line in lines(900)
    )
    Path("d.vw").write_text("".join([*lines(), *turned]))
    assert main(["d.vw", "-f", "m", *flags.split()]) == status
    assert check()


def test_all_runs_are_replayed_in_order(folder):
    learn("d.vw", "-f", "one", "-q", "ab", "--loss_function", "logistic")
    learn("e.vw", "-d", "d.vw", "-i", "one", "-f", "two", "--learning_rate", "0.1")
    learn("e.vw", "-i", "two", "-f", "two", "--preserve_performance_counters")
    assert check("two")
    os.remove("one")
    assert check("two")


def test_a_fixed_effect_and_a_configuration_file_are_read_from_their_folder(folder):
    Path("flags.toml").write_text('loss_function = "logistic"\nquadratic = ["ab"]\n[card]\nowner = "ann"\n')
    learn("--config", "flags.toml", "d.vw", "-f", "fixed")
    learn("e.vw", "--fixed_effect", "fixed", "--loss_function", "logistic", "-f", "m")
    assert check("fixed")
    os.remove("flags.toml")  # what it gave is in the journal
    assert check("fixed") and check("m")


def test_tables_compressed_files_and_databases_are_read_again(folder):
    rows = [(i % 2, i / 7, "ab"[i % 3 == 0]) for i in range(200)]
    Path("t.csv").write_text("click,price,city\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    with sqlite3.connect("shop.db") as shop:
        shop.execute("create table ads (click, price, city)")
        shop.executemany("insert into ads values (?, ?, ?)", rows)
    Path("d.vw.gz").write_bytes(gzip.compress(Path("d.vw").read_bytes()))
    learn("t.csv", "--label", "click:binary(1)", "-f", "csv")
    learn("-d", "sqlite:shop.db?select * from ads", "--label", "click:binary(1)", "-f", "sql")
    learn("d.vw.gz", "-f", "gz")
    assert check("csv") and check("sql") and check("gz")


def test_what_differs_is_named(folder, capsys):
    learn("d.vw", "-f", "m")
    Path("d.vw").write_text("".join(lines(401, seed=2)))
    found = replay("m")
    assert not found.reproduced
    assert found.differences[0].startswith("run 1: data: d.vw has changed: sha256 ")
    assert found.differences[1] == "run 1: 400 examples, now 401"
    assert any(text.startswith("array gd.") and "differ" in text for text in found.differences)
    assert main(["replay", "m", "--check"]) == 1
    assert main(["replay", "m"]) == 0
    assert "not reproduced; what differs:\n  run 1: data: d.vw has changed" in capsys.readouterr().out


def test_the_first_array_that_differs_is_counted(folder):
    learn("d.vw", "-f", "m")
    reader = model_file.open("m")
    metadata = {name: value for name, value in reader.metadata.items() if name not in ("id", "digests")}
    content = arrays_of(reader)
    weights = memoryview(bytearray(content["gd.weight"][2])).cast("f")
    weights[3] += 0.5
    content["gd.weight"] = ("F32", [len(weights)], weights.cast("B"))
    model_file.write("m", content, metadata)
    (text,) = replay("m").differences
    assert text == f"array gd.weight: 1 of {len(weights)} values differ, the largest difference is 0.5"


def test_other_options_train_another_model(folder, capsys):
    learn("d.vw", "-f", "m", "-q", "ab")
    learn("d.vw", "-f", "wanted", "-q", "ab", "-l", "0.1", "--l2", "0.001", "--noconstant")
    learn("d.vw", "-f", "plain")
    found = replay("m", ["l=0.1", "--l2=0.001", "noconstant"], output="new")
    assert "flags: --l2: none, now 0.001" in found.differences
    assert arrays("new") == arrays("wanted")
    assert not replay("m", ["q="], output="new").reproduced
    assert arrays("new") == arrays("plain")
    assert model_file.open("new").metadata["journal"][0]["data"] == [os.path.abspath("d.vw")]
    assert main(["replay", "m", "--set", "l=0.1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["reproduced"] is False and said["changed"] == ["--learning_rate 0.1"]


def test_data_may_be_elsewhere(folder):
    learn("d.vw", "-f", "m")
    learn("e.vw", "-i", "m", "-f", "n")
    Path("sub").mkdir()
    shutil.move("d.vw", "sub/d.vw")
    with pytest.raises(VwliteError, match=r"^m: run 1: its data .*/d\.vw is gone: put it back, or name a copy"):
        replay("m")
    assert replay("m", data=["sub/d.vw"]).reproduced
    assert replay("n", data=["sub/d.vw", "e.vw"]).reproduced
    found = replay("m", data=["e.vw"])
    assert found.differences[0].startswith("run 1: data: e.vw in place of d.vw: sha256")
    with pytest.raises(OptionError, match=r"n: its journal has 2 runs, and -d names 1 sources"):
        replay("n", data=["e.vw"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["nothing=1"], "--set nothing=1: unknown flag '--nothing'"),
        (["l2=x"], "--set l2=x: --l2 wants a number, not 'x'"),
        (["passes=0"], "--passes must be at least 1"),
        (["nothing="], "--set nothing=: unknown option 'nothing'"),
        (["final_regressor=x"], "--set final_regressor=x: has no effect on a replay"),
        (["bayes_linear"], "run 1: "),
    ],
)
def test_settings_that_are_wrong_are_named_and_nothing_is_written(settings, message, folder, capsys):
    learn("d.vw", "-f", "m", "--ftrl")
    assert main(["replay", "m", "-o", "new", *(word for one in settings for word in ("--set", one))]) == 1
    assert message in capsys.readouterr().err
    assert not os.path.exists("new")


def test_what_no_file_has_can_not_be_replayed(folder, capsys):
    subprocess.run([*VWLITE, "-f", "piped", "--quiet"], input=Path("d.vw").read_bytes(), check=True)
    with pytest.raises(ModelError, match=r"piped: run 1 read standard input, which no file has; name the"):
        replay("piped")
    assert replay("piped", data=["d.vw"]).reproduced
    workspace = Workspace()
    workspace.learn(list(lines(50)))
    workspace.save("python")
    with pytest.raises(ModelError, match=r"python: run 1 was fed from Python"):
        replay("python")
    learn("d.vw", "-i", "python", "-f", "both")
    with pytest.raises(ModelError, match="both: run 1 was fed from Python"):
        replay("both")
    Path("bytes").write_bytes(Workspace().to_bytes())
    with pytest.raises(ModelError, match="bytes: has no journal of runs over files"):
        replay("bytes")
    assert main(["replay", "both", "--check"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_pipe_by_name_can_not_be_replayed(folder):
    text = Path("d.vw").read_text()
    os.mkfifo("pipe")
    with subprocess.Popen([*VWLITE, "-d", "pipe", "-f", "m", "--quiet"]):
        Path("pipe").write_text(text)
    with pytest.raises(
        VwliteError, match=r"m: run 1: its data .*/pipe is no file: name one with the same data with -d"
    ):
        replay("m")
    assert replay("m", data=["d.vw"]).reproduced


def test_a_run_in_a_folder_that_is_gone(folder):
    Path("sub").mkdir()
    command = f"cd {folder}/sub && rmdir {folder}/sub && {' '.join(VWLITE)} -d {folder}/d.vw -f {folder}/m --quiet"
    subprocess.run(["sh", "-c", command], check=True)
    assert replay("m").reproduced


def test_a_cache_stands_for_its_data(folder):
    learn("d.vw", "-c", "--passes", "2", "-f", "m")
    learn("d.vw", "-c", "--passes", "2", "-f", "m")  # from the cache
    assert model_file.open("m").metadata["journal"][0]["sources"][0]["sha256"] is None
    assert check("m")


def test_a_stopped_run_says_so(folder):
    text = Path("d.vw").read_bytes()
    words = [*VWLITE, "-f", "m", "--quiet", "-p", "/dev/stdout"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(text)
        process.stdin.flush()
        for _ in range(text.count(b"\n")):
            assert process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
    assert model_file.open("m").metadata["journal"][0]["stopped"] == "SIGTERM"
    Path("d.vw").write_bytes(text * 2)
    assert "run 1: 400 examples (it was stopped by SIGTERM), now 800" in replay("m", data=["d.vw"]).differences


@pytest.mark.parametrize("name", ["linear", "flat", "effects", "same"])
def test_models_of_earlier_versions_are_replayed_by_their_command_line(name, tmp_path, monkeypatch):
    shutil.copytree(STORED, tmp_path / "format_1")
    monkeypatch.chdir(tmp_path / "format_1")
    journal = model_file.open(f"{name}.model").metadata["journal"]
    if any(source["name"] == "stdin" for run in journal for source in run["sources"]):
        pytest.skip("its run read standard input, which a journal can not give again")
    found = replay(f"{name}.model")
    assert all("recorded no folder" in text for text in found.remarks[-1:])
    if name == "linear":
        assert not any("data:" in text for text in found.differences)


def test_damaged_and_foreign_files_are_one_line(folder, capsys):
    learn("d.vw", "-f", "m")
    content = bytearray(Path("m").read_bytes())
    content[-3] ^= 1
    Path("m").write_bytes(content)
    for text in ("replay m", "strip m -o out", "tag m a=b", "replay d.vw", "replay x"):
        words = text.split()
        assert main(words) == 1
        said = capsys.readouterr().err
        assert said.startswith("vwlite: error: ") and said.count("\n") == 1, said
    assert Path("m").read_bytes() == content and not os.path.exists("out")
