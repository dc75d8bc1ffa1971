"""vwlite train-tables: the model of the command line, whatever the number of processes, or a message and no file."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.command import VWLITE, run
from tests.support.leftovers import fill, small_disk
from tests.support.tables import COLUMNS, INDEPENDENT, LEARNED, command_line, require_same, rows
from vwlite.cli import main
from vwlite.tables import processes

FLAGS = f"--bayes_logistic --posterior diagonal {INDEPENDENT}"


def words(data: Path, model: Path, n: int, *others: str, flags: str = FLAGS) -> list[str]:
    return ["train-tables", str(data), "-o", str(model), "--processes", str(n), *others, "--", *flags.split(), *LEARNED]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Rows in a Parquet file, in small row groups."""
    pq.write_table(rows(), tmp_path / "data.parquet", row_group_size=177)
    return tmp_path / "data.parquet"


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_model_is_that_of_the_command_line(n, data, tmp_path):
    told = run(*words(data, tmp_path / "model", n)).stderr
    assert told == "rows = 1200\nentities = 60\n"
    require_same(command_line(rows(), FLAGS, tmp_path / "whole"), tmp_path / "model")
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("n", [1, 3])
def test_rows_are_learned_in_the_order_of_a_column(n, tmp_path):
    table = rows()
    order = np.random.default_rng(0).permutation(len(table)) // 2  # with pairs, which stay as they are
    shuffled = table.append_column("when", pa.array(order))
    pq.write_table(shuffled, tmp_path / "data.parquet", row_group_size=177)
    columns = f"when:ignore {COLUMNS}"
    asked = ["train-tables", str(tmp_path / "data.parquet"), "-o", str(tmp_path / "model"), "--order", "when"]
    assert main([*asked, "--processes", str(n), "--quiet", "--", *FLAGS.split(), *LEARNED]) == 0
    in_order = shuffled.take(pa.array(np.argsort(order, kind="stable")))
    whole = command_line(in_order, FLAGS, tmp_path / "whole", ("--label", "y:number", "--columns_in", columns))
    require_same(whole, tmp_path / "model")
    # a file that is in order already is not sorted
    pq.write_table(in_order, tmp_path / "data.parquet", row_group_size=177)
    assert processes.count_rows([str(tmp_path / "data.parquet")], "when") == (1200, True)
    assert main([*asked, "--processes", str(n), "--quiet", "--", *FLAGS.split(), *LEARNED]) == 0
    require_same(whole, tmp_path / "model")


def test_a_folder_is_read_in_the_order_of_its_files(tmp_path):
    (tmp_path / "data").mkdir()
    for k in range(3):
        pq.write_table(rows().slice(400 * k, 400), tmp_path / "data" / f"{k}.parquet")
    (tmp_path / "data" / "_SUCCESS").write_text("")
    assert main(words(tmp_path / "data", tmp_path / "model", 2, "--quiet")) == 0
    require_same(command_line(rows(), FLAGS, tmp_path / "whole"), tmp_path / "model")


def test_rows_that_are_no_examples_are_counted(tmp_path):
    table = pa.table({"user": ["a", "", "b", None] * 50, "y": [1.0, 2.0, float("nan"), 1.0] * 50})
    pq.write_table(table, tmp_path / "data.parquet")
    flags = [*FLAGS.replace("user:ctx", "user").split(), "--label", "y"]
    asked = [
        "train-tables",
        str(tmp_path / "data.parquet"),
        "-o",
        str(tmp_path / "m"),
        "--processes",
        "3",
        "--",
        *flags,
    ]
    told = run(*asked).stderr
    assert "rows = 200\nentities = 1\nrows without an entity = 50\nskipped malformed rows = 100; one is " in told
    assert "strict" not in told
    message = run(*asked, "--strict_parse", status=1).stderr
    assert message.startswith("vwlite: error: ")
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("others", "flags", "why"),
    [
        (["--order", "none"], FLAGS, "has no column 'none'"),
        ([], "--bayes_linear --random_effect user:ctx --fixed none", "--effect_l2 auto"),
        ([], "--bayes_linear --random_effect user:ctx --effect_l2 1", "--fixed same"),
        ([], "--bayes_linear", "one random effect"),
        ([], FLAGS.replace("user:ctx", "item:ctx"), "no column names entities of 'item'"),
        ([], f"{FLAGS} --passes 2", "--passes"),
        ([], f"{FLAGS} -f other", "--final_regressor"),
        ([], f"{FLAGS} --nonsense 2", "nonsense"),
    ],
)
def test_what_can_not_be_done_is_said_in_one_line(others, flags, why, data, tmp_path, capsys):
    assert main(words(data, tmp_path / "model", 2, *others, flags=flags)) == 1
    message = capsys.readouterr().err
    assert why in message
    assert message.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_data_that_can_not_be_read_are_named(data, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.parquet").write_text("1 |user a\n")
    content = bytearray(data.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 300] = bytes(300)
    (tmp_path / "damaged.parquet").write_bytes(content)
    nulls = rows().append_column("when", pa.array([None, *range(1199)]))
    pq.write_table(nulls, tmp_path / "nulls.parquet")
    for name, more in (("none", ()), ("empty", ()), ("text.parquet", ()), ("nulls.parquet", ("--order", "when"))):
        assert main(words(tmp_path / name, tmp_path / "model", 2, *more)) == 1
        message = capsys.readouterr().err
        assert name in message
        assert message.count("\n") == 1
    assert main(words(tmp_path / "damaged.parquet", tmp_path / "model", 2)) in (0, 1)  # zeros may be values
    assert capsys.readouterr().err.count("error") <= 1
    label_missing = ["train-tables", str(data), "-o", str(tmp_path / "model"), "--", *FLAGS.split()]
    assert main(label_missing) == 1
    assert "which column is the label" in capsys.readouterr().err
    assert main(["train-tables", str(data), "-o", str(data), "--", *FLAGS.split(), *LEARNED]) == 1
    assert "same file" in capsys.readouterr().err
    assert main(["train-tables", str(data), "-o", str(tmp_path / "model")]) == 1
    assert "after --" in capsys.readouterr().err


def children(pid: int) -> list[int]:
    """The processes that a process has started to learn."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A pipe of Parquet can't be; many rows take their time."""
    table = rows(400_000, 1000)
    pq.write_table(table, tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


def started(command: list[str]) -> tuple[subprocess.Popen[str], list[int]]:
    """A command that has started its processes."""
    process = subprocess.Popen([*VWLITE, *command], stderr=subprocess.PIPE, text=True)
    while len(found := children(process.pid)) < 2 and process.poll() is None:
        time.sleep(0.01)
    return process, found


def test_a_process_that_dies_ends_all_with_one_line(slow, tmp_path):
    (tmp_path / "model").write_text("kept")
    process, found = started(words(slow, tmp_path / "model", 2))
    os.kill(found[0], signal.SIGKILL)
    message = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert "was ended by SIGKILL (is the memory full?); no model was written" in message
    assert message.count("\n") == 1
    assert (tmp_path / "model").read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) == ["data.parquet", "model"]
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing(sent, slow, tmp_path):
    process, found = started(words(slow, tmp_path / "model", 2))
    process.send_signal(sent)
    message = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + sent
    assert message == ""
    assert os.listdir(tmp_path) == ["data.parquet"]
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)


def test_the_next_run_deletes_what_a_killed_one_has_left(slow, data, tmp_path):
    process, found = started(words(slow, tmp_path / "model", 2))
    process.kill()
    process.communicate()
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in found) and time.monotonic() < end:
        time.sleep(0.05)
    assert [name for name in os.listdir(tmp_path) if name.startswith(processes.PREFIX)]
    pq.write_table(rows(), data)
    assert main(words(data, tmp_path / "model", 1, "--quiet")) == 0
    assert not [name for name in os.listdir(tmp_path) if name.startswith(processes.PREFIX)]


def test_a_full_disk_leaves_the_older_model(tmp_path, capsys):
    pq.write_table(rows(20_000, 5000), tmp_path / "data.parquet")
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        (disk / "model").write_text("kept")
        fill(disk)
        for n in (1, 2):
            assert main(words(tmp_path / "data.parquet", disk / "model", n)) == 1
            message = capsys.readouterr().err
            assert "space" in message or "full" in message
            assert message.count("\n") == 1
        assert (disk / "model").read_text() == "kept"
        assert sorted(os.listdir(disk)) == ["filler", "model"]
