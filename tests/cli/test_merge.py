"""vwlite merge and vwlite entities: disjoint entities exactly, the same one twice as asked for, weights mixed."""

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.support.collisions import TWIN, USER
from tests.support.command import run
from tests.support.leftovers import fill, small_disk
from tests.support.tables import INDEPENDENT, command_line, means, require_same, rows, sums_in
from vwlite import Workspace, tables
from vwlite.cli import main
from vwlite.errors import OptionError
from vwlite.model import model_file
from vwlite.tables.model_merging import merge_models

LINEAR = f"--bayes_linear --noise 1 {INDEPENDENT}"


def shares(table: pa.Table, flags: str, folder: Path, n: int) -> list[str]:
    """Models of the shares of some rows."""
    share = tables.shares(table["user"], n)
    return [str(command_line(table.filter(pa.array(share == i)), flags, folder / f"s{i}")) for i in range(n)]


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line that a command fails with."""
    assert main(list(words)) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


@pytest.mark.parametrize(
    "kind", ["--bayes_linear --noise 1", "--bayes_logistic --posterior diagonal --batch_size 3", "--bayes_linear"]
)
def test_models_of_other_users_are_the_model_of_all_in_any_order(kind, tmp_path):
    flags, table = f"{kind} {INDEPENDENT}", rows()
    whole = command_line(table, flags, tmp_path / "whole")
    parts = shares(table, flags, tmp_path, 3)
    contents = set()
    for order in itertools.permutations(parts):
        assert main(["merge", *order, "-o", str(tmp_path / "merged"), "--quiet"]) == 0
        contents.add((tmp_path / "merged").read_bytes())
    assert len(contents) == 1
    require_same(whole, tmp_path / "merged")
    # in two steps, too
    merge_models(parts[:2], tmp_path / "two")
    merge_models([tmp_path / "two", parts[2]], tmp_path / "three")
    require_same(whole, tmp_path / "three")


def test_the_journal_lists_the_parents(tmp_path):
    parts = shares(rows(), LINEAR, tmp_path, 2)
    assert main(["merge", *parts, "-o", str(tmp_path / "merged")]) == 0
    (run_,) = model_file.open(tmp_path / "merged").metadata["journal"]
    ids = {Path(part).name: model_file.open(part).metadata["id"] for part in parts}
    assert {parent["name"]: parent["id"] for parent in run_["parents"]} == ids
    assert run_["examples"] == 1200
    shown = run("inspect", str(tmp_path / "merged")).stdout
    assert all(f"{name} ({key[:12]})" in shown for name, key in ids.items())
    # a merged model learns on, and says what it comes from
    assert main(["-i", str(tmp_path / "merged"), "-d", "/dev/null", "-f", str(tmp_path / "next"), "--quiet"]) == 0
    assert len(model_file.open(tmp_path / "next").metadata["journal"]) == 2


def posterior(x: np.ndarray, y: np.ndarray, ridge: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and precision of ridge regression: the normal equations."""
    precision = x.T @ x
    return np.linalg.solve(precision + ridge * np.eye(x.shape[1]), x.T @ y), precision


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_posteriors_of_one_user_add_up_to_that_of_all_examples(unit, tmp_path):
    """Squared loss: the sum over parts is the closed form of all examples, to rounding."""
    random = np.random.default_rng(1)
    n = 300
    x = np.column_stack([np.round(random.normal(size=(n, 3)), 3).astype(np.float32) * np.float32(unit), np.ones(n)])
    y = np.round(x @ [1 / unit, -0.5 / unit, 0.2 / unit, 0.3] + random.normal(size=n), 3).astype(np.float32)
    flags = "--bayes_linear --noise 1 --random_effect user:c --fixed none --shrink zero --effect_l2 2"
    names = ["a", "b", "d"]
    table = pa.table(
        {"user": ["ann"] * n, **{name: x[:, k].astype(np.float32) for k, name in enumerate(names)}, "y": y}
    )
    words = ("--label", "y", "--columns_in", "user:entity /^[a-d]$/:number@c")
    parts = [command_line(table.slice(k, 100), flags, tmp_path / f"p{k}", words) for k in (0, 100, 200)]
    merge_models(parts, tmp_path / "merged", "add")
    merged = Workspace.load(tmp_path / "merged")
    found = merged.coefficients("user", names=[f"c^{name}" for name in names])
    order = {"a": 0, "b": 1, "d": 2}
    place = [order.get(name.rpartition("^")[2], 3) for name in found["feature"].tolist()]
    mean, precision = posterior(x.astype(float), y.astype(float), 2.0)
    sd = np.sqrt(np.diag(np.linalg.inv(precision + 2 * np.eye(4))))
    np.testing.assert_allclose(found["mean"], mean[place], rtol=1e-9, atol=1e-12 * sd.min())
    np.testing.assert_allclose(found["sd"], sd[place], rtol=1e-9)
    # it is that of one run, but for the order of sums, whatever the order of the models
    whole = command_line(table, flags, tmp_path / "whole", words)
    one, two = (means(tables.export(path))["ann"] for path in (whole, tmp_path / "merged"))
    for number, value in one.items():
        assert two[number] == pytest.approx(value, rel=1e-9, abs=1e-10 * abs(mean).max() + 1e-12)
    merge_models(parts[::-1], tmp_path / "again", "add")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "merged").read_bytes()


def test_adding_a_user_of_four_coefficients_is_exact_to_1e_12(tmp_path):
    random = np.random.default_rng(2)
    n = 120
    x = np.round(random.normal(size=(n, 3)), 3)
    y = np.round(x @ [1, -0.5, 0.2] + 0.3 + random.normal(size=n), 3)
    lines = [
        f"{float(np.float32(label))} |user ann |c " + " ".join(f"f{k}:{v}" for k, v in enumerate(row))
        for label, row in zip(y, x, strict=True)
    ]
    flags = "--bayes_linear --noise 1 --random_effect user:c --fixed none --shrink zero --effect_l2 2"
    parts = []
    for k in range(4):
        workspace = Workspace(flags)
        workspace.learn(lines[30 * k : 30 * k + 30])
        parts.append(workspace.entities())
    found = tables.merge(parts, same="add").to_pylist()[0]
    design = np.column_stack([x.astype(np.float32).astype(float), np.ones(n)])
    mean, precision = posterior(design, y.astype(np.float32).astype(float), 2.0)
    np.testing.assert_allclose(found["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(found["precision"], precision[np.tril_indices(4)], rtol=1e-12, atol=1e-12)
    assert found["count"] == n
    assert tables.merge(parts, same="add").equals(tables.merge(parts[::-1], same="add"))


@pytest.mark.parametrize("kind", ["diagonal", "full"])
def test_a_product_of_logistic_posteriors_is_near_that_of_all_examples(kind, tmp_path):
    """An approximation, and said to be one: means within half a standard deviation, or one of diagonal posteriors."""
    flags, table = f"--bayes_logistic --posterior {kind} {INDEPENDENT}", rows(3000, 10)
    whole = Workspace.load(command_line(table, flags, tmp_path / "whole")).coefficients("user")
    parts = [str(command_line(table.slice(k, 1500), flags, tmp_path / f"p{k}")) for k in (0, 1500)]
    told: list[str] = []
    merge_models(parts, tmp_path / "merged", "add", told.append)
    assert "entities that several models have = 10" in told[0]
    assert "approximation" in told[0]
    merged = Workspace.load(tmp_path / "merged").coefficients("user")
    places = [
        {(e, f): k for k, (e, f) in enumerate(zip(t["entity"], t["number"], strict=True))} for t in (whole, merged)
    ]
    apart = [abs(whole["mean"][k] - merged["mean"][places[1][key]]) / whole["sd"][k] for key, k in places[0].items()]
    assert max(apart) < (0.5 if kind == "full" else 1)
    assert np.median(apart) < (0.1 if kind == "full" else 0.2)


def test_the_newest_state_is_the_one_that_learned_last(tmp_path):
    table = rows()
    first = command_line(table.slice(0, 700), LINEAR, tmp_path / "first")
    pa_words = ["-i", str(first), "-f", str(tmp_path / "second"), "--quiet"]
    import pyarrow.parquet as pq

    pq.write_table(table.slice(700), tmp_path / "more.parquet")
    assert main(["-d", str(tmp_path / "more.parquet"), *pa_words]) == 0
    merge_models([first, tmp_path / "second"], tmp_path / "merged", "newest")
    assert tables.export(tmp_path / "merged").equals(tables.export(tmp_path / "second"))
    merge_models([tmp_path / "second", first], tmp_path / "again", "newest")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "merged").read_bytes()


def test_the_same_user_twice_is_an_error_that_says_what_to_do(tmp_path, capsys):
    parts = [str(command_line(rows().slice(k, 600), LINEAR, tmp_path / f"p{k}")) for k in (0, 600)]
    (tmp_path / "old").write_text("kept")
    message = refusal(capsys, "merge", *parts, "-o", str(tmp_path / "old"))
    assert "is there twice, and so are" in message
    assert "--same add" in message
    assert (tmp_path / "old").read_text() == "kept"


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (
            "--bayes_linear --noise 1 --forget 0.9 --random_effect user --fixed none --shrink zero --effect_l2 1",
            "--forget",
        ),
        ("--bayes_linear --noise 1 --random_effect user --fixed none --effect_l2 1", "--shrink zero"),
        (f"--bayes_linear --posterior identity {INDEPENDENT}", "--posterior identity"),
    ],
)
def test_posteriors_that_can_not_be_added_are_refused(flags, why, tmp_path):
    parts = [command_line(rows().slice(k, 600), flags, tmp_path / f"p{k}") for k in (0, 600)]
    with pytest.raises(OptionError, match=f"can't be added: .*{why}"):
        merge_models(parts, tmp_path / "merged", "add")


def test_models_that_do_not_fit_are_refused(tmp_path, capsys):
    table = rows()
    one = str(command_line(table, LINEAR, tmp_path / "one"))
    other = str(command_line(table, LINEAR.replace("l2 2", "l2 3"), tmp_path / "other"))
    merged = str(tmp_path / "merged")
    message = refusal(capsys, "merge", one, other, "-o", merged)
    assert "--effect_l2 2" in message
    assert "--effect_l2 3" in message
    assert "the same model" in refusal(capsys, "merge", one, one, "-o", merged)
    assert "at least two" in refusal(capsys, "merge", one, "-o", merged)
    assert "same file" in refusal(capsys, "merge", one, other, "-o", one)
    gd = str(command_line(table, "", tmp_path / "gd"))
    refusal(capsys, "merge", one, gd, "-o", merged)
    same = f"--bayes_linear --noise 1 {INDEPENDENT}".replace("--fixed none", "--fixed same").replace(
        "--shrink zero", ""
    )
    parts = [str(command_line(table.slice(k, 600), same, tmp_path / f"f{k}")) for k in (0, 600)]
    message = refusal(capsys, "merge", *parts, "-o", merged, "--same", "newest")
    assert "their glm differ" in message
    (tmp_path / "damaged").write_bytes(Path(one).read_bytes()[:-5])
    assert "damaged" in refusal(capsys, "merge", str(tmp_path / "damaged"), other, "-o", merged)
    assert not Path(merged).exists()


def test_a_full_disk_leaves_the_older_model(tmp_path, capsys):
    parts = shares(rows(4000, 3000), LINEAR, tmp_path, 2)
    with small_disk(tmp_path / "disk", 1 << 18) as disk:
        (disk / "merged").write_text("kept")
        fill(disk)
        message = refusal(capsys, "merge", *parts, "-o", str(disk / "merged"))
        assert "any older model there is unchanged" in message
        assert (disk / "merged").read_text() == "kept"


def test_users_whose_names_have_one_hash_stay_apart(tmp_path):
    flags = "--bayes_linear --noise 1 --random_effect user --fixed none --shrink zero --effect_l2 1"
    parts = []
    for k, name in enumerate((USER, TWIN)):
        workspace = Workspace(flags)
        workspace.learn([f"{k + 1} |user ".encode() + name] * 9)
        workspace.save(tmp_path / f"m{k}")
        parts.append(tmp_path / f"m{k}")
    merge_models(parts, tmp_path / "merged")
    found = Workspace.load(tmp_path / "merged")
    assert found.predict([b"|user " + name for name in (USER, TWIN)]) == pytest.approx([0.9, 1.8])


# weights


def test_weights_are_mixed_and_that_is_said(tmp_path, capsys):
    table = rows(4000, 5)
    flags = "-b 12 --loss_function logistic"
    whole = command_line(table, flags, tmp_path / "whole")
    parts = [str(command_line(table.slice(k, 2000), flags, tmp_path / f"p{k}")) for k in (0, 2000)]
    assert main(["merge", *parts, "-o", str(tmp_path / "merged")]) == 0
    assert "parameter mixing" in capsys.readouterr().err
    losses = {}
    for name in ("whole", "merged", "p0"):
        score = Workspace(["-t", "-i", str(tmp_path / name)]).predict(table.drop_columns(["y"]))
        losses[name] = np.log1p(np.exp(-table["y"].to_numpy() * score)).mean()
    assert losses["merged"] == pytest.approx(losses["whole"], rel=0.02)
    assert main(["merge", *parts[::-1], "-o", str(tmp_path / "again"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert (tmp_path / "again").read_bytes() == (tmp_path / "merged").read_bytes()
    sums = [sums_in(path) for path in (whole, tmp_path / "merged")]
    assert sums[0].keys() == sums[1].keys()
    assert sums[1]["gd.total_weight"] == sums[0]["gd.total_weight"]
    # it learns on
    assert main(["-i", str(tmp_path / "merged"), "-d", str(whole) + ".parquet", "--quiet"]) == 0


def test_a_weight_that_one_model_has_learned_alone_stays(tmp_path):
    parts = []
    for name in ("a", "b"):
        workspace = Workspace("-b 10 --noconstant")
        workspace.learn([f"2 | {name}"] * 50)
        workspace.save(tmp_path / name)
        parts.append(tmp_path / name)
    merge_models(parts, tmp_path / "merged")
    merged = Workspace.load(tmp_path / "merged")
    for name in ("a", "b"):
        assert merged.predict(f"| {name}") == Workspace.load(tmp_path / name).predict(f"| {name}")


def test_plain_weights_are_averaged_by_examples(tmp_path):
    parts = []
    for k, n in ((0, 10), (1, 30)):
        workspace = Workspace("-b 10 --noconstant --sgd --learning_rate 0.5 --power_t 0")
        workspace.learn([f"{k} | a"] * n)
        workspace.save(tmp_path / f"m{k}")
        parts.append(workspace.predict("| a"))
    merge_models([tmp_path / "m0", tmp_path / "m1"], tmp_path / "merged")
    found = Workspace.load(tmp_path / "merged").predict("| a")
    assert found == pytest.approx((10 * parts[0] + 30 * parts[1]) / 40, rel=1e-6)


@pytest.mark.parametrize("flags", ["--ftrl", "--l2 0.01", "--oaa 3", "--oaa 3 --ftrl"])
def test_what_can_not_be_mixed_is_refused(flags, tmp_path):
    paths = []
    for k in range(2):
        workspace = Workspace(f"-b 10 {flags}")
        workspace.learn([f"{1 + (i + k) % 2} | a:{k + i}" for i in range(9)])
        workspace.save(tmp_path / f"m{k}")
        paths.append(tmp_path / f"m{k}")
    with pytest.raises(OptionError):
        merge_models(paths, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_effects_over_weights_are_merged_both(tmp_path, capsys):
    flags, table = "--bayes_linear --noise 1 --random_effect user:ctx --effect_l2 2 --fixed gd -b 12", rows()
    parts = shares(table, flags, tmp_path, 3)
    assert main(["merge", *parts, "-o", str(tmp_path / "merged")]) == 0
    assert "gd: the weights are mixed" in capsys.readouterr().err
    assert len(tables.export(tmp_path / "merged")) == 60


# tables in place of models


def test_a_model_goes_through_a_table_and_comes_back(tmp_path):
    for kind in ("--bayes_linear", "--bayes_logistic --posterior diagonal --batch_size 3", "--bayes_linear --fixed gd"):
        flags = f"{kind} {INDEPENDENT}" if "gd" not in kind else f"{kind} --random_effect user:ctx --effect_l2 2"
        model = command_line(rows(), flags, tmp_path / "model")
        table, again = str(tmp_path / "users.parquet"), tmp_path / "again"
        assert main(["entities", str(model), "-o", table]) == 0
        assert main(["entities", table, "-o", str(again), "--like", str(model)]) == 0
        metadata = json.loads(json.dumps(model_file.open(again).metadata))
        assert metadata["journal"][-1]["parent"] == model_file.open(model).metadata["id"]
        x = rows(seed=4, users=90).drop_columns(["y"])
        assert np.array_equal(Workspace.load(again).predict(x), Workspace.load(model).predict(x))
        sums, others = sums_in(model), sums_in(again)
        assert sums == others


def test_a_model_with_a_joint_fixed_part_comes_back_too(tmp_path):
    flags = "--bayes_linear --noise 1 --random_effect user:ctx --effect_l2 2"
    model = command_line(rows(), flags, tmp_path / "model")
    assert main(["entities", str(model), "-o", str(tmp_path / "t.parquet")]) == 0
    assert main(["entities", str(tmp_path / "t.parquet"), "-o", str(tmp_path / "again"), "--like", str(model)]) == 0
    x = rows(seed=4, users=90).drop_columns(["y"])
    found = [
        Workspace(["-i", str(path), "--columns", "prediction,sd"]).predict(x) for path in (model, tmp_path / "again")
    ]
    assert np.array_equal(*found)
    for workspace in (one := Workspace.load(model), two := Workspace.load(tmp_path / "again")):
        workspace.learn(rows(seed=5), y="y:number")
    assert np.array_equal(one.predict(x), two.predict(x))


def test_tables_are_merged_into_a_table(tmp_path, capsys):
    parts = shares(rows(), LINEAR, tmp_path, 2)
    names = [str(tmp_path / f"t{k}.parquet") for k in range(2)]
    for part, name in zip(parts, names, strict=True):
        assert main(["entities", part, "-o", name]) == 0
    merged = str(tmp_path / "all.parquet")
    assert main(["merge", *names, "-o", merged]) == 0
    assert tables.read(merged).equals(tables.merge([tables.read(name) for name in names]))
    content = Path(merged).read_bytes()
    assert main(["merge", *names[::-1], "-o", merged]) == 0
    assert Path(merged).read_bytes() == content
    assert "things of one kind" in refusal(capsys, "merge", names[0], parts[0], "-o", merged)
    assert "--like" in refusal(capsys, "entities", names[0], "-o", str(tmp_path / "m"))
    other = str(command_line(rows(), f"--bayes_linear --posterior diagonal {INDEPENDENT}", tmp_path / "diagonal"))
    message = refusal(capsys, "entities", names[0], "-o", str(tmp_path / "m"), "--like", other)
    assert "--posterior" in message
    assert not (tmp_path / "m").exists()


def test_models_with_a_limit_of_entities_are_merged(tmp_path):
    table = rows()
    parts = shares(table, LINEAR, tmp_path, 2)
    share = tables.shares(table["user"], 2)
    limited = command_line(table.filter(pa.array(share == 0)), f"{LINEAR} --entity_limit 5", tmp_path / "limited")
    merge_models([limited, parts[1]], tmp_path / "merged")
    require_same(command_line(table, LINEAR, tmp_path / "whole"), tmp_path / "merged")
