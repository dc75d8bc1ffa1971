"""What entities share: shares of rows, reasons against shares, and hyperparameters from sums over all shares."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from tests.support.tables import COLUMNS, in_shares, learned, rows
from vwlite import Workspace, tables
from vwlite.errors import OptionError

EXACT = "--random_effect user:ctx --fixed none --shrink zero --effect_l2 2"


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (f"--bayes_linear {EXACT}", ""),
        (f"--bayes_logistic {EXACT} --posterior diagonal --batch_size 5 --forget 0.9", ""),
        ("--bayes_linear --random_effect user --fixed none --shrink zero", "--effect_l2 auto"),
        ("--square --random_effect user --fixed none --shrink zero --effect_l2 reml", "--effect_l2 auto"),
        ("--bayes_linear --random_effect user --fixed none --effect_l2 1", "--shrink mean"),
        ("--bayes_linear --random_effect user --effect_l2 1", "--fixed same"),
        ("--bayes_linear --random_effect user --effect_l2 1 --fixed gd", "--fixed gd"),
        ("--bayes_linear --random_effect user --effect_l2 1 --fixed gd --freeze fixed", ""),
        (f"--bayes_linear {EXACT} --count_weight user=-0.5", "--count_weight"),
        (f"--bayes_linear {EXACT} --random_effect item", "the effect item"),
        (f"--bayes_linear {EXACT} --transform x:scale", "--transform"),
    ],
)
def test_reasons_against_shares(flags, reason):
    found = tables.crossing(flags)
    assert len(found) == bool(reason)
    assert all(one.startswith(reason) for one in found)


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["a", "b c", "b_c", None, "a", "x" * 10_000, "é"] * 20),
        pa.array(["a", "b c", "b_c", None, "a", "b:c", "é"] * 20).dictionary_encode(),
        pa.array(["a", "b c", "b_c", None, "a", "b:c", "é"] * 20, pa.large_string()),
        pa.array(["a", "b c", "b_c", None, "a", "b:c", "é"] * 20, pa.string_view()),
        pa.array([1, 2, 2**60, None, 2**60 + 1, 5, 6] * 20),
        pa.array([1, 2.5, 1e16, None, 1e17, 5, 6] * 20),
        pa.array([1, 2, 3, None, 10**19 + 1, 10**19, 6] * 20, pa.decimal128(25, 0)),
        pa.array([b"\xff", b"a", b"a b", None, b"", b"\x00", b"_"] * 20),
        pa.array([True, False, None, True, True, False, False] * 20),
    ],
)
def test_rows_of_one_entity_are_in_one_share(ids):
    """Names that vwlite can't tell apart in the rows have one share."""
    flags = "--bayes_linear --noise 1 --random_effect user --fixed none --shrink zero --effect_l2 2"
    for n in (1, 2, 7):
        share = tables.shares(ids, n)
        assert share.min() >= 0
        assert share.max() < n
        assert not share[np.asarray(ids.is_null())].any()
        assert np.array_equal(tables.shares(ids[5:], n), share[5:])
        assert np.array_equal(tables.shares(pa.chunked_array([ids[:5], ids[5:]]), n), share)
        found = []
        plain = ids.cast(pa.string()) if pa.types.is_string_view(ids.type) else ids  # which filter() doesn't take
        for i in range(n):
            batch = pa.record_batch({"user": plain, "y": [1.0] * len(ids)}).filter(pa.array(share == i))
            found += [
                name
                for part in tables.learn(flags, [batch], label="y", columns="user:entity")
                for name in part.column("entity").to_pylist()
            ]
        assert len(found) == len(set(found))
    assert tables.shares(pa.array([], pa.string()), 3).tolist() == []
    assert tables.shares(pa.chunked_array([], pa.string()), 3).tolist() == []


def texts(batches):
    return [batch.schema.metadata[b"vwlite.entities"].decode() for batch in batches]


def test_estimates_from_sums_are_near_those_of_one_process():
    """Ridge and noise from the sums of four shares, within 10% of those that one process ends with."""
    random = np.random.default_rng(3)
    n, users = 20_000, 400
    user, x = random.integers(0, users, n), random.normal(size=n)
    y = random.normal(0, 0.7, users)[user] + random.normal(0, 0.7, users)[user] * x + random.normal(0, 1.5, n)
    table = pa.table({"user": [f"u{i}" for i in user], "x": x, "city": ["c"] * n, "off": [np.float32(0)] * n, "y": y})
    flags = "--bayes_linear --random_effect user:ctx --fixed none --shrink zero"
    whole = Workspace(flags)
    whole.learn(table, y="y", columns=COLUMNS)
    ridge, noise = estimates(whole)
    words = tables.hyperparameters(flags, texts(in_shares(flags, table, 4, label="y")))
    found = dict(pairwise(words))
    assert float(found["--noise"]) == pytest.approx(noise, rel=0.02)
    assert float(found["--noise"]) == pytest.approx(1.5**2, rel=0.05)
    assert float(found["--effect_l2"]) == pytest.approx(ridge, rel=0.1)
    assert tables.crossing(words) == []
    # the second time all shares are as one process, to the last bit
    again = pa.Table.from_batches(learned(words, table, label="y"))
    assert tables.merge(in_shares(words, table, 4, label="y")).equals(again)


def estimates(workspace):
    """The ridge and the noise that a workspace has estimated."""
    head = json.loads(workspace.entities().schema.metadata[b"vwlite.entities"])["sums"]
    single = {name.rpartition(".")[2]: values[0] for name, (_, values) in head.items() if len(values) == 1}
    return single["l2"], single["noise_sum"] / single["noise_count"]


def test_given_numbers_stay_as_they_are():
    flags = "--bayes_logistic --random_effect user:ctx --fixed none --shrink zero --effect_l2 3"
    assert tables.hyperparameters(flags, texts(learned(flags, rows()))) == flags.split()
    auto = "--bayes_logistic --random_effect user:ctx --fixed none --shrink zero --effect_l2=auto"
    words = tables.hyperparameters(auto, texts(in_shares(auto, rows(), 3)))
    assert words[:-2] == auto.split()[:-1]
    assert words[-2] == "--effect_l2"
    assert float(words[-1]) > 0


def test_what_can_not_be_given_is_refused():
    flags = "--bayes_linear --random_effect user:ctx --fixed none"
    with pytest.raises(OptionError, match="--shrink mean"):
        tables.hyperparameters(flags, texts(learned(flags, rows())))
    with pytest.raises(OptionError, match="no sums"):
        tables.hyperparameters(f"{flags} --shrink zero", [])
