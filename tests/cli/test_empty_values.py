"""An empty value, most often of a shell's variable that is not set, is refused and not taken for none."""

import pytest

from vwlite import Workspace
from vwlite.cli import main
from vwlite.core.options import gather
from vwlite.engine.command_line import option_groups
from vwlite.errors import OptionError

TEXTS = [option.name for option in gather(option_groups()).values() if option.type is str]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_text("1 | a\n")
    return tmp_path


@pytest.mark.parametrize("name", [*TEXTS, "config"])
def test_no_option_of_text_takes_nothing(name, folder, capsys):
    for words in ([f"--{name}", ""], [f"--{name}="]):
        assert main(["data", *words]) == 1
        said = capsys.readouterr().err
        assert said.startswith("vwlite: error: ") and "Traceback" not in said
        assert f"--{name} is empty" in said
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_neither_does_a_configuration_file(folder, capsys):
    (folder / "c.toml").write_text('initial_regressor = ""\nkeep = [""]\n')
    assert main(["data", "--config", "c.toml"]) == 1
    said = capsys.readouterr().err
    assert "c.toml: --initial_regressor is empty" in said
    assert "c.toml: --keep is empty" in said


def test_the_name_of_a_data_file_is_not_empty(capsys):
    assert main([""]) == 1
    assert "the name of the data file is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", ""],
        ["inspect", "data", "--entity", ""],
        ["residual", "data", ""],
        ["residual", "data", "data", "-o", ""],
        ["simulate", ""],
        ["simulate", "arms", "--curves", ""],
        ["client", "--ca", "", "data"],
        ["client", "--token_file", "", "data"],
        ["client", "--socket", "", "data"],
        ["client", ""],
    ],
)
def test_subcommands_take_no_empty_value_either(words, capsys):
    assert main(words) == 1
    assert " is empty" in capsys.readouterr().err


def test_a_workspace_is_not_loaded_from_nothing():
    with pytest.raises(OptionError, match="--initial_regressor is empty"):
        Workspace.load("")
    with pytest.raises(OptionError, match="the name of the data file is empty"):
        Workspace([""])
