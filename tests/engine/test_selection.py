"""--sample, --sample_weights, --shuffle, --interleave and --holdout: which examples a run uses, and in which order."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from tests.support.models import Arrays, arrays
from tests.support.multiline import decisions
from vwlite.cli import main
from vwlite.core.draws import at
from vwlite.core.sides import side
from vwlite.input.selecting import poisson_quantile

LINES = [f"{i % 3} 1 0.1 t{i}|a x:{i % 5} y:{i / 7} |b z{i % 4} |a w:{i % 2}" for i in range(3000)]
NUMBER = re.compile(r"t(\d+)$", re.M)


def order(run, lines, *words: str) -> list[int]:
    """The numbers of the lines, in the order in which they were learned."""
    return [int(found) for found in NUMBER.findall(run(lines, *words)[0])]


def result(folder: Path, words: list[str]) -> tuple[str, Arrays]:
    assert main([*words, "-p", str(folder / "p"), "-f", str(folder / "m"), "--quiet"]) == 0
    return (folder / "p").read_text(), arrays(folder / "m")


# shuffle


@pytest.mark.parametrize("n", [2, 7, 1000, 2999, 5000])
def test_each_n_examples_are_put_in_another_order(run, n):
    found = order(run, LINES, "--shuffle", str(n))
    for begin in range(0, 3000, n):
        assert sorted(found[begin : begin + n]) == list(range(begin, min(begin + n, 3000)))
    assert found != list(range(3000))


def test_all_orders_are_equally_likely(run):
    seen = Counter(tuple(order(run, LINES[:3], "--shuffle", "3", "--random_seed", str(seed))) for seed in range(300))
    assert len(seen) == 6 and all(25 <= count <= 80 for count in seen.values())


@pytest.mark.parametrize("flags", ["", "-q ab", "--passes 3 -c", "--passes 2 -c --holdout_off", "--examples 50"])
def test_a_shuffled_run_is_one_over_shuffled_lines_whatever_the_threads(run, flags):
    words = ["--shuffle", "100", "--random_seed", "5"]
    shuffled = [LINES[i] for i in order(run, LINES, *words)]
    expected = run(shuffled, *flags.split(), "--random_seed", "5")
    assert run(LINES, *words, *flags.split()) == expected
    assert run(LINES, *words, *flags.split(), "--onethread") == expected


def test_another_seed_gives_another_order(run):
    one, two = (order(run, LINES, "--shuffle", "50", "--random_seed", seed) for seed in ("1", "2"))
    assert one != two


def test_decisions_are_shuffled_whole(run):
    lines = [text if text else "" for text in decisions(40)]
    text = "\n".join(lines).strip("\n") + "\n"
    whole = [[*part.split("\n"), ""] for part in text.split("\n\n") if part.strip()]
    for i, part in enumerate(whole):
        part[0] = re.sub(r"^(shared|[\d.:-]*) ?('?\w*)?\|", rf"\1 'd{i}|", part[0], count=1)
    lines = [text for part in whole for text in part]
    predictions, _ = run(lines, "--cb_adf", "--shuffle", "10")
    found = [int(one) for one in re.findall(r"d(\d+)$", predictions, re.M)]
    assert sorted(found) == list(range(len(whole))) and found != sorted(found)
    again = [text for i in found for text in whole[i]]
    assert run(again, "--cb_adf") == run(lines, "--cb_adf", "--shuffle", "10")


def test_malformed_lines_are_reported_in_order_with_their_places(tmp_path, capsys):
    (tmp_path / "a.vw").write_text("1 | a\njunk a\n" * 3)
    (tmp_path / "b.vw").write_text("\n1 | b:2\n1 | b:c:d\n")
    words = ["-d", str(tmp_path / "a.vw"), "-d", str(tmp_path / "b.vw"), "--quiet", "--strict_parse"]
    for more, place in ([], "a.vw:2:1"), (["--shuffle", "20"], "a.vw:2:1"), (["--interleave"], "a.vw:2:1"):
        assert main([*words, *more]) == 1
        assert place in capsys.readouterr().err
    words = words[:4]
    for more in (["--shuffle", "20"], ["--interleave"], ["--where", "has a or has b"]):
        assert main([*words, *more]) == 0
        found = re.findall(r"skipped \S*?(\w\.vw:\d+:\d+)", capsys.readouterr().err)
        assert sorted(found) == ["a.vw:2:1", "a.vw:4:1", "a.vw:6:1", "b.vw:3:8"]


def test_a_label_that_a_learner_refuses_is_reported_with_its_place(tmp_path, capsys):
    (tmp_path / "a.vw").write_text("1 | a\n2 | a\n")
    (tmp_path / "b.vw").write_text("1 | b\n9 | b\n")
    words = ["-d", str(tmp_path / "a.vw"), "-d", str(tmp_path / "b.vw"), "--oaa", "3"]
    for more in ([], ["--shuffle", "9"], ["--interleave"]):
        assert main([*words, *more]) == 0
        assert re.search(r"skipped \S*b\.vw:2:1: there is no class", capsys.readouterr().err)


# interleave


@pytest.mark.parametrize("sizes", [(5, 5), (3, 1, 4), (0, 2, 0), (2500, 10, 1200, 1, 1, 30)])
def test_sources_are_read_in_turn(tmp_path, sizes):
    turns = []
    words = []
    for k, size in enumerate(sizes):
        lines = [f"{i % 2} s{k}n{i}|a x{k} y:{i}" for i in range(size)]
        turns += [(i, k, text) for i, text in enumerate(lines)]
        (tmp_path / f"{k}.vw").write_text("".join(f"{text}\n" for text in lines))
        words += ["-d", str(tmp_path / f"{k}.vw")]
    (tmp_path / "all.vw").write_text("".join(f"{text}\n" for *_, text in sorted(turns)))
    expected = result(tmp_path, ["-d", str(tmp_path / "all.vw")])
    for more in ([], ["--onethread"]):
        assert result(tmp_path, [*words, "--interleave", *more]) == expected
    passes = ["--passes", "3", "-c", "--holdout_off"]
    assert result(tmp_path, [*words, "--interleave", *passes]) == result(
        tmp_path, ["-d", str(tmp_path / "all.vw"), *passes]
    )


def test_tables_and_json_are_read_in_turn(tmp_path):
    for k in range(2):
        rows = [(f"k{k}n{i}", f"c{i % 3}", str(i % 5 - 2)) for i in range(5 + k)]
        (tmp_path / f"{k}.csv").write_text("".join(",".join(row) + "\n" for row in [("id", "c", "y"), *rows]))
        records = [{"_tag": name, "c": c, "_label": int(y)} for name, c, y in rows]
        (tmp_path / f"{k}.ndjson").write_text("".join(json.dumps(record) + "\n" for record in records))
    table = ["--label", "y", "--columns_in", "id:tag c:category"]
    found = result(tmp_path, ["-d", str(tmp_path / "0.csv"), "-d", str(tmp_path / "1.csv"), "--interleave", *table])
    assert re.findall(r"k\dn\d", found[0]) == [f"k{k}n{i}" for i in range(5) for k in range(2)] + ["k1n5"]
    words = ["-d", str(tmp_path / "0.ndjson"), "-d", str(tmp_path / "1.ndjson"), "--interleave"]
    assert result(tmp_path, words)[0] == found[0]


# sample


def test_a_sample_has_about_that_share_and_is_the_same_in_each_run(run):
    found = order(run, LINES, "--sample", "0.2")
    assert 520 < len(found) < 680 and found == sorted(found)
    assert order(run, LINES, "--sample", "0.2", "--onethread") == found
    other = order(run, LINES, "--sample", "0.2", "--random_seed", "1")
    assert len(set(found) & set(other)) < 200
    assert order(run, LINES, "--sample", "1") == list(range(3000))
    for flags in ("", "--passes 3 -c", "-q ab"):
        sampled = run([LINES[i] for i in found], *flags.split())
        assert run(LINES, "--sample", "0.2", *flags.split()) == sampled


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_weights_have_the_poisson_distribution(u):
    assert poisson_quantile(u) == pytest.approx(poisson.ppf(u, 1))


def test_a_bootstrap_replicate_is_the_lines_with_drawn_weights(run):
    words = ["--sample_weights", "poisson", "--random_seed", "3"]
    used = order(run, LINES, *words)
    seed = at(3, 2)[0]
    drawn = [int(poisson.ppf(at(seed, i)[1], 1)) for i in range(3000)]
    assert [i for i in range(3000) if drawn[i]] == used
    assert abs(np.mean(drawn) - 1) < 0.08 and abs(np.var(drawn) - 1) < 0.15
    lines = [text.replace(" 1 0.1 ", f" {weight} 0.1 ") for text, weight in zip(LINES, drawn, strict=True) if weight]
    assert run(LINES, *words) == run(lines, "--random_seed", "3")
    assert run(LINES, *words, "--passes", "2", "-c") == run(lines, "--random_seed", "3", "--passes", "2", "-c")


def test_a_decision_has_one_drawn_weight(run, tmp_path):
    rng = random.Random(4)
    log = [
        {
            "_label_cost": rng.choice([-1, 0]),
            "_label_probability": 0.5,
            "_labelIndex": rng.randrange(2),
            "c": {"u": rng.randrange(5), "_multi": [{"a": i % 3}, {"b": 1}]},
        }
        for i in range(300)
    ]
    seed = at(3, 2)[0]
    drawn = [int(poisson.ppf(at(seed, i)[1], 1)) for i in range(300)]
    for line, weight in zip(log, drawn, strict=True):
        line["_skipLearn"] = weight not in (0, 1, 2, 4)  # 1 / (1 - pdrop) is not exactly 3
    weighted = [line | {"pdrop": 1 - 1 / weight} for line, weight in zip(log, drawn, strict=True) if weight]
    for name, lines in (("log", log), ("weighted", weighted)):
        (tmp_path / f"{name}.dsjson").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for stack in ("--cb_explore_adf", "--cb_adf --cb_type dr", "--thompson --bayes_logistic", "--passes 2 -c --cb_adf"):
        words = [*stack.split(), "--random_seed", "3"]
        found = result(tmp_path, ["-d", str(tmp_path / "log.dsjson"), *words, "--sample_weights", "poisson"])
        assert found == result(tmp_path, ["-d", str(tmp_path / "weighted.dsjson"), *words])


# holdout


@pytest.mark.parametrize("flags", ["", "-c", "--passes 3 -c", "-q ab", "--onethread", "--where b^z1==1"])
def test_what_is_held_out_teaches_nothing(run, flags):
    learned = [text for text, i in zip(LINES, range(3000), strict=True) if side(f"t{i}".encode()) < 0.8]
    assert 500 < 3000 - len(learned) < 700
    passes = "--passes" in flags
    # the model of the last pass is the best one here
    _, model = run(LINES, "--holdout", "0.2", *flags.split(), *(["--early_terminate", "9"] if passes else []))
    _, expected = run(learned, *flags.split(), *(["--holdout_off"] if passes else []))
    weights = [name for name in model if name.startswith("gd.")]
    assert weights and {name: model[name] for name in weights} == {name: expected[name] for name in weights}


def losses(text: str) -> str:
    return re.findall(r"average loss = (.*)", text)[-1]


def test_the_same_examples_are_held_out_whatever_their_order_and_format(tmp_path, capsys):
    rows = [{"a": i % 7, "b": f"c{i % 5}", "z": i / 3, "_label": i % 4} for i in range(400)]
    mixed = random.Random(1).sample(rows, 400)
    sources = {
        "one.ndjson": "".join(json.dumps(row) + "\n" for row in rows),
        "keys.ndjson": "".join(json.dumps(dict(reversed(row.items()))) + "\n" for row in rows),
        "mixed.ndjson": "".join(json.dumps(row) + "\n" for row in mixed),
        "one.csv": "a,b,z,y\n" + "".join(f"{r['a']},{r['b']},{r['z']!r},{r['_label']}\n" for r in rows),
        "one.vw": "".join(f"{r['_label']} | a:{r['a']} b={r['b']} z:{r['z']!r}\n" for r in rows),
    }
    counts = set()
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
        words = ["--label", "y", "--columns_in", "a:number b:category z:number"] if name == "one.csv" else []
        assert main(["-d", str(tmp_path / name), "--holdout", "0.25", *words]) == 0
        said = capsys.readouterr().err
        assert "holding out a share of 0.25, by the tags or features of the examples" in said
        assert losses(said).endswith(" h")
        counts.add(re.findall(r"number of examples = (\d+)", said)[0])
    assert len(counts) == 1 and 250 < int(counts.pop()) < 350


@pytest.mark.parametrize(
    ("labels", "words"),
    [(["1", "-1"], ""), (["1", "2"], "--oaa 2"), (["0.5", "1.5"], "--bayes_linear")],
)
def test_the_label_has_no_part_in_what_is_held_out(labels, words, tmp_path, capsys):
    """Else all examples with some features and one label would be on one side."""
    found = set()
    for i in range(2):
        (tmp_path / "d.vw").write_text("".join(f"{labels[(k + i) % 2]} | x:{k}\n" for k in range(200)))
        assert main([str(tmp_path / "d.vw"), "--holdout", "0.3", *words.split()]) == 0
        found.add(re.findall(r"number of examples = (\d+)", capsys.readouterr().err)[0])
    assert len(found) == 1


def test_a_share_that_is_none_is_reported(tmp_path, capsys):
    (tmp_path / "d.vw").write_text("".join(f"{i % 2} | x{i % 4}\n" for i in range(4000)))
    assert main([str(tmp_path / "d.vw"), "--holdout", "0.4"]) == 0
    assert "[warning] --holdout 0.4 has held out 25.0%: it goes by the tag" in capsys.readouterr().err
    (tmp_path / "d.vw").write_text("".join(f"{i % 2} 1 {i}| x{i % 4}\n" for i in range(4000)))
    assert main([str(tmp_path / "d.vw"), "--holdout", "0.4"]) == 0
    assert "[warning]" not in capsys.readouterr().err


def test_a_decision_is_held_out_by_its_tag_or_as_a_whole(run, capsys, tmp_path):
    lines = "\n".join(decisions(200)).strip("\n").split("\n\n")
    (tmp_path / "d.vw").write_text("\n\n".join(lines) + "\n\n")
    (tmp_path / "e.vw").write_text("\n\n".join(reversed(lines)) + "\n\n")
    found = []
    for name in ("d.vw", "e.vw"):
        assert main(["-d", str(tmp_path / name), "--cb_adf", "--holdout", "0.3"]) == 0
        found.append(re.findall(r"number of examples = (\d+)", capsys.readouterr().err))
    assert found[0] == found[1] and 110 < int(found[0][0]) < 170


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--holdout 0.1 --holdout_after 5", "--holdout has no effect with --holdout_after"),
        ("--holdout 0.1 --holdout_period 5 --passes 2", "--holdout has no effect with --holdout_period"),
        ("--holdout 0.1 --holdout_off", "--holdout has no effect with --holdout_off"),
        ("--holdout 0.1 -t", "--holdout has no effect with --testonly"),
        ("--holdout 1", "--holdout must be at most 0.999999"),
        ("--sample 0", "--sample must be above 0"),
        ("--shuffle 1", "--shuffle must be at least 2"),
        ("--interleave", "--interleave has no effect with one source"),
        ("--sample_weights normal", "must be one of poisson"),
    ],
)
def test_what_can_not_be_is_refused(words, message, tmp_path, capsys):
    (tmp_path / "d.vw").write_text("1 | a\n")
    assert main(["-d", str(tmp_path / "d.vw"), *words.split()]) == 1
    assert message in capsys.readouterr().err


def test_a_cache_of_chosen_examples_is_not_kept(tmp_path, capsys):
    (tmp_path / "d.vw").write_text("1 | a\n" * 20)
    assert main(["-d", str(tmp_path / "d.vw"), "-c", "--passes", "2", "--sample", "0.5"]) == 0
    assert "each run selects its examples anew" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["d.vw"]


@pytest.mark.parametrize("name", ["where", "sample", "sample_weights", "shuffle", "interleave", "holdout"])
def test_python_says_what_to_do_instead(name):
    from vwlite import Workspace
    from vwlite.errors import OptionError

    value = {"where": "a == 1", "sample_weights": "poisson", "shuffle": "5", "interleave": ""}.get(name, "0.5")
    with pytest.raises(OptionError, match=f"--{name} has no effect in a Workspace"):
        Workspace([f"--{name}", *([value] if value else [])])
