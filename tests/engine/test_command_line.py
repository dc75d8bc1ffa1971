"""What people can type, and what they are told when it is wrong."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vwlite.core.options import Option, OptionGroup, Options
from vwlite.engine.command_line import parse
from vwlite.errors import OptionError

INPUT = OptionGroup(
    "Input",
    (
        Option("data", str, "File of examples.", short="d", many=True, metavar="FILE"),
        Option("cache", bool, "Use a cache.", short="c"),
        Option("passes", int, "Times through the data.", default=1, least=1),
        Option("testonly", bool, "Do not learn.", short="t"),
    ),
)
LEARNER = OptionGroup(
    "Online learner",
    (
        Option("bit_precision", int, "Bits.", short="b", default=18, least=1, most=61, fixed=True),
        Option("learning_rate", float, "Rate.", short="l", default=0.5, above=0, keep=True),
        Option("min_prediction", float, "Least prediction."),
        Option("loss_function", str, "Loss.", default="squared", choices=("squared", "logistic")),
        Option("link", str, "Link.", implied="logistic"),
        Option("quadratic", str, "Pairs.", short="q", many=True),
        Option("ngram", int, "n-grams.", many=True, least=2),
        Option("predictions", str, "File of predictions.", short="p", metavar="FILE"),
    ),
    help="Learns from one example at a time.",
)
GROUPS = (INPUT, LEARNER)


def errors_of(*words: str) -> list[str]:
    with pytest.raises(OptionError) as caught:
        parse(words, GROUPS)
    return caught.value.errors


def outcome(words: list[str]) -> tuple[Options | None, list[str]]:
    """The options, or the errors; anything else parse could raise is a fault."""
    try:
        return parse(words, GROUPS), []
    except OptionError as error:
        return None, error.errors


# Values


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("-b 20", "bit_precision", 20),
        ("-b20", "bit_precision", 20),
        ("--bit_precision 20", "bit_precision", 20),
        ("--bit_precision=20", "bit_precision", 20),
        ("--bit-precision 20", "bit_precision", 20),
        ("--bit-precision=20", "bit_precision", 20),
        ("-l .25", "learning_rate", 0.25),
        ("--min_prediction -1", "min_prediction", -1.0),
        ("--min_prediction=-1", "min_prediction", -1.0),
        ("--min_prediction -.5e-1", "min_prediction", -0.05),
        ("-t", "testonly", True),
        ("--testonly", "testonly", True),
        ("-d -", "data", ["-"]),
        ("-d-", "data", ["-"]),
        ("-d a -d b --data=c", "data", ["a", "b", "c"]),
        ("-d a -d a", "data", ["a", "a"]),
        ("-d -1:0.5", "data", ["-1:0.5"]),
        ("--data=--x-y", "data", ["--x-y"]),
        ("--data=a=b", "data", ["a=b"]),
        ("-da=b", "data", ["a=b"]),
        ("--quadratic a-b", "quadratic", ["a-b"]),
        ("-q :: -qab", "quadratic", ["::", "ab"]),
        ("--ngram 2 --ngram 3", "ngram", [2, 3]),
        ("--link identity", "link", "identity"),
        ("--link", "link", "logistic"),
        ("--link -t", "link", "logistic"),
    ],
)
def test_ways_to_write_a_value(words, name, value):
    options = parse(words.split(), GROUPS)
    assert options[name] == value
    assert options.source(name) == "command line"
    assert options.data is None


def test_letters_can_share_a_dash():
    options = parse(["-tcb18"], GROUPS)
    assert (options["testonly"], options["cache"], options["bit_precision"]) == (True, True, 18)


def test_words_are_remembered_as_typed():
    words = ["--bit-precision=20", "train.txt", "-t"]
    assert parse(words, GROUPS).arguments == words


@pytest.mark.parametrize(
    ("words", "data"),
    [
        (["train.txt"], "train.txt"),
        (["-t", "train.txt"], "train.txt"),
        (["train.txt", "-t"], "train.txt"),
        (["-b", "18", "-"], "-"),
        (["--", "--odd.txt"], "--odd.txt"),
        (["-t", "--"], None),
        ([], None),
    ],
)
def test_one_word_without_a_flag_is_the_data_file(words, data):
    assert parse(words, GROUPS).data == data


@pytest.mark.parametrize("words", ["-b 18 -b18", "-l .5 --learning_rate 0.50", "-t --testonly"])
def test_saying_the_same_twice_is_fine(words):
    parse(words.split(), GROUPS)


# Mistakes


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--pases 3", "unknown flag '--pases', did you mean --passes?"),
        ("--pases=3", "unknown flag '--pases', did you mean --passes?"),
        ("--loss logistic", "unknown flag '--loss', did you mean --loss_function?"),
        ("--Passes 3", "unknown flag '--Passes', did you mean --passes?"),
        ("--l 3", "unknown flag '--l'"),
        ("--zzz", "unknown flag '--zzz'"),
        ("--", ""),
        ("--=3", "unknown flag '--'"),
        ("-passes 3", "unknown flag '-passes', did you mean --passes?"),
        ("-bit-precision=3", "unknown flag '-bit-precision', did you mean --bit_precision?"),
        ("-z", "unknown flag '-z'"),
        ("-1", "unknown flag '-1'"),
        ("--passes", "--passes needs a value"),
        ("-b", "-b needs a value"),
        ("--passes --testonly", "--passes needs a value, but the flag '--testonly' follows"),
        ("-d -t", "-d needs a value, but the flag '-t' follows"),
        ("--testonly=yes", "--testonly takes no value, but was given 'yes'"),
        ("-t=1", "-t takes no value, but was given '=1'"),
        ("-tz", "-tz takes no value, but was given 'z'"),
        ("-b 18x", "--bit_precision wants a whole number, not '18x'"),
        ("-b 1e1", "--bit_precision wants a whole number, not '1e1'"),
        ("-b 99", "--bit_precision must be at most 61, not 99"),
        ("-l nan", "--learning_rate wants a finite 32-bit number, not nan"),
        ("--ngram 2 --ngram 1", "--ngram must be at least 2, not 1"),
        ("--loss_function hinge", "--loss_function must be one of squared, logistic, not 'hinge'"),
        ("-b 18 -b 20", "--bit_precision was given twice, as 18 and 20"),
        ("a b", "more than one data file: 'a', 'b'; use -d for each of several"),
    ],
)
def test_mistakes_say_what_is_wrong(words, error):
    if error:
        assert errors_of(*words.split()) == [error]
    else:
        parse(words.split(), GROUPS)


def test_all_mistakes_are_reported_at_once():
    assert errors_of("--pases", "3", "-b99", "--learning_rate", "fast", "-t=1", "x", "y", "--passes") == [
        "unknown flag '--pases', did you mean --passes?",
        "--bit_precision must be at most 61, not 99",
        "--learning_rate wants a number, not 'fast'",
        "-t takes no value, but was given '=1'",
        "--passes needs a value",
        "more than one data file: 'x', 'y'; use -d for each of several",
    ]


def test_prefixes_of_names_are_not_accepted():
    for length in range(1, len("passes")):
        (error,) = errors_of("--" + "passes"[:length], "3")
        assert error.startswith("unknown flag")


WORDS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["-", "--", "-t", "-b", "-b18", "18", "--passes", "--data", "-d", "--link", "-tb", "--quadratic="]),
    st.builds("--{}={}".format, st.sampled_from(["passes", "learning-rate", "ngram", "data"]), st.text(max_size=5)),
)


@given(st.lists(WORDS, max_size=8))
def test_any_words_give_options_or_an_option_error(words):
    options, errors = outcome(words)
    if options is None:
        assert errors
        assert not any("\n" in line for line in errors)
    else:
        assert options.arguments == words


@given(
    st.integers(1, 61),
    st.floats(min_value=-1e30, max_value=1e30),
    st.lists(st.text(min_size=1).filter(lambda text: not text.startswith("-")), max_size=4),
)
def test_separate_and_attached_values_mean_the_same(bits, least, files):
    separate = ["--bit_precision", str(bits), "--min_prediction", repr(least)]
    attached = [f"-b{bits}", f"--min-prediction={least!r}"]
    for file in files:
        separate += ["--data", file]
        attached += [f"--data={file}"]
    one, other = parse(separate, GROUPS), parse(attached, GROUPS)
    assert [one[name] for name in one.declared] == [other[name] for name in other.declared]
    assert one["data"] == files


# Configuration files


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "run.toml"
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


def test_a_config_file_gives_values(config):
    path = config("""
        bit-precision = 20
        learning_rate = 1
        testonly = true
        loss_function = "logistic"
        data = ["a", "b"]
        quadratic = "ab"
        """)
    options = parse(["--config", path], GROUPS)
    values = {name: options[name] for name in options.declared if options.given(name)}
    assert values == {
        "bit_precision": 20,
        "learning_rate": 1.0,
        "testonly": True,
        "loss_function": "logistic",
        "data": ["a", "b"],
        "quadratic": ["ab"],
        "config": path,
    }
    assert options.source("bit_precision") == "config file"


def test_the_command_line_beats_the_config_file(config):
    path = config('bit_precision = 20\ntestonly = false\ndata = ["a", "b"]\npasses = 3')
    options = parse(["-b22", "-t", "-d", "c", "--config", path], GROUPS)
    assert (options["bit_precision"], options["testonly"], options["data"]) == (22, True, ["c"])
    assert (options.source("data"), options.source("passes")) == ("command line", "config file")


def test_the_config_file_beats_the_model(config):
    options = parse(["--config", config("learning_rate = 0.25\ntestonly = false\ndata = []")], GROUPS)
    options.merge_model({"learning_rate": 0.75, "bit_precision": 20}, False, "m")
    assert (options["learning_rate"], options["testonly"], options["data"]) == (0.25, False, [])
    assert options["bit_precision"] == 20


def test_all_mistakes_of_a_config_file_name_the_file(config):
    path = config("""
        pases = 3
        bit_precision = 99
        learning_rate = "fast"
        testonly = 1
        loss_function = ["logistic"]
        ngram = [2, 1.5]
        passes = 1e6
        min_prediction = 1
        min-prediction = 2
        predictions = 2020-01-01
        version = true
        data = 3
        [gd]
        power_t = 1
        """)
    assert errors_of("--config", path, "-q") == ["-q needs a value"] + [
        f"{path}: {error}"
        for error in (
            "unknown option 'pases', did you mean passes?",
            "--bit_precision must be at most 61, not 99",
            "--learning_rate wants a number, not 'fast'",
            "--testonly wants true or false, not 1",
            "--loss_function wants text, not ['logistic']",
            "--ngram wants a whole number, not 1.5",
            "--passes wants a whole number, not 1000000.0",
            "--min_prediction was given twice, as 1.0 and 2.0",
            "--predictions wants text, not datetime.date(2020, 1, 1)",
            "version can only be given on the command line",
            "--data wants text, not 3",
            "[gd] is a table, but options have to be at the top level",
        )
    ]


def test_a_config_file_that_cannot_be_read_is_named(config, tmp_path):
    missing = str(tmp_path / "none.toml")
    assert errors_of("--config", missing) == [f"{missing}: No such file or directory"]
    assert errors_of("--config", str(tmp_path)) == [f"{tmp_path}: Is a directory"]
    path = config("passes = ")
    (error,) = errors_of("--config", path)
    assert error.startswith(f"{path}: not a TOML file: Invalid value")


@given(st.binary(max_size=60))
def test_any_config_file_gives_options_or_an_option_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_bytes(content)
    _, errors = outcome(["--config", str(path)])
    assert all(line.startswith(str(path)) for line in errors)


@given(st.text(st.characters()))
def test_any_name_of_a_config_file_gives_options_or_an_option_error(name):
    with pytest.raises(OptionError):
        parse([f"--config=/nowhere/{name}"], GROUPS)
