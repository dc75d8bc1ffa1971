"""What a model says of where it comes from: the journal, notes, redaction; and that stripping leaves nothing of it."""

import hashlib
import json
import os
import random
from pathlib import Path

import pytest

from tests.support.models import arrays
from vwlite import Workspace
from vwlite.cli import main
from vwlite.errors import OptionError
from vwlite.journal.editing import strip, tag
from vwlite.journal.replay import replay
from vwlite.model import model_file


def lines(n=300, seed=0):
    draw = random.Random(seed)
    for _ in range(n):
        x, user = draw.gauss(0, 1), draw.randrange(20)
        yield f"{x + user / 10:.4f} |user secretuser{user} |a secretname:{x:.4f} word{draw.randrange(9)}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    place = tmp_path / "secretfolder"
    place.mkdir()
    monkeypatch.chdir(place)
    Path("secretdata.vw").write_text("".join(lines()))
    return place


def learn(*words):
    assert main([*words, "--quiet"]) == 0


def predictions(model):
    learn("-t", "-i", model, "secretdata.vw", "-p", "p.txt")
    return Path("p.txt").read_text()


def test_the_journal_is_printed(folder, capsys):
    learn("secretdata.vw", "-f", "one", "--random_seed", "7")
    learn("secretdata.vw", "-i", "one", "-f", "two", "--note", "owner=ads")
    assert main(["inspect", "two", "--journal"]) == 0
    said = capsys.readouterr().out
    digest = hashlib.sha256(Path("secretdata.vw").read_bytes()).hexdigest()
    for text in (
        "2 runs",
        "note owner = ads",
        f"folder      {folder}",
        f"data        secretdata.vw, sha256 {digest}, ",
        "seed        7",
        "examples    300",
        "arguments   secretdata.vw -f one --random_seed 7 --quiet",
        f"parent      {model_file.open('one').metadata['id']}",
        "loss        none -> ",
    ):
        assert text in said
    assert main(["inspect", "two", "--journal", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["notes"] == {"owner": "ads"} and len(facts["journal"]) == 2
    assert facts["journal"][0]["given"] == {"quiet": True, "final_regressor": "one", "random_seed": 7}
    assert main(["inspect", "two", "--journal", "--top", "3"]) == 1
    assert "--journal has no effect with --top" in capsys.readouterr().err


def test_two_saves_of_one_state_are_still_equal(folder):
    workspace = Workspace("--note a=b")
    workspace.learn(list(lines(20)))
    workspace.save("one")
    workspace.save("two")
    assert Path("one").read_bytes() == Path("two").read_bytes()
    assert Workspace.from_bytes(workspace.to_bytes()).to_bytes() == workspace.to_bytes()


def test_notes_are_kept_passed_on_changed_and_removed(folder, capsys):
    learn("secretdata.vw", "-f", "one", "--note", "owner=ads", "--note", "ticket=A = 42")
    learn("secretdata.vw", "-i", "one", "-f", "two", "--note", "owner=", "--note", "team=blue")
    assert model_file.open("two").metadata["notes"] == {"ticket": "A = 42", "team": "blue"}
    weights, before = arrays("two"), model_file.open("two").metadata["id"]
    assert tag("two", ["team=red", "x=1"]) == {"ticket": "A = 42", "team": "red", "x": "1"}
    assert arrays("two") == weights and model_file.open("two").metadata["id"] != before
    assert main(["tag", "two", "ticket=", "x=", "team="]) == 0
    assert "notes" not in model_file.open("two").metadata
    assert replay("two").reproduced
    for bad in ("owner", "=x"):
        with pytest.raises(OptionError, match=r": expected NAME=TEXT, such as owner=ads"):
            tag("two", [bad])
    capsys.readouterr()
    assert main(["secretdata.vw", "-f", "x", "--note", "owner", "--quiet"]) == 1
    assert capsys.readouterr().err == "vwlite: error: --note owner: expected NAME=TEXT, such as owner=ads\n"
    assert main(["inspect", "one"]) == 0
    assert "notes\n  owner = ads\n  ticket = A = 42\n" in capsys.readouterr().out


SECRETS = ("secretdata", "secretfolder", "secretnote", "secretname", "secretuser", "secretfixed")


def everything(model):
    """Every text that a model says of where it comes from: paths, names, notes, arguments."""
    reader = model_file.open(model)
    found = set()
    for run in reader.metadata["journal"]:
        found |= {run["folder"], run["host"], *run["data"]} | {source["sha256"] for source in run["sources"]}
        found |= {source["name"] for source in run["sources"]}
        found |= {word for word in run["arguments"] if len(word) > 3}
    found |= set(reader.metadata["notes"].values())
    if "names.text" in reader.names():
        found |= set(bytes(reader.array("names.text", "U8")).decode().split("\n"))
    return found | set(SECRETS)


@pytest.mark.parametrize(
    "flags",
    [
        "--invert_hash names.txt --random_seed 77",
        "--bayes_linear --random_effect user:a --invert_hash names.txt --holdout_off --passes 2",
        "--fixed_effect secretfixed.model --invert_hash names.txt",
    ],
)
def test_nothing_of_the_provenance_is_in_a_stripped_model(flags, folder):
    learn("secretdata.vw", "-f", "secretfixed.model", "--noconstant", "--note", "why=secretnote of the fixed one")
    learn("secretdata.vw", "-f", "m", "--note", "owner=secretnote", "--note=b=secretnote2", *flags.split())
    assert any(name.encode() in Path("m").read_bytes() for name in ("secretuser3", "secretname"))
    strip("m", "bare", journal="removed.json")
    # words of options that the model works by stay; those of this test are no such words
    kept = {word for name in model_file.open("bare").metadata["options"] for word in (f"--{name}", name)}
    content = Path("bare").read_bytes()
    said = {text for text in everything("m") if text not in kept and text not in ("user:a", "--quiet")}
    assert [text for text in said if json.dumps(text)[1:-1].encode() in content] == []
    assert predictions("bare") == predictions("m")
    learn("secretdata.vw", "-i", "m", "-f", "m2")
    learn("secretdata.vw", "-i", "bare", "-f", "bare2")
    assert predictions("bare2") == predictions("m2")
    removed = Path("removed.json").read_bytes()
    assert hashlib.sha256(removed).hexdigest() == model_file.open("bare").metadata["stripped"]["sha256"]
    document = json.loads(removed)
    original = model_file.open("m").metadata
    assert document["journal"] == original["journal"] and document["id"] == original["id"]
    assert document["notes"] == {"owner": "secretnote", "b": "secretnote2"}
    assert any("secret" in name for names in document["names"].values() for name in names)


def test_what_is_kept_stays(folder):
    learn("secretdata.vw", "-f", "m", "--note", "owner=secretnote", "--invert_hash", "names.txt")
    original = model_file.open("m").metadata
    strip("m", "names", ["names"])
    assert arrays("names") == arrays("m") and "notes" not in model_file.open("names").metadata
    strip("m", "notes", ["notes"])
    assert model_file.open("notes").metadata["notes"] == {"owner": "secretnote"}
    strip("m", "journal", ["journal"])
    run = model_file.open("journal").metadata["journal"][0]
    assert run["examples"] == 300 and run["loss_after"] == original["journal"][0]["loss_after"]
    content = Path("journal").read_bytes()
    assert not any(text.encode() in content for text in ("secretdata", "secretfolder", "secretnote", "secretname"))
    strip("m", "all", ["journal", "names", "notes", "paths"])
    assert model_file.open("all").metadata["journal"] == original["journal"]
    assert replay("all").reproduced
    with pytest.raises(OptionError, match="--keep weights: is none of journal, names, notes, paths"):
        strip("m", "x", ["weights"])


def test_a_predict_only_model_is_stripped(folder):
    learn("secretdata.vw", "-f", "m", "--predict_only_model", "--note", "a=secretnote", "--invert_hash", "n.txt")
    content = Path("m").read_bytes()
    assert not any(text.encode() in content for text in ("secretdata", "secretfolder", "secretnote", "secretname"))
    assert model_file.open("m").metadata["stripped"]["removed"] == ["journal", "names", "notes", "paths"]
    assert Path("n.txt").read_text().count("secretname") == 1


def test_entities_beside_a_model_are_stripped_too(folder):
    learn("secretdata.vw", "-f", "m", "--bayes_linear", "--random_effect", "user", "--entity_limit", "4")
    before = predictions("m")
    strip("m", "bare")
    assert b"secretuser" not in Path("bare").read_bytes() and not os.path.exists("bare.entities")
    assert predictions("bare") == before
    strip("m", "m")  # in place: its entities are in the model now
    assert not os.path.exists("m.entities") and predictions("m") == before


@pytest.mark.parametrize("what", ["path", "argv", "host", "path,argv,host"])
def test_what_is_redacted_is_not_in_the_model(what, folder, capsys):
    learn("-d", "secretdata.vw", "-f", "secretfixed.model")
    words = ["-d", str(folder / "secretdata.vw"), "--fixed_effect=secretfixed.model", "--cache_file", "sub/secretcache"]
    Path("sub").mkdir()
    Path("secretconfig.toml").write_text('quadratic = ["aa"]\n')
    learn(*words, "--config", "secretconfig.toml", "-f", "m", "-l", "0.25", "--redact", what)
    reader = model_file.open("m")
    (run,) = reader.metadata["journal"]
    assert run["redacted"] == sorted(what.split(","))
    said = json.dumps(reader.metadata)
    assert run.get("host") == (None if "host" in what else os.uname().nodename)
    assert ("secret" in said) is ("path" not in what)
    assert (b"secret" in Path("m").read_bytes()) is ("path" not in what)  # also of the model inside
    assert ("0.25" in json.dumps(run["arguments"])) is ("argv" not in what)
    assert ("given" in run) is ("argv" not in what)
    assert predictions("m") != ""
    learn("secretdata.vw", "-i", "m", "-f", "n")  # its fixed effect has no path any more
    if what == "host":
        assert replay("m").reproduced
    else:
        assert main(["replay", "m"]) == 1
        assert "--redact has left out its" in capsys.readouterr().err
    if what == "path":
        assert replay("m", data=["secretdata.vw"], settings=["fixed_effect=secretfixed.model"]).reproduced


def test_redaction_reaches_earlier_runs_and_refuses_unknown_words(folder, capsys):
    learn("secretdata.vw", "-f", "one")
    learn("secretdata.vw", "-i", "one", "-f", "two", "--redact", "path")
    assert "secret" not in json.dumps(model_file.open("two").metadata)
    assert main(["secretdata.vw", "-f", "x", "--redact", "path,weights", "--quiet"]) == 1
    assert capsys.readouterr().err == "vwlite: error: --redact path,weights: 'weights' is none of path, argv, host\n"
    assert not os.path.exists("x")


def test_passwords_of_databases_are_never_recorded(folder, monkeypatch):
    pytest.importorskip("sqlalchemy")
    from sqlalchemy import create_engine, text

    import vwlite.input.databases as databases

    with create_engine("sqlite:///shop.db").begin() as shop:
        shop.execute(text("create table ads (click, price)"))
        shop.execute(text("insert into ads values (1, 2.5), (0, 1.5)"))
    monkeypatch.setattr(databases, "_parts", lambda source: ("sqlite:///shop.db", source.partition(" ")[2]))
    learn("-d", "postgresql://ann:hunter2@host/shop?token=t0ken SELECT * FROM ads", "--label", "click", "-f", "m")
    content = Path("m").read_bytes()
    assert b"hunter2" not in content and b"t0ken" not in content and b"SELECT * FROM ads" in content
    assert main(["replay", "m"]) == 1
