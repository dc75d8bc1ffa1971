"""Random text: examples and decisions in VW's format, JSON lines, configuration files; most of it well formed."""

from __future__ import annotations

import json
import random

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
)
POLICIES = (
    "--thompson --bayes_linear",
    "--thompson --bayes_logistic -q ab",
    "--explore ucb --bayes_linear",
    "--explore epsilon --bayes_linear --posterior diagonal",
    "--explore greedy --bayes_linear --vw_compat",
)


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


def examples(r: random.Random) -> str:
    """Returns a file of examples."""
    return "".join(example(r) + "\n" for _ in range(r.choice((0, 1, 5, 40))))


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
