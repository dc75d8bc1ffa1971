"""Files of format 1, as vwlite 0.1.0 wrote them (tests/data/format_1/make.sh): every later version must read them.

The cache among them is read in tests/parsers/test_caches.py.
"""

import shutil
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.daemon import serving

STORED = Path(__file__).parents[1] / "data" / "format_1"
OF_LINES = ("linear", "flat", "effects", "same", "stored", "embedding")
BATCHES = "same"  # its pending batches are learned before it predicts, by the estimate of the prior of today
OF_DECISIONS = ("thompson", "epsilon")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the stored files, which is the current directory."""
    copy = tmp_path / "format_1"
    shutil.copytree(STORED, copy)
    monkeypatch.chdir(copy)
    return copy


def expected(name):
    return (STORED / f"{name}.expected").read_text()


def is_expected(found, name):
    """Whether predictions are those of 0.1.0: to the last digit, unless batches are pending."""
    if name != BATCHES:
        return found == expected(name)
    pairs = zip(found.splitlines(), expected(name).splitlines(), strict=True)
    apart = [(abs(float(a.split()[0]) - float(b.split()[0])), a.split()[1] == b.split()[1]) for a, b in pairs]
    return max(apart)[0] < 0.1 and all(same for _, same in apart) and sum(by == 0 for by, _ in apart) >= 10


@pytest.mark.parametrize("name", OF_LINES)
def test_a_model_predicts_what_it_predicted(name, folder):
    found = run("-t", "--quiet", "-i", f"{name}.model", "probe.vw", "-p", "/dev/stdout").stdout
    assert is_expected(found, name)


@pytest.mark.parametrize("name", OF_DECISIONS)
def test_a_model_of_decisions_scores_as_it_scored(name, folder):
    words = ("-t", "--quiet", "-i", f"{name}.model", "--explore", "greedy", "decisions_probe.vw", "-r", "/dev/stdout")
    assert run(*words).stdout == expected(name)


@pytest.mark.parametrize("name", OF_LINES)
def test_a_model_saved_again_in_the_format_of_today_predicts_the_same(name, folder):
    run("--quiet", "-i", f"{name}.model", "-f", "today.model", "--allow_empty", text=" |n unlabelled\n")
    words = ("-t", "--quiet", "-i", "today.model", "probe.vw", "-p", "/dev/stdout")
    assert is_expected(run(*words).stdout, name)


@pytest.mark.parametrize("name", OF_LINES)
def test_a_model_goes_on_learning(name, folder):
    run("--quiet", "-i", f"{name}.model", "more.vw", "-f", "today.model")
    after = run("-t", "--quiet", "-i", "today.model", "probe.vw", "-p", "/dev/stdout").stdout
    assert after != expected(name)
    assert len(after.splitlines()) == len(expected(name).splitlines())


def test_a_journal_is_learned_from_its_checkpoint_on(folder):
    flags = ("--bayes_linear", "--random_effect", "user:x", "--journal", "journal")
    with serving(folder, *flags) as daemon:
        answers = daemon.talk((STORED / "probe.vw").read_bytes()).decode()
    assert answers == expected("journal")
