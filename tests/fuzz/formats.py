"""Random files of other formats than VW's text: VW's JSON, libsvm, labels with words, bags of features."""

from __future__ import annotations

import json
import random

from tests.fuzz import lines
from tests.fuzz.mutate import ODD_VALUES

DECISIONS = ("--cb_explore_adf", "--cb_adf --cb_type dr", "--thompson --bayes_logistic", "--csoaa_ldf m")
SINGLE = ("", "--bayes_linear --random_effect user", "--scale", "--oaa 3")
CONDITIONS = (
    *('city == "Bonn"', "user^age == 0", "label < 0", "has user", "not has s", "`pixels^[1]` == 0", "weight > 1"),
    *("x == 0 or hour > 3", "`3` == 0", "tag == 't'"),
)


def odd(r: random.Random, value: object) -> object:
    """A value, seldom another one."""
    return r.choice(ODD_VALUES) if r.random() < 0.05 else value


def vw_json(r: random.Random, enveloped: bool) -> str:
    """A line of VW's JSON, with its shared features before or behind the actions."""
    example = {
        "_tag": "t",
        "city": odd(r, r.choice(("Bonn", "a b", ""))),
        "user": odd(r, r.choice(({"age": 0, "job": "cook"}, "u1", 7, {"id": 3}))),
        "pixels": odd(r, [0.5, 0, 2]),
        "x": odd(r, r.choice((0, 1, -0.0))),
    }
    if r.random() < 0.6:
        actions = [{"a": {f"i{k}": odd(r, k)}, "b": "x"} for k in range(r.randrange(1, 4))]
        example = {"_multi": actions} | example if r.random() < 0.5 else example | {"_multi": actions}
    label = {"_label_cost": odd(r, -1), "_label_probability": odd(r, 0.5), "_labelIndex": odd(r, 0)}
    if not enveloped:
        return json.dumps(label | example)
    return json.dumps(label | {"pdrop": odd(r, r.choice((0, 0.5))), "c": example})


def libsvm(r: random.Random) -> str:
    pairs = (f"{index}:{lines.number(r)}" for index in sorted(r.sample(range(9), r.randrange(5))))
    return " ".join((lines.number(r), *(["qid:7"] if r.random() < 0.2 else []), *pairs)) + r.choice(("", " # a"))


def words(r: random.Random) -> str:
    return f"{lines.number(r)} {r.choice(('##', '##', '#'))} {' '.join(r.choices(lines.NAMES, k=3))}"


def bags(r: random.Random) -> str:
    terms = [{"name": r.choice(lines.NAMES), "term": odd(r, "x"), "value": odd(r, r.choice((0, 1, 2.5)))}]
    record = {
        "label": odd(r, 1),
        "weight": odd(r, 2),
        "offset": 0.1,
        "uid": "t",
        "user": odd(r, "u1"),
        "features": terms,
    }
    return json.dumps(record)


FORMATS = {
    "--json": lambda r: vw_json(r, False),
    "--dsjson": lambda r: vw_json(r, True),
    "--format libsvm": libsvm,
    "--format words": words,
    "--format ntv": bags,
}


def any_format(r: random.Random) -> tuple[str, list[str]]:
    """The content of a file, and the words of a run that reads it."""
    flag = r.choice(sorted(FORMATS))
    content = "".join(FORMATS[flag](r) + "\n" for _ in range(r.choice((1, 5, 40))))
    more = [*flag.split(), *r.choice(DECISIONS if "json" in flag and r.random() < 0.6 else SINGLE).split()]
    if r.random() < 0.5:
        more += ["--where", r.choice(CONDITIONS)]
    if r.random() < 0.3:
        more += r.choice(("--sample_weights poisson", "--shuffle 3", "--passes 2 -k --cache_file out.cache")).split()
    if "json" in flag and r.random() < 0.3:
        more.append("--chain_hash")
    return content, more
