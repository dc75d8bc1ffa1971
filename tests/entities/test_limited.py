"""--entity_limit moves entities and changes no prediction."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.models import arrays
from tests.support.stores import EFFECT, limited, probe, state, traffic, trained
from vwlite.cli import main
from vwlite.engine.workspace import Workspace
from vwlite.entities import store as entity_store
from vwlite.entities.store_file import StoreFile
from vwlite.errors import OptionError

FLAGS = [
    EFFECT,
    "--bayes_linear --random_effect user:* --random_effect item --posterior full --forget 0.9",
    "--bayes_linear --random_effect user:x --posterior diagonal --forget 0.8 --shrink mean --fixed same",
    "--bayes_linear --random_effect user:x --effect_l2 auto --entity_min 2 --count_weight user=-0.5",
    "--bayes_linear --random_effect user:x --random_effect item --batch_size 3 --posterior diagonal",
    "--loss_function logistic --bayes_logistic --random_effect user:x,y --posterior full --batch_size 2",
    "--loss_function logistic --bayes_logistic --random_effect user:x --forget 0.9 --forget_time t",
]
LINES = st.builds(
    lambda label, user, item, a, b: f"{label} |user u{user} |item i{item} |x a:{a} b{b} |y c |t time:{a}",
    st.sampled_from([1, -1]),
    st.integers(0, 8),
    st.integers(0, 3),
    st.sampled_from([0.5, 1, 2.25]),
    st.integers(0, 70),
)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["learn", "predict"]), st.lists(LINES, min_size=1, max_size=12)),
    st.tuples(st.just("sensitivity"), LINES),
    st.tuples(st.just("reload"), st.one_of(st.none(), st.integers(1, 6))),
)


@pytest.fixture(scope="module", autouse=True)
def unflushed():
    """Thousands of saves that need not outlive the machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@settings(max_examples=100)
@given(st.sampled_from(FLAGS), st.integers(1, 6), st.lists(STEPS, min_size=1, max_size=10))
def test_a_limit_changes_no_prediction_and_nothing_that_is_learned(tmp_path_factory, flags, limit, steps):
    folder = tmp_path_factory.mktemp("store")
    plain, other = Workspace(flags), Workspace(f"{flags} {limited(limit)}")
    for what, argument in steps:
        if what == "reload":
            plain.save(folder / "plain")
            other.save(folder / "other")
            plain = Workspace.load(folder / "plain")
            other = Workspace.load(folder / "other", limited(argument) if argument else "")
        else:
            assert getattr(other, what)(argument) == getattr(plain, what)(argument)
    other.save(folder / "other")
    plain.save(folder / "plain")
    lines = [f"|user u{user} |item i1 |x a b{user} |y c" for user in range(9)]
    tested = Workspace.load(folder / "plain", "-t").predict(lines)  # what waits for its batch is learned
    assert Workspace.load(folder / "other", f"-t {limited(limit)}").predict(lines) == tested
    Workspace.load(folder / "other").save(folder / "whole")  # all in memory, in the order in which they were met
    assert arrays(folder / "whole") == arrays(folder / "plain")


def test_no_more_entities_are_in_memory_than_allowed():
    workspace = Workspace(f"{EFFECT} {limited(7)}")
    learner = next(effect for effect in workspace.top.base.beside)
    for line in traffic(500, 60, 3):
        workspace.learn(line)
        workspace.predict("|user stranger |x a b")
        assert learner.table.count <= 7
    figures = learner.metrics()
    assert figures["random_effect.user entities in memory"] + figures["random_effect.user entities on disk only"] == 60


def test_the_order_of_entities_is_that_in_which_they_were_met():
    lines = traffic(200, 30, 4)
    tables = []
    for flags in (EFFECT, f"{EFFECT} {limited(4)}"):
        workspace = Workspace(flags)
        workspace.learn(lines)
        tables.append(list(workspace.top.base.beside[0].entities()))
    assert tables[0] == tables[1]
    assert len(tables[0]) > 20


def test_an_interrupted_move_to_disk_is_made_up_for(tmp_path, monkeypatch):
    plain, other = Workspace(EFFECT), Workspace(f"{EFFECT} {limited(3)}")
    for workspace in (plain, other):
        workspace.learn(traffic(100, 20, 1))
    write = entity_store.EntityStore.write

    def interrupted(store, number, rows):
        def some():
            yield rows[0]
            raise KeyboardInterrupt

        write(store, number, some())

    with monkeypatch.context() as patch:
        patch.setattr(entity_store.EntityStore, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            other.save(tmp_path / "m")
    assert other.predict(probe(20)) == plain.predict(probe(20))
    other.save(tmp_path / "m")
    assert state(tmp_path / "m", users=20) == plain.predict(probe(20))


def test_predicting_changes_nothing_that_is_saved(tmp_path):
    trained(tmp_path / "m")
    before = list(StoreFile(str(tmp_path / "m.entities")).rows("random_effect.user"))
    workspace = Workspace.load(tmp_path / "m", limited(2))
    workspace.predict([*probe(40), "|user nobody |x a"])
    workspace.save(tmp_path / "n")
    assert list(StoreFile(str(tmp_path / "n.entities")).rows("random_effect.user")) == before


def test_a_model_without_a_limit_can_be_used_with_one_and_back(tmp_path):
    expected = trained(tmp_path / "plain", flags="")
    assert state(tmp_path / "plain", limit=2) == expected
    Workspace.load(tmp_path / "plain", limited(2)).save(tmp_path / "limited")
    Workspace.load(tmp_path / "limited").save(tmp_path / "back")
    assert arrays(tmp_path / "back") == arrays(tmp_path / "plain")
    assert not (tmp_path / "back.entities").exists()


def test_a_model_with_a_store_can_be_the_fixed_effect_of_another(tmp_path):
    for name, flags in (("plain", ""), ("limited", limited(3))):
        trained(tmp_path / name, flags)
        other = Workspace(f"--fixed_effect {tmp_path / name}")
        other.learn(traffic(20, 40, 2))
        other.save(tmp_path / f"{name}.other")
    states = [Workspace.load(tmp_path / f"{name}.other").predict(probe(40)) for name in ("plain", "limited")]
    assert states[0] == states[1]


def test_a_model_saved_over_one_with_a_store_leaves_no_store(tmp_path):
    trained(tmp_path / "m")
    trained(tmp_path / "m", flags="")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


# the command line


def run(*words, capsys=None):
    status = main([str(word) for word in words])
    return status, capsys.readouterr().err if capsys else ""


def test_a_run_says_where_entities_are_and_testing_writes_nothing_beside_the_model(tmp_path, capsys):
    data = tmp_path / "data"
    data.write_text("\n".join(traffic(400, 50, 1)) + "\n")
    model = tmp_path / "m"
    status, said = run("-d", data, *EFFECT.split(), *limited(8).split(), "-f", model, capsys=capsys)
    assert status == 0
    assert "random_effect.user entities in memory = 8\nrandom_effect.user entities on disk only = 42\n" in said
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert sorted(before) == ["data", "m", "m.entities"]
    assert run("-t", "-i", model, "-d", data, *limited(3).split())[0] == 0
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()} == before
    capsys.readouterr()
    assert main(["inspect", str(model)]) == 0
    said = capsys.readouterr().out
    assert f"random_effect.user  50 entities, 150 coefficients, in {model}.entities" in said
    assert "entities of random_effect.user with most examples\n" in said


def test_a_readable_model_has_all_entities(tmp_path):
    data = tmp_path / "data"
    data.write_text("\n".join(traffic(100, 20, 1)) + "\n")
    for name, limit in (("plain", []), ("limited", limited(2).split())):
        assert run("-d", data, *EFFECT.split(), "--quiet", "--invert_hash", tmp_path / name, *limit)[0] == 0
    plain, limited_one = ((tmp_path / name).read_text() for name in ("plain", "limited"))
    assert plain == limited_one
    assert "\nu3\tx^b\t" in plain


def test_the_model_after_each_pass_has_a_store_of_its_own(tmp_path):
    data = tmp_path / "data"
    data.write_text("\n".join(traffic(100, 20, 1)) + "\n")
    words = ["-d", data, *EFFECT.split(), "--passes", "3", "-c", "--holdout_off", "--save_per_pass", "--quiet"]
    for name, limit in (("plain", []), ("limited", limited(4).split())):
        assert run(*words, "-f", tmp_path / name, *limit)[0] == 0
    for suffix in (".0", ".1", ".2", ""):
        assert state(f"{tmp_path}/limited{suffix}", users=20) == state(f"{tmp_path}/plain{suffix}", users=20)


@pytest.mark.parametrize("flags", ["--bayes_linear --sweeps 2", "--square", "--bayes_linear --batch_size all"])
def test_sweeps_and_a_limit_are_refused_together_unless_nothing_is_learned(flags, tmp_path):
    flags = f"{flags} --random_effect user:x"
    with pytest.raises(OptionError, match="--sweeps"):
        Workspace(f"{flags} {limited(3)}")
    data = tmp_path / "data"
    data.write_text("\n".join(traffic(100, 20, 1)) + "\n")
    assert run("-d", data, *flags.split(), "-f", tmp_path / "m", "--quiet")[0] == 0
    for name, limit in (("plain", []), ("limited", limited(3).split())):
        assert run("-t", "-i", tmp_path / "m", "-d", data, "-p", tmp_path / name, "--quiet", *limit)[0] == 0
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "limited").read_bytes()


def test_places_where_no_store_can_be_are_refused_before_the_run(tmp_path, capsys):
    words = ["-d", "/dev/null", *EFFECT.split(), *limited(3).split(), "-f"]
    status, said = run(*words, "/dev/stdout", capsys=capsys)
    assert status != 0 and "name a regular file" in said
    (tmp_path / "m.entities").write_text("somebody's notes")
    status, said = run(*words, tmp_path / "m", capsys=capsys)
    assert status != 0 and "is no store of entities" in said
    assert (tmp_path / "m.entities").read_text() == "somebody's notes"
