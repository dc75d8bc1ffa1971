"""Model files from a stranger: every digest in them is right, and what they ask for is not done."""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.command import VWLITE
from tests.support.daemon import refusal
from tests.support.journals import Running
from tests.support.models import arrays
from tests.support.stores import trained
from vwlite import Workspace
from vwlite.cards import model as card
from vwlite.cli import main
from vwlite.core.options import Option, Options, is_kept
from vwlite.daemon.engine import Engine
from vwlite.daemon.journal import Journal
from vwlite.daemon.log import Log
from vwlite.daemon.recovery import is_foreign, recover
from vwlite.daemon.saving import CHECKPOINT, stream
from vwlite.engine.command_line import option_groups
from vwlite.engine.flags import GENERAL
from vwlite.errors import ModelError, VwliteError
from vwlite.model import model_file

OPTIONS = Options((*option_groups(), GENERAL)).declared
FOREIGN = [option for option in OPTIONS.values() if not is_kept(option)]
DATA = b"1 | a b\n-1 | b c\n"


def signed(path: Path | str, source: Path | str, change: Callable[[dict[str, Any]], None]) -> None:
    """A copy of a model with other metadata and digests that fit."""
    metadata = json.loads(json.dumps(model_file.open(source).metadata))
    change(metadata)
    kept = {name: value for name, value in metadata.items() if name not in ("digests", "format_version")}
    model_file.write(path, arrays(source), kept)


def some_value(option: Option) -> Any:
    """A value that the option accepts; a file is one that is there."""
    value: Any = {bool: True, int: 3, float: 0.25, str: "data.txt"}[option.type]
    if option.choices:
        value = option.choices[-1]
    if option.type in (int, float) and option.least is not None:
        value = option.type(max(value, option.least))
    return [value] if option.many else value


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "good.model"
    workspace = Workspace()
    workspace.learn(["1 | a b", "-1 | b c"])
    workspace.save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").write_bytes(DATA)
    return tmp_path


# Options


@pytest.mark.parametrize("option", FOREIGN, ids=lambda option: option.name)
def test_a_model_sets_no_option_that_models_dont_keep(option, good, folder, capsys):
    value = some_value(option)
    signed("stranger.model", good, lambda metadata: metadata["options"].update({option.name: value}))
    before = contents(folder)
    assert main(["-t", "-i", "stranger.model", "-d", "data.txt", "--quiet"]) == 1
    said = capsys.readouterr()
    assert f"stranger.model: the file sets --{option.name}, which no model stores" in said.err
    assert said.out == "" and said.err.count("\n") == 1
    with pytest.raises(ModelError, match=f"stranger.model: the file sets --{option.name},"):
        Workspace.load("stranger.model")
    with pytest.raises(ModelError, match=f"--fixed_effect stranger.model: the file sets --{option.name},"):
        Workspace("--fixed_effect stranger.model")
    assert main(["--daemon", "--foreground", "--port", "0", "-i", "stranger.model"]) == 1
    assert main(["--daemon", "--port", "0", "--journal", "j", "-i", "stranger.model"]) == 1
    assert {name: data for name, data in contents(folder).items() if not name.startswith("j/")} == before


@pytest.mark.parametrize("option", [option for option in OPTIONS.values() if is_kept(option)], ids=lambda o: o.name)
def test_an_option_that_models_keep_touches_no_file(option, good, folder):
    value = some_value(option)
    signed("stranger.model", good, lambda metadata: metadata["options"].update({option.name: value}))
    before = contents(folder)
    done = subprocess.run(
        [*VWLITE, "-t", "-i", "stranger.model", "-d", "data.txt"], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or "vwlite: error: " in done.stderr
    assert contents(folder) == before


def test_every_option_that_names_a_file_says_so():
    named = {name for name, option in OPTIONS.items() if option.metavar in ("FILE", "DIR", "PATH")}
    assert named == {name for name, option in OPTIONS.items() if option.file}


def test_no_model_keeps_a_file_that_is_written():
    assert not [option.name for option in OPTIONS.values() if is_kept(option) and option.file not in ("", "read")]


def test_the_file_of_a_kept_fixed_effect_is_not_read_again(folder):
    fixed = Workspace("--noconstant")
    fixed.learn("1 | a")
    fixed.save("fixed.model")
    workspace = Workspace("--fixed_effect fixed.model")
    workspace.save("m")
    os.unlink("fixed.model")
    os.mkfifo("fixed.model")  # opening it would wait for ever
    assert Workspace.load("m").predict("| a") == workspace.predict("| a")


def test_a_fixed_effect_inside_a_model_sets_no_other_option_either(good, folder):
    workspace = Workspace(f"--fixed_effect {good}")
    workspace.save("m")

    def change(metadata: dict[str, Any]) -> None:
        metadata["options"]["predictions"] = "data.txt"

    changed(Path("m"), change)
    with pytest.raises(ModelError, match="the file sets --predictions"):
        Workspace.load("m")
    assert Path("data.txt").read_bytes() == DATA


def changed(model: Path, change: Callable[[Any], None], text: Callable[[Any], bytes] | None = None) -> None:
    """Change the metadata of the fixed effect inside a model."""
    content = arrays(model)
    (name,) = (name for name in content if name.endswith("fixed.metadata"))
    inner = json.loads(content[name][2])
    change(inner)
    data = json.dumps(inner).encode() if text is None else text(inner)
    content[name] = ("U8", [len(data)], data)
    metadata = model_file.open(model).metadata
    model_file.write(model, content, {k: v for k, v in metadata.items() if k not in ("digests", "format_version")})


@pytest.mark.parametrize(
    "text", [lambda _: b"", lambda _: b"[]", lambda _: b"{}", lambda _: b"[" * 10000, lambda _: b"\xff", lambda _: b"7"]
)
def test_a_fixed_effect_inside_a_model_has_metadata(text, good, folder):
    Workspace(f"--fixed_effect {good}").save("m")
    changed(Path("m"), lambda inner: None, text)
    for read in (Workspace.load, card.describe):
        with pytest.raises(ModelError, match=r"^m: "):
            read("m")


# The flags in a checkpoint


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a journal with a line that its checkpoint, of other flags, does not have."""
    folder = tmp_path_factory.mktemp("served") / "j"
    with Running(folder) as running:
        running.add([b"1 | a\n"])
        place = stream(running.journal, 0, {"learning_rate": 0.25})
    Engine(Options(option_groups())).save(str(folder / CHECKPOINT), place)
    return folder


def with_flags(served: Path, folder: Path, flags: Any) -> str:
    """A copy of the journal whose checkpoint has these flags."""
    shutil.copytree(served, folder / "j")
    checkpoint = f"{folder}/j/{CHECKPOINT}"
    signed(checkpoint, checkpoint, lambda metadata: metadata["stream"].update(flags=flags))
    return checkpoint


@pytest.mark.parametrize("option", [each for each in OPTIONS.values() if is_foreign(each)], ids=lambda each: each.name)
def test_a_checkpoint_sets_no_option_that_no_checkpoint_has(option, served, folder):
    checkpoint = with_flags(served, folder, {option.name: some_value(option)})
    before = contents(folder)
    journal = Journal(str(folder / "j"))
    try:
        with pytest.raises(VwliteError, match=rf"{checkpoint}: .*--{option.name}"):
            recover(Options(option_groups()), journal, Log(as_json=False, quiet=True))
    finally:
        journal.close()
    assert contents(folder) == before


def test_the_daemon_says_what_a_checkpoint_may_not_set(served, folder):
    checkpoint = with_flags(served, folder, {"predictions": "data.txt"})
    said = refusal("--daemon", "--port", "0", "--journal", "j", "--quiet", folder=folder)
    assert said == (
        f"vwlite: error: {os.path.relpath(checkpoint)}: the file sets --predictions, which no checkpoint stores; put "
        "back the one that vwlite saved\n"
    )
    assert Path("data.txt").read_bytes() == DATA


@pytest.mark.parametrize("flags", [[], None, {"learning_rate": "fast"}, {"learning_rate": None}, {"quadratic": "ab"}])
def test_flags_of_a_checkpoint_of_wrong_types_are_model_errors(flags, served, folder):
    checkpoint = with_flags(served, folder, flags)
    journal = Journal(str(folder / "j"))
    try:
        with pytest.raises(ModelError, match=checkpoint):
            recover(Options(option_groups()), journal, Log(as_json=False, quiet=True))
    finally:
        journal.close()


# Types


def somewhere(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where everything inside a value is."""
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += somewhere(inner, (*path, key))
    return found


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([2**63, 2**64, -(2**63), 10**400])
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["\ud800", "\udcff", "\0", "user", "scorer", "gd"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize(
    "flags", ["", "--bayes_linear --random_effect user", "--thompson --bayes_linear", "--fixed_effect {good}"]
)
def test_metadata_of_wrong_types_are_refused_or_harmless(flags, data, good, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    workspace = Workspace(flags.format(good=good))
    workspace.save(folder / "good")
    metadata = {
        name: value
        for name, value in model_file.open(folder / "good").metadata.items()
        if name not in ("digests", "format_version")
    }
    *place, last = data.draw(st.sampled_from(somewhere(metadata)[1:]))
    inner: Any = metadata
    for key in place:
        inner = inner[key]
    if data.draw(st.booleans()):
        del inner[last]
    else:
        inner[last] = data.draw(JSON)
    model_file.write(folder / "m", arrays(folder / "good"), metadata)
    for read in (Workspace.load, lambda path: Workspace.load(path, "--preserve_performance_counters")):
        with contextlib.suppress(VwliteError):
            read(folder / "m").save(folder / "again")
    with contextlib.suppress(ModelError):
        card.render(card.describe(str(folder / "m")))


@pytest.mark.parametrize("key", ["when", "version", "arguments", "sources", "loss_before", "loss_after", "parent"])
def test_a_run_that_lacks_a_key_is_a_model_error(key, good, folder):
    signed("m", good, lambda metadata: metadata["journal"][0].pop(key))
    with pytest.raises(ModelError, match=rf"m: the file's metadata is not a model's: journal\[0\].{key} is not there"):
        Workspace.load("m")


def test_a_stack_without_learners_is_a_model_error(good, folder):
    signed("m", good, lambda metadata: metadata.update(stack=[]))
    with pytest.raises(ModelError, match="stack is not a list of learners"):
        Workspace.load("m")


# Entity stores


def restored(model: str, *statements: str) -> None:
    """Change a store by SQL, with all digests right again."""
    connection = sqlite3.connect(f"{model}.entities", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    digest = hashlib.sha256(Path(f"{model}.entities").read_bytes()).hexdigest()
    signed(model, model, lambda metadata: metadata["entities"].update(sha256=digest))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE effects SET owner = 7.5",
        "UPDATE effects SET owner = x'ff'",
        "UPDATE effects SET entities = 'many'",
        "UPDATE effects SET entities = -1",
        "UPDATE entities_0 SET serial = 'first'",
        "UPDATE entities_0 SET waiting = 'long'",
        "UPDATE entities_0 SET waiting = x'00'",
        "UPDATE entities_0 SET record = 7",
        "UPDATE entities_0 SET record = 'text'",
        "DELETE FROM store",
        "CREATE VIEW strange AS SELECT 1",
        "CREATE TRIGGER strange AFTER INSERT ON entities_0 BEGIN DELETE FROM entities_0; END",
    ],
)
@pytest.mark.parametrize("flags", ["", "--entity_limit 3"])
def test_a_store_with_values_of_wrong_types_is_a_model_error(statement, flags, folder):
    trained("m")
    restored("m", statement)
    with pytest.raises(ModelError, match=r"m\.entities: the file is damaged"):
        Workspace.load("m", flags).predict([f"|user u{number} |x a" for number in range(40)])


def test_a_model_that_hides_its_store_is_a_model_error(folder):
    trained("m")
    signed("m", "m", lambda metadata: metadata.pop("entities"))
    for flags in ("", "--entity_limit 3"):
        with pytest.raises(ModelError, match=r"^m: .*entities are in a file that its metadata does not name"):
            Workspace.load("m", flags)


def test_a_pipe_in_the_place_of_a_store_hangs_nothing(folder):
    trained("m")
    os.unlink("m.entities")
    os.mkfifo("m.entities")
    with pytest.raises(ModelError, match=r"m\.entities: is no regular file"):
        Workspace.load("m")
    assert (
        main(["data.txt", "-f", "m", "--quiet", "--bayes_linear", "--random_effect", "a", "--entity_limit", "3"]) == 1
    )


# Arrays


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize(
    "flags",
    [
        "",
        "--l1 0.01 --l2 0.01",
        "--bayes_linear --random_effect user",
        "--bayes_logistic --batch_size 100 --random_effect user --fixed same --shrink mean",
        "--thompson --bayes_linear --posterior diagonal",
        "--fixed_effect {good} --offset_scale fit",
        "--scale --transform x^b:bins(2) --transform user^*:idf",
    ],
)
def test_arrays_that_make_no_sense_are_refused_or_harmless(flags, data, good, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    workspace = Workspace(flags.format(good=good))
    if not workspace.top.multiline:
        workspace.learn(["1 |user a |x b:2", "-1 |user b |x c", "1 |user a |x c b"])
    workspace.save(folder / "good")
    content = dict(arrays(folder / "good"))
    name = data.draw(st.sampled_from(sorted(content)))
    if data.draw(st.booleans()):
        del content[name]
    else:
        dtype = data.draw(st.sampled_from([content[name][0], *model_file.ITEM_SIZES]))
        size = model_file.ITEM_SIZES[dtype]
        count = data.draw(st.sampled_from([len(content[name][2]) // size, 0, 1, 2, 5]))
        values = data.draw(st.binary(max_size=16) | st.sampled_from([b"", b"\xff" * 16, content[name][2]]))
        values = (values + bytes(count * size))[: count * size]
        content[name] = (dtype, [] if count == 1 and data.draw(st.booleans()) else [count], values)
    metadata = model_file.open(folder / "good").metadata
    kept = {key: value for key, value in metadata.items() if key not in ("digests", "format_version")}
    model_file.write(folder / "m", content, kept)
    with contextlib.suppress(VwliteError):
        loaded = Workspace.load(folder / "m")
        if not loaded.top.multiline:
            loaded.predict(["|user a |x b c", "|user z |x q"])
        loaded.save(folder / "again")
    with contextlib.suppress(ModelError):
        card.render(card.describe(str(folder / "m")))
