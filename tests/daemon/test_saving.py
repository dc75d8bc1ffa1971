"""Models that are saved while clients are served: when they are asked for, and of their own accord."""

import os
import signal
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.daemon import (
    SLOW,
    UCB,
    Daemon,
    ask,
    by_file,
    decisions_to_learn,
    lines_to_learn,
    read_all,
    read_lines,
    serving,
    wait_until,
)
from tests.support.models import arrays
from vwlite.daemon.engine import Engine
from vwlite.daemon.protocol import save_tag
from vwlite.engine.command_line import option_groups, parse


@pytest.fixture
def slow(tmp_path):
    """How to start a daemon whose saves take until they may end."""
    (tmp_path / "hold").touch()
    return SLOW


def let_save(folder):
    """Let a slow daemon save, as soon as it is about to."""
    wait_until((folder / "held").exists)
    (folder / "hold").unlink()


def test_save_writes_the_model_as_it_is_then(tmp_path):
    text = lines_to_learn(50)
    _, model = by_file(tmp_path, text)
    with serving(tmp_path, "-f", "served.model", "--model_dir", ".") as daemon, daemon.connect() as client:
        client.sendall(text + b"!save\n!snapshot snap.model\n1 |a more\n!ping\n")
        answers = read_lines(client, 54)
        assert answers[50:52] == [b"!saved served.model\n", b"!saved ./snap.model\n"]
        assert arrays(tmp_path / "served.model") == arrays(tmp_path / "snap.model") == model


def test_without_a_place_nothing_is_saved(tmp_path):
    with serving(tmp_path) as daemon:
        answers = daemon.talk(b"!save\n!snapshot x\n0 save|\n0 save_x\n!ping\n").splitlines()
    assert all(line.startswith(b"!error ") for line in answers[:4])
    assert b"-f" in answers[0]
    assert b"--model_dir" in answers[1]
    assert answers[4:] == [b"!pong"]


def test_tags_that_begin_with_save_save_and_teach_nothing(tmp_path):
    text = lines_to_learn(50)
    expected, model = by_file(tmp_path, text)
    (tmp_path / "models").mkdir()
    with serving(tmp_path, "-f", "served.model", "--model_dir", "models") as daemon:
        assert daemon.talk(text + b"1 save|\n1 1 save_named\n'save_quoted |a\n") == expected
        assert arrays(tmp_path / "served.model") == model
        assert arrays(tmp_path / "models" / "named") == arrays(tmp_path / "models" / "quoted") == model
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


def test_lines_between_decisions_whose_tags_begin_with_save_save(tmp_path):
    text = decisions_to_learn(20)
    expected, model = by_file(tmp_path, text, *UCB.split())
    with serving(tmp_path, *UCB.split(), "-f", "served.model", "--model_dir", ".") as daemon:
        answers = daemon.talk(text + b"save_named\n!ping\n" + text + b"save\n\n!ping\n")
    assert answers.startswith(expected + b"!pong\n")
    assert answers.count(b"\n") == 2 * expected.count(b"\n") + 2
    assert arrays(tmp_path / "named") == model
    _, twice = by_file(tmp_path, text * 2, *UCB.split())
    assert arrays(tmp_path / "served.model") == twice


@pytest.mark.parametrize(
    "name",
    ["", "../x", "/tmp/x", "..", ".", "a/b", ".hidden", "a/../../x", "x\0y", "x" * 300, "folder", "../models/x"],
)
def test_names_that_lead_elsewhere_are_refused(name, saver):
    before = sorted(saver.folder.rglob("*"))
    answers = saver.talk(f"!snapshot {name}\n!ping\n".encode())
    assert answers.startswith(b"!error ")
    assert answers.count(b"\n") == 2
    if name and "/tmp" not in name:
        answers = saver.talk(f"1 save_{name}|\n!ping\n".encode())
        assert answers.startswith(b"!error ")
        assert answers.endswith(b"\n!pong\n")
        assert answers.count(b"\n") == 2
    assert sorted(saver.folder.rglob("*")) == before


@pytest.fixture(scope="module")
def saver(tmp_path_factory):
    """Where clients may save models."""
    folder = tmp_path_factory.mktemp("saver")
    (folder / "models" / "folder").mkdir(parents=True)
    with serving(folder, "--model_dir", "models") as daemon:
        yield daemon


def test_the_number_of_snapshots_is_limited(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / ".hidden").write_text("no model")
    words = ["--model_dir", "models", "--max_snapshots", "3", "-f", "m", "--bayes_linear", "--random_effect", "u:a"]
    with serving(tmp_path, *words) as daemon:
        answers = daemon.talk(
            b"1 |u ann |a x\n"
            + b"".join(b"!snapshot %d\n" % number for number in range(6))
            + b"1 save_7|\n!snapshot 1\n!save\n!ping\n"
        ).splitlines()[1:]
        with daemon.connect() as one, daemon.connect() as other:
            (tmp_path / "models" / "2").unlink()
            one.sendall(b"!snapshot a\n!snapshot b\n")
            other.sendall(b"!snapshot c\n!snapshot d\n")
            found = [*read_lines(one, 2), *read_lines(other, 2)]
    assert answers[:3] == [b"!saved models/%d" % number for number in range(3)]
    assert all(answer.startswith(b"!error models holds 3 models, as many as --max_sn") for answer in answers[3:7])
    assert answers[7:] == [b"!saved models/1", b"!saved m", b"!pong"]
    assert sum(answer.startswith(b"!saved") for answer in found) == 1
    assert len([path for path in (tmp_path / "models").iterdir() if path.name[0] != "."]) == 3


@pytest.mark.parametrize(
    "name",
    [b"fine", b"\xff\xfe", b"with\xe2\x98\x83", b"x" * 300],
)
def test_a_save_that_fails_is_no_concern_of_others(name, tmp_path):
    (tmp_path / "models").mkdir()
    with serving(tmp_path, "--model_dir", "models") as daemon:
        (tmp_path / "models").rmdir()
        (tmp_path / "models").touch()
        with daemon.connect() as other:
            assert ask(other, b"|a x") == b"0\n"
            answers = daemon.talk(b"!ping\n|a x\n1 save_" + name + b"|\n!snapshot " + name + b"\n|a x\n")
            assert ask(other, b"!ping") == b"!pong\n"
            assert ask(other, b"|a x") == b"0\n"
    told = answers.splitlines()
    assert [line[:7] for line in told] == [b"!pong", b"0", b"!error ", b"!error ", b"0"]


def test_each_save_has_what_its_client_sent_before_and_nothing_behind(tmp_path):
    texts = [lines_to_learn(20, seed=seed) for seed in range(5)]
    models = [by_file(tmp_path, b"".join(texts[: k + 1]))[1] for k in range(5)]
    text = b"".join(b"%b!snapshot %d\n" % (lines, k) for k, lines in enumerate(texts))
    with serving(tmp_path, "--model_dir", ".") as daemon:
        assert daemon.talk(text).count(b"!saved ./") == 5
    assert [arrays(tmp_path / str(k)) for k in range(5)] == models


def test_saves_upon_saves_are_answered_in_order(tmp_path):
    text = b"1 |a x\n!save\n|a x\n!save\n!save\n" * 100
    with serving(tmp_path, "-f", "served.model") as daemon:
        answers = daemon.talk(text).splitlines()
    assert [line for line in answers if line.startswith(b"!")] == [b"!saved served.model"] * 300
    assert [line.startswith(b"!") for line in answers] == [False, True, False, True, True] * 100


def test_others_are_served_while_a_client_waits_for_its_save(slow, tmp_path):
    text, more = lines_to_learn(50), lines_to_learn(50, seed=2)
    _, model = by_file(tmp_path, text)
    expected, both = by_file(tmp_path, text + more)
    with (
        serving(tmp_path, "-f", "served.model", start=slow) as daemon,
        daemon.connect() as one,
        daemon.connect() as other,
    ):
        one.sendall(text + b"!save\n!ping\n|late x\n")
        one.shutdown(socket.SHUT_WR)
        assert b"".join(read_lines(one, 50)) + b"".join(self_taught(other, more)) == expected
        let_save(tmp_path)
        assert read_all(one).splitlines()[:-1] == [b"!saved served.model", b"!pong"]
        assert arrays(tmp_path / "served.model") == model
        assert ask(other, b"!save") == b"!saved served.model\n"
        assert arrays(tmp_path / "served.model") == both


def self_taught(client, text):
    """The answers to lines that a client sends one by one."""
    return [ask(client, line) for line in text.splitlines()]


def test_a_save_that_was_asked_for_is_answered_before_the_end(slow, tmp_path):
    with serving(tmp_path, "-f", "served.model", start=slow) as daemon, daemon.connect() as one:
        one.sendall(b"1 |a x\n!save\n!ping\n")
        wait_until((tmp_path / "held").exists)
        daemon.send(signal.SIGTERM)
        daemon.wait_for("stopping")
        let_save(tmp_path)
        assert read_all(one) == b"0\n!saved served.model\n!pong\n"
        assert daemon.process.wait(60) == 0


def test_who_leaves_while_it_waits_for_a_save_is_no_concern_of_others(slow, tmp_path):
    with serving(tmp_path, "-f", "served.model", start=slow) as daemon, daemon.connect() as other:
        with daemon.connect() as one:
            one.sendall(b"1 |a x\n!save\n!ping\n1 |a x\n")
            wait_until((tmp_path / "held").exists)
        assert ask(other, b"!ping") == b"!pong\n"
        let_save(tmp_path)
        assert ask(other, b"!save") == b"!saved served.model\n"
        assert daemon.end() == 0


def test_a_checkpoint_that_takes_long_is_not_put_over_a_newer_one(slow, tmp_path):
    """Else the newer one's entries would be in no model, and no longer in the journal."""
    text, more = lines_to_learn(60), lines_to_learn(60, seed=2)
    words = ["--journal", "journal", "--autosave", "60"]
    expected, model = by_file(tmp_path, text + more)
    with serving(tmp_path, *words, start=slow) as daemon, daemon.connect() as one:
        one.sendall(text)
        answers = read_lines(one, 60)
        wait_until((tmp_path / "held").exists)
        one.sendall(more + b"!save\n")
        answers += read_lines(one, 60)
        assert b"".join(answers) == expected
        let_save(tmp_path)
        assert read_lines(one, 1)[0].startswith(b"!saved ")
        daemon.kill()
    with serving(tmp_path, *words, "-f", "served.model") as daemon:
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


def test_a_model_made_of_a_checkpoint_stands_for_no_place_in_the_journal(tmp_path):
    """In the checkpoint's place, what it has learned besides would be taken for the journal's."""
    with serving(tmp_path, "--journal", "journal") as daemon:
        daemon.talk(lines_to_learn(20))
        assert daemon.end() == 0
    by_file(tmp_path, lines_to_learn(20, seed=2), "-i", str(tmp_path / "journal" / "checkpoint.model"))
    os.replace(tmp_path / "file.model", tmp_path / "journal" / "checkpoint.model")
    with pytest.raises(AssertionError, match="is not the checkpoint of the journal beside it"):
        Daemon(tmp_path, "--journal", "journal")


def test_a_model_that_takes_another_s_place_is_the_one_that_comes_back(slow, tmp_path):
    """SIGHUP while a checkpoint of the old model is written; then a kill."""
    old, new, more = (lines_to_learn(60, seed=seed) for seed in (1, 2, 3))
    by_file(tmp_path, new)
    (tmp_path / "file.model").rename(tmp_path / "new.model")
    by_file(tmp_path, old)
    os.replace(tmp_path / "file.model", tmp_path / "live.model")
    words = ["--journal", "journal", "--autosave", "60", "-i", str(tmp_path / "live.model")]
    with serving(tmp_path, *words, start=slow) as daemon:
        daemon.talk(old)
        wait_until((tmp_path / "held").exists)
        os.replace(tmp_path / "new.model", tmp_path / "live.model")
        daemon.send(signal.SIGHUP)
        let_save(tmp_path)
        daemon.wait_for("model loaded")
        answers = daemon.talk(more)
        daemon.kill()
    expected, model = by_file(tmp_path, more, "-i", str(tmp_path / "live.model"))
    assert answers == expected
    with serving(tmp_path, *words, "-f", "served.model") as daemon:
        assert daemon.end() == 0
    assert arrays(tmp_path / "served.model") == model


def test_a_model_whose_checkpoint_fails_does_not_take_the_place(tmp_path):
    by_file(tmp_path, lines_to_learn(50))
    with serving(tmp_path, "--journal", "journal", "-i", "file.model") as daemon, daemon.connect() as one:
        before = ask(one, b"|a x:0.5")
        by_file(tmp_path, lines_to_learn(50, seed=2))
        (tmp_path / "journal" / "checkpoint.model").unlink()
        (tmp_path / "journal" / "checkpoint.model").mkdir()
        daemon.send(signal.SIGHUP)
        daemon.wait_for("the model is unchanged")
        assert ask(one, b"|a x:0.5") == before


def test_the_model_is_saved_every_so_many_examples(folder):
    text = lines_to_learn(50)
    _, model = by_file(folder, text)
    with serving(folder, "-f", "served.model", "--autosave", "50") as daemon:
        daemon.talk(text)
        daemon.wait_for("saved")
        assert arrays("served.model") == model
        assert daemon.talk(b"!ping\n") == b"!pong\n"


def test_the_model_is_saved_every_so_many_seconds(folder):
    with serving(folder, "-f", "served.model", "--autosave", "1s") as daemon:
        daemon.talk(b"1 |a x\n")
        daemon.wait_for("saved")
        assert Path("served.model").exists()


@pytest.fixture(scope="module")
def engines():
    """Of lines and of decisions."""
    return [Engine(parse(["--daemon", *flags.split()], option_groups())) for flags in ("--vw_compat", UCB)]


@given(
    head=st.text(alphabet="save'_ \t1.:x\r", max_size=12).map(str.encode)
    | st.sampled_from(
        [b"1 save", b"1 'save_a ", b"shared save", b"1 1 0.5 save_b", b"\tsave", b"save \t'save", b"save\r"]
    ),
    rest=st.sampled_from([b"|", b"", b"|a", b"|a:2 ", b"| |b|", b"|a x", b"| :1", b"|a|b y"]),
)
def test_a_tag_is_found_where_the_parser_finds_it(head, rest, engines):
    line = head + rest
    features = b" x" in rest or b" y" in rest or b" :1" in rest
    for engine in engines:
        answer = engine.run(line + b"\n\n")
        if b"!error" in answer or not answer.strip():
            continue  # no example, in this form of lines
        tag = answer.rstrip(b"\n").partition(b" ")[2]
        assert (save_tag(line) or b"") == (tag if tag.startswith(b"save") and not features else b"")


def test_examples_whose_tags_begin_with_save_are_examples(tmp_path):
    text = b"1 save_session|a x\n0 'saved |a y\n|a save\n"
    expected, _ = by_file(tmp_path, text)
    with serving(tmp_path, "--model_dir", ".", "-f", "served.model") as daemon:
        assert daemon.talk(text) == expected
        assert not (tmp_path / "session").exists()
