"""--refit: an effect of a loaded model is learned anew, with all other parts frozen."""

import random
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.models import arrays
from vwlite import Workspace
from vwlite.errors import OptionError

BIASES = "--bayes_linear --fixed none --shrink mean --random_effect user --random_effect item --sweeps 1"
RIDGES = "--effect_l2 user=3,item=2"


def rows(n: int = 800, seed: int = 1) -> list[tuple[float, str, str]]:
    source = random.Random(seed)
    taste = {f"u{k}": source.gauss(0, 1) for k in range(30)}
    good = {f"i{k}": source.gauss(0, 1) for k in range(20)}
    found = []
    for _ in range(n):
        user, item = source.choice(list(taste)), source.choice(list(good))
        found.append((round(3 + taste[user] + good[item] + source.gauss(0, 0.5), 3), user, item))
    return found


def write(path: Path, lines: list[tuple[float, str, str]]) -> str:
    path.write_text("".join(f"{label} |user {user} |item {item}\n" for label, user, item in lines))
    return str(path)


def predictions(model: str, data: str) -> list[float]:
    said = run("-t", "-i", model, data, "--quiet", "-p", "/dev/stdout").stdout
    return [float(line.split()[0]) for line in said.splitlines()]


def test_after_a_joint_fit_users_that_are_refitted_are_as_before(tmp_path):
    data = write(tmp_path / "d", rows())
    run(data, *BIASES.split(), *RIDGES.split(), "-f", f"{tmp_path}/whole", "--quiet")
    run("-i", f"{tmp_path}/whole", "--refit", "user", "--sweeps", "1", data, "-f", f"{tmp_path}/refit", "--quiet")
    before, after = (predictions(f"{tmp_path}/{name}", data) for name in ("whole", "refit"))
    assert after == pytest.approx(before, abs=1e-4)
    mine, theirs = arrays(tmp_path / "refit"), arrays(tmp_path / "whole")
    frozen = [name for name in theirs if ".item" in name]
    assert frozen
    assert all(mine[name] == theirs[name] for name in frozen)


def test_users_are_ridge_regressions_on_what_frozen_items_leave(tmp_path):
    whole, other = rows(), rows(300, seed=9)
    data, more = write(tmp_path / "d", whole), write(tmp_path / "e", other)
    flags = BIASES.replace("--shrink mean", "--shrink zero")
    run(data, *flags.split(), *RIDGES.split(), "-f", f"{tmp_path}/whole", "--quiet")
    run("-i", f"{tmp_path}/whole", "--refit", "user", more, "-f", f"{tmp_path}/refit", "--quiet")
    nobody = write(tmp_path / "n", [(0.0, "nobody", item) for _, _, item in other])
    items = predictions(f"{tmp_path}/whole", nobody)
    found = predictions(f"{tmp_path}/refit", more)
    for user in {row[1] for row in other}:
        own = [i for i, row in enumerate(other) if row[1] == user]
        effect = sum(other[i][0] - items[i] for i in own) / (len(own) + 3)
        for i in own:
            assert found[i] == pytest.approx(items[i] + effect, abs=1e-4)


@pytest.mark.parametrize(
    "flags",
    [
        "--bayes_linear --random_effect user --random_effect item",
        "--bayes_linear --random_effect user:c --random_effect item --fixed same",
        "--bayes_linear --random_effect user --random_effect item --fixed gd",
        f"{BIASES} --count_weight user=-0.5",
        "--bayes_linear --random_effect user --random_effect item --sweeps 3 --effect_l2 reml",
    ],
)
def test_users_of_whom_nothing_comes_are_new_again(tmp_path, flags):
    data = write(tmp_path / "d", rows())
    some = write(tmp_path / "some", [row for row in rows() if row[1] != "u1"])
    run(data, *flags.split(), "-f", f"{tmp_path}/whole", "--quiet")
    run("-i", f"{tmp_path}/whole", "--refit", "user", some, "-f", f"{tmp_path}/refit", "--quiet")
    paths = [write(tmp_path / name, [(0, name, "i1")]) for name in ("u1", "nobody", "u2")]
    one, nobody, known = (predictions(f"{tmp_path}/refit", path)[0] for path in paths)
    assert one == nobody
    assert known != nobody
    mine, theirs = arrays(tmp_path / "refit"), arrays(tmp_path / "whole")
    means = [name for name in theirs if name.endswith("item.mean")]
    assert all(mine[name] == theirs[name] for name in means)


def test_a_refit_is_the_same_with_or_without_what_users_were_before(tmp_path):
    data, more = write(tmp_path / "d", rows()), write(tmp_path / "e", rows(200, seed=5))
    for name, flags in (("a", ""), ("b", "--forget 0.9")):
        run(data, "--bayes_linear", "--random_effect", "user", "--random_effect", "item", "-f", f"{tmp_path}/{name}",
            "--quiet", *flags.split())  # fmt: skip
    run("-i", f"{tmp_path}/a", "--refit", "user", more, "-f", f"{tmp_path}/one", "--quiet")
    run("-i", f"{tmp_path}/one", "--refit", "user", more, "-f", f"{tmp_path}/two", "--quiet")
    assert predictions(f"{tmp_path}/one", more) == pytest.approx(predictions(f"{tmp_path}/two", more), abs=1e-5)


REFUSED = {
    "--refit nobody": "there is no such part, only user, item",
    "--refit fixed": "there is no such part, only user, item",
    "--refit user --freeze item": "does not go with --freeze: all other parts are frozen",
    "--refit user --entity_limit 3": "does not go with --entity_limit",
    "--refit user -t": "--refit has no effect",
}


@pytest.mark.parametrize("flags", REFUSED)
def test_refits_that_do_not_fit_are_refused(tmp_path, flags):
    data = write(tmp_path / "d", rows(100))
    run(data, "--bayes_linear", "--random_effect", "user", "--random_effect", "item", "-f", f"{tmp_path}/m", "--quiet")
    said = run("-i", f"{tmp_path}/m", *flags.split(), data, status=1).stderr
    assert REFUSED[flags] in said and said.count("\n") == 1


def test_a_refit_needs_a_model(tmp_path):
    data = write(tmp_path / "d", rows(100))
    said = run(data, "--bayes_linear", "--random_effect", "user", "--refit", "user", status=1).stderr
    assert "--refit has no effect" in said and said.count("\n") == 1


def test_a_workspace_has_no_refit_for_it_would_forget_its_users_whenever_it_is_copied(tmp_path):
    data = write(tmp_path / "d", rows(100))
    run(data, "--bayes_linear", "--random_effect", "user", "-f", f"{tmp_path}/m", "--quiet")
    with pytest.raises(OptionError, match="--refit has no effect"):
        Workspace.load(tmp_path / "m", "--refit user")


def test_threads_refit_the_same(tmp_path):
    data, more = write(tmp_path / "d", rows()), write(tmp_path / "e", rows(400, seed=5))
    flags = ["--bayes_linear", "--random_effect", "user", "--fixed", "none", "--shrink", "zero", "--effect_l2", "2"]
    run(data, *flags, "-f", f"{tmp_path}/m", "--quiet")
    for threads in ("1", "2"):
        run(
            "-i",
            f"{tmp_path}/m",
            "--refit",
            "user",
            more,
            "--threads",
            threads,
            "-f",
            f"{tmp_path}/{threads}",
            "--quiet",
        )
    run(more, *flags, "-f", f"{tmp_path}/alone", "--quiet")
    one, two, alone = (predictions(f"{tmp_path}/{name}", more) for name in ("1", "2", "alone"))
    assert one == two == pytest.approx(alone, abs=1e-5)


def test_passes_with_a_holdout_refit_too(tmp_path):
    data = write(tmp_path / "d", rows())
    run(data, "--bayes_linear", "--random_effect", "user", "--random_effect", "item", "-f", f"{tmp_path}/m", "--quiet")
    flags = f"--passes 3 -k --cache_file {tmp_path}/c --quiet"
    run("-i", f"{tmp_path}/m", "--refit", "user", data, *flags.split(), "-f", f"{tmp_path}/r")
    labels = [row[0] for row in rows()]
    errors = [
        sum((p - y) ** 2 for p, y in zip(predictions(f"{tmp_path}/{m}", data), labels, strict=True)) for m in "mr"
    ]
    assert errors[1] < 1.3 * errors[0]
