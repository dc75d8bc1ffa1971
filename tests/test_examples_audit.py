"""The audit of a model by its file, as it stands in the examples."""

import hashlib
import re

from tests.support.scripts import play


def test_a_stranger_audits_a_model(tmp_path):
    out, printed = play("", "audit.sh", tmp_path / "out")
    assert "phishing.model: reproduced bit for bit" in printed
    assert "note owner = web-team" in printed
    assert "flags: --l2: none, now 0.001" in printed
    auc = re.search(r"^auc +([\d.]+)", printed, re.M)
    assert auc and float(auc[1]) > 0.9
    explained = re.search(r"^([\d.]+)\n  score ", printed, re.M)
    alone = re.search(r"^(0\.\d{10,})$", printed, re.M)
    assert explained and alone and abs(float(explained[1]) - float(alone[1])) < 1e-6
    assert "phishing@example.org" in (out / "card.html").read_text()
    digest = hashlib.sha256((out / "journal.json").read_bytes()).hexdigest()
    assert printed.count(digest) == 2
    assert digest.encode() in (out / "public.model").read_bytes()
