"""The example of the HTTP service runs as it stands."""

import re

from tests.support.scripts import play


def test_models_behind_http_learn_and_survive_a_kill(tmp_path):
    played = play("", "serve.sh", tmp_path / "out")
    figures = dict(re.findall(r"^(\w+) = (\S+)$", played.printed, re.MULTILINE))
    assert float(figures["Accuracy"]) > 0.8
    assert "click 2\n" in played.printed
    assert "phishing 500\n" in played.printed
    assert "news 390\n" in played.printed
    (last,) = map(int, re.findall(r"of the last hundred: (\d+)", played.printed))
    assert last > 80
    assert 'vwlite_loss{model="phishing"}' in played.printed
    assert "<title>vwlite" in played.printed
    assert not (played.out / "pid").exists()
