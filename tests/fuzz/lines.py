"""Random text: examples and decisions in VW's format, JSON lines, configuration files; most of it well formed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from tests.fuzz.mutate import ODD_VALUES, of_json

NAMES = ("a", "b", "user", "x1", "17", "é", "a^b", "U", "0", "-1", "k" * 70, "")
NUMBERS = (
    "1",
    "0",
    "-1",
    "0.5",
    "1e-3",
    "-2.5e2",
    "1e400",
    "nan",
    "inf",
    "-",
    "",
    "0x1",
    "1e-400",
    "00.10",
    "3.4e38",
    "+1",
    ".5",
)
FLAGS = (
    "--bayes_linear",
    "--bayes_linear --random_effect user",
    "--bayes_logistic --random_effect user:x1,a --posterior diagonal",
    "--bayes_linear --random_effect user --sweeps 2",
    "--square --batch_size 3 --posterior full",
    "--logistic --batch_size all",
    "--loss_function logistic --link logistic -q :: --passes 2",
    "--loss_function hinge --binary",
    "--loss_function poisson --l1 0.01 --l2 0.01",
    "--loss_function quantile --sgd",
    "-q ab --cubic abx --ignore U --feature_limit 3",
    "--vw_compat",
    "--vw_compat -b 3 --hash all --audit",
    "--passes 3 --holdout_period 2",
    "--strict_parse",
    "--classweight 1:2,-1:0.5",
    "--noconstant --redefine a:=: --keep a",
    "--ftrl --l1 0.01 --l2 0.1",
    "--pistol --loss_function logistic",
    "--coin -q ab",
)
POLICIES = (
    "--thompson --bayes_linear",
    "--thompson --bayes_logistic -q ab",
    "--explore ucb --bayes_linear",
    "--explore epsilon --bayes_linear --posterior diagonal",
    "--explore greedy --bayes_linear --vw_compat",
    "--cb_adf",
    "--cb_adf --cb_type dr --rank_all -q ab",
    "--cb_adf --cb_type sm --noconstant",
    "--cb_explore_adf --epsilon 0.1 --cb_type ips --clip_p 0.1",
    "--cb_explore_adf --first_only --vw_compat",
)
CLASSES = (
    "--oaa 3",
    "--oaa 3 --probabilities --loss_function logistic",
    "--oaa 4 --scores --oaa_subsample 2 --passes 2",
    "--oaa 3 --named_labels a,b,cat",
    "--oaa 2 --indexing 0 --vw_compat",
    "--oaa 3 --bayes_linear --random_effect user",
    "--oaa 3 --bayes_logistic --batch_size 3",
    "--oaa 3 --ftrl",
    "--multilabel_oaa 3",
    "--csoaa 3",
)
COSTS = ("--csoaa_ldf m", "--csoaa_ldf mc --csoaa_rank", "--csoaa_ldf m --probabilities --loss_function logistic -q ab")


def number(r: random.Random) -> str:
    """Returns a number, mostly a plain one."""
    return f"{r.uniform(-2, 2):.3f}" if r.random() < 0.7 else r.choice(NUMBERS)


def features(r: random.Random) -> str:
    """Returns namespaces with their features."""
    spaces = []
    for _ in range(r.choice((0, 1, 1, 2, 2, 3))):
        name = r.choice(NAMES)
        words = [r.choice(NAMES) + (f":{number(r)}" if r.random() < 0.4 else "") for _ in range(r.choice((0, 1, 1, 3)))]
        spaces.append(f"|{name}{f':{number(r)}' if r.random() < 0.1 else ''} {' '.join(words)}")
    return " ".join(spaces)


def example(r: random.Random) -> str:
    """Returns a line with a label, tag and features, of which each may be missing."""
    label = " ".join(number(r) for _ in range(r.choice((0, 1, 1, 1, 2, 3))))
    tag = r.choice(("", "", "t1", " 'tag", "'"))
    return (
        f"{label} {tag}{features(r)}" if r.random() < 0.97 else r.choice(("", "|", "||", "1", "x", " ", "| |", "1 |a:"))
    )


def decision(r: random.Random) -> str:
    """Returns the lines of a decision, with what follows them."""
    lines = [f"shared s{r.randrange(5)}{features(r)}"] if r.random() < 0.6 else []
    for action in range(r.choice((1, 2, 2, 3, 5))):
        label = f"{action if r.random() < 0.5 else 0}:{number(r)}:{number(r)} " if r.random() < 0.4 else ""
        lines.append(label + (features(r) or "|"))
    return "\n".join(lines) + r.choice(("\n", "\n", "\n\n"))


def one_class(r: random.Random) -> str:
    """Returns a class by number or name, mostly one that there may be."""
    return str(r.randrange(4)) if r.random() < 0.7 else r.choice(("a", "b", "cat", "dog", *NUMBERS))


def classed(r: random.Random) -> str:
    """Returns a line whose label is a class, several of them, or costs of some."""
    kind = r.random()
    if kind < 0.5:
        label = one_class(r) + (f" {number(r)}" if r.random() < 0.3 else "")
    elif kind < 0.7:
        label = ",".join(one_class(r) for _ in range(r.randrange(4)))
    else:
        label = " ".join(one_class(r) + (f":{number(r)}" if r.random() < 0.8 else "") for _ in range(r.randrange(4)))
    return f"{label} {features(r) or '|'}"


def choice(r: random.Random) -> str:
    """Returns the lines of an example of which one is to be chosen, each with a cost, and what follows them."""
    lines = [f"shared {features(r)}"] if r.random() < 0.3 else []
    for line in range(r.choice((1, 2, 3, 5))):
        label = f"{line + 1 if r.random() < 0.8 else r.choice(NUMBERS)}:{number(r)} " if r.random() < 0.8 else ""
        lines.append(label + (features(r) or "|"))
    return "\n".join(lines) + r.choice(("\n", "\n", "\n\n"))


def examples(r: random.Random, one: Callable[[random.Random], str] = example) -> str:
    """Returns a file of examples."""
    return "".join(one(r) + "\n" for _ in range(r.choice((0, 1, 5, 40))))


def decisions(r: random.Random) -> str:
    """Returns a file of decisions."""
    return "".join(decision(r) + "\n" for _ in range(r.choice((0, 1, 5, 20))))


def json_line(r: random.Random) -> str:
    """Returns a JSON example or decision."""
    value: object = {
        "_label": r.choice((1, -1, "1 2 0.5", {"Label": 1, "Weight": 2})),
        "_tag": "t",
        "user": {"id": r.choice(("u1", 7)), "new": True},
        "pixels": [0.5, 0, {"a": 1}],
        "_text": "some words: here",
        "hour": r.randrange(24),
    }
    if r.random() < 0.4:
        actions = [{"a": {f"i{k}": 1}, "b": k / 2} for k in range(r.randrange(1, 4))]
        value = {"_label_Cost": -1, "_label_Probability": 0.5, "_labelIndex": 0, "s": {"x": "y"}, "_multi": actions}
    for _ in range(r.choice((0, 1, 1, 3))):
        value = of_json(r, value)
    text = json.dumps(value)
    return text if r.random() < 0.9 else text[: r.randrange(len(text) + 1)]


def configuration(r: random.Random) -> str:
    """Returns a TOML file of flags, of which some do not exist or have values of a wrong type."""
    keys = (
        "bit_precision",
        "l2",
        "passes",
        "quadratic",
        "quiet",
        "loss_function",
        "data",
        "x",
        "interactions",
        "config",
    )
    lines = []
    for key in r.sample(keys, r.randrange(len(keys))):
        value = r.choice((18, "ab", True, 0.5, ["ab", "cd"], r.choice(ODD_VALUES)))
        lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"
