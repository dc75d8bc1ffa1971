"""vwlite card: a document with what a model knows of itself, measured metrics, and what its makers say."""

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from vwlite.cards.card import card, texts_of
from vwlite.cli import main
from vwlite.errors import ModelError, OptionError
from vwlite.judging.commands import evaluation_of
from vwlite.model import model_file


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "".join(f"{(i % 3 == 0) * 2 - 1} |a x{i % 3}:1.5 y{i % 7}\n" for i in range(200))
    Path("d.vw").write_text(text)
    texts = 'intended_use = "Ranks | *ads*"\nusers = ["buyers", "sellers"]\nmood = "good"\n'
    Path("card.toml").write_text(f'loss_function = "logistic"\n[card]\n{texts}')
    assert (
        main(["d.vw", "-f", "m", "--config", "card.toml", "--invert_hash", "n", "--note", "owner=ann", "--quiet"]) == 0
    )


class Page(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "line", "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_all_that_the_model_knows_is_filled_in():
    found = card("m", data=["d.vw"], samples=50)
    run = model_file.open("m").metadata["journal"][0]
    digest = hashlib.sha256(Path("d.vw").read_bytes()).hexdigest()[:12]
    for text in (
        f"| id | {model_file.open('m').metadata['id']} |",
        hashlib.sha256(Path("m").read_bytes()).hexdigest(),
        f"d.vw (sha256 {digest}) | 200 | none to {run['loss_after']:.6g} | 0 | none |",
        "| owner | ann |",
        "Ranks \\| \\*ads\\*",
        "- buyers\n- sellers",
        "### Mood\n\ngood",
        "Not stated: uses out of scope,",
        "| a^x0 |",
        "`vwlite replay m --check`",
        f"Measured on 200 examples (two classes) of d.vw (sha256 {digest}).",
    ):
        assert text in found, text
    evaluation = evaluation_of("m", ["d.vw"])
    assert f"| auc | {evaluation.value('auc'):.6f} |" in found
    assert "vwlite card MODEL -d TEST measures them" in card("m")
    rows = [line for line in found.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) >= 3 for row in rows)


def test_the_page_is_whole_and_needs_nothing_else(capsys):
    assert main(["card", "m", "-d", "d.vw", "-o", "card.html", "--set", "licence=<script>alert(1)</script>"]) == 0
    text = Path("card.html").read_text()
    page = Page(text)
    assert page.links == [] and "<script" not in text
    assert "<script>alert(1)</script>" in page.words and "buyers" in page.words
    svg = re.search(r"<svg.*?</svg>", text, re.S)
    assert svg and len(ET.fromstring(svg[0])) > 5
    assert main(["card", "m", "--to", "html"]) == 0
    Page(capsys.readouterr().out)


def test_texts_are_kept_in_the_model_and_passed_on():
    before = model_file.open("m").metadata["card"]
    assert before == {"intended_use": "Ranks | *ads*", "users": "- buyers\n- sellers", "mood": "good"}
    assert main(["card", "m", "--set", "license=MIT", "--set", "mood=", "--save", "-o", "c.md"]) == 0
    kept = model_file.open("m").metadata["card"]
    assert kept["licence"] == "MIT" and "mood" not in kept
    assert hashlib.sha256(Path("m").read_bytes()).hexdigest() in Path("c.md").read_text()
    assert main(["d.vw", "-i", "m", "-f", "n", "--quiet"]) == 0
    assert "### Licence\n\nMIT" in card("n")
    assert main(["card", "n", "--config", "card.toml", "-o", "c.md"]) == 0
    assert "### Mood" in Path("c.md").read_text()


@pytest.mark.parametrize(
    "flags", ["--oaa 3", "--bayes_linear --random_effect a", "--cb_explore_adf", "--square", "--ftrl"]
)
def test_other_models_have_cards(flags):
    if "--oaa" in flags:
        Path("d.vw").write_text("".join(f"{1 + i % 3} | x{i % 3}\n" for i in range(60)))
    elif "cb" in flags:
        Path("d.vw").write_text("0:1:0.5 | a\n| b\n\n" * 20)
    else:
        Path("d.vw").write_text("".join(f"{i % 3} |a e{i % 5} |b x:{i}\n" for i in range(60)))
    assert main(["d.vw", "-f", "o", *flags.split(), "--quiet"]) == 0
    found = card("o")
    assert "## Training data" in found and "## What it has learned" in found
    if "cb" in flags:
        with pytest.raises(OptionError, match="can be evaluated"):
            card("o", data=["d.vw"])
    else:
        assert "Measured on 60 examples" in card("o", data=["d.vw"], samples=10)


def test_a_stripped_model_says_so(capsys):
    assert main(["strip", "m", "-o", "bare"]) == 0
    found = card("bare")
    assert "It was stripped; the sha256 of what was removed is " in found
    assert "Ranks" not in found and "owner" not in found and "replay" not in found


def test_bad_input_is_one_line_and_writes_nothing(capsys):
    Path("bad.toml").write_text("[card]\nuse = 3\n")
    before = Path("m").read_bytes()
    for words, message in (
        (["x"], "cannot read the model"),
        (["m", "-d", "x.vw", "--save", "--set", "a=b"], "no such file"),
        (["m", "--set", "licence"], "--set licence: expected NAME=TEXT"),
        (["m", "--config", "bad.toml"], "bad.toml: [card] use has to be a text, or a list of texts"),
        (["m", "--config", "d.vw"], "not a TOML file"),
        (["m", "-o", "m"], "are the same file"),
        (["m", "--label", "y"], "--label has no effect without -d DATA"),
    ):
        assert main(["card", "-o", "out.md", *words] if "-o" not in words else ["card", *words]) == 1
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
    assert not Path("out.md").exists() and Path("m").read_bytes() == before
    assert main(["d.vw", "--config", "bad.toml", "--quiet"]) == 1
    assert texts_of(["a-b=c=d"]) == {"a_b": "c=d"}
    with pytest.raises(ModelError):
        card("d.vw")


def test_names_of_features_do_no_harm():
    Path("d.vw").write_text("1 |a `x`|b <b>|c a_b_c |d _y_\n" * 5)
    assert main(["d.vw", "-f", "m", "--invert_hash", "n", "--quiet"]) == 0
    found = card("m")
    assert "a^\\`x\\`" in found and "b^\\<b\\>" in found and "c^a_b_c" in found and "d^\\_y\\_" in found
    assert json.dumps(Page(card("m", form="html")).words).count("<b>") == 1
