"""The benchmark of --threads."""

import pytest

from benchmarks import threads


def test_a_case_is_measured_with_one_thread_and_with_several(capsys):
    words = ["--case", "full-20", "--scale", "0.0005", "--rounds", "1", "--threads", "2", "--wait", "0"]
    assert threads.main(words) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[2].startswith("| work | 1 thread, s | 2 threads, s | ratio |")
    assert len(rows) == 5 and rows[4].count("|") == rows[2].count("|")


def test_a_command_that_fails_is_reported(capsys, monkeypatch):
    monkeypatch.setattr(threads, "DEALT", "--no_such_flag")
    assert threads.main(["--case", "full-80", "--scale", "0.0005", "--rounds", "1", "--wait", "0"]) == 1
    assert "full-80:" in capsys.readouterr().err


@pytest.mark.parametrize("name", threads.CASES)
def test_data_is_the_same_for_a_seed(name):
    case = threads.CASES[name]
    assert list(threads.data(case, 5)) == list(threads.data(case, 5))
    assert all(line.count("x") == case.width for line in threads.data(case, 5))
