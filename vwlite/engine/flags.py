"""Declarations of options: those of a run and its models; builtin_groups() adds those of the other modules."""

from __future__ import annotations

from vwlite.bases.table_learner import OPTIONS as TABLE_OPTIONS
from vwlite.core.class_names import OPTIONS as CLASS_OPTIONS
from vwlite.core.losses import OPTIONS as LOSS_OPTIONS
from vwlite.core.options import Option, OptionGroup
from vwlite.engine import daemon_flags, delaying, feed, provenance, registry, selection
from vwlite.features.interactions import OPTIONS as FEATURE_OPTIONS
from vwlite.features.known import OPTIONS as NAMES_OPTIONS
from vwlite.features.transform_rules import OPTIONS as TRANSFORM_OPTIONS
from vwlite.input.formats import OPTIONS as FORMAT_OPTIONS
from vwlite.parsers.text import OPTIONS as TEXT_OPTIONS
from vwlite.report import outputs, watching

GENERAL = OptionGroup(
    "General",
    (
        Option(
            "config",
            str,
            'Read options from a TOML file, with lines such as passes = 3 or quadratic = ["ab", "cd"]. '
            "The command line takes precedence over the file.",
            metavar="FILE",
            file="read",
        ),
        Option("help", bool, "Show the most used flags and exit.", short="h"),
        Option("help_all", bool, "Show every flag and exit."),
        Option("version", bool, "Show the version and exit."),
    ),
    examples=(
        "vwlite --config flags.toml data.vw",
        "vwlite --help",
        "vwlite --help_all",
        "vwlite --version",
    ),
)
RUN_OPTIONS = OptionGroup(
    "Run",
    (
        Option("testonly", bool, "predict only: learn nothing", short="t", task="predict"),
        Option("passes", int, "passes over the data", default=1, least=1, task="learn"),
        Option("examples", int, "stop after this many examples of each pass; -1: no limit", least=-1, metavar="N"),
        Option("holdout_off", bool, "hold nothing out when there are several passes"),
        Option(
            "holdout_period",
            int,
            "hold every N-th example out",
            default=10,
            least=1,
            metavar="N",
            needs=("passes>1 & !holdout_off & !holdout_after & !holdout & !testonly",),
            mild=("!testonly",),
        ),
        Option(
            "holdout_after",
            int,
            "hold all examples after the first N out",
            default=0,
            least=0,
            metavar="N",
            needs=("!holdout_off & !holdout",),
        ),
        Option(
            "holdout",
            float,
            "hold this share of the examples out: by a hash of the tag, or of the features without one, so "
            "an example is always on the same side",
            above=0,
            most=0.999999,
            metavar="SHARE",
            needs=("command & !holdout_off & !holdout_after & !holdout_period & !testonly",),
        ),
        Option(
            "early_terminate",
            int,
            "stop after this many passes without a better holdout loss",
            default=3,
            least=1,
            metavar="N",
            needs=("passes>1 & !holdout_off & !testonly",),
            mild=("!testonly",),
        ),
        Option("random_seed", int, "seed of the random numbers", default=0, least=0, keep=True),
        Option("onethread", bool, "parse in the learning thread"),
        Option(
            "threads",
            int,
            "learn and predict in so many threads, which share the entities of a random effect out; results are the "
            "same for any number",
            default=1,
            least=1,
            most=256,
            metavar="N",
            needs=("command",),
        ),
        Option("dry_run", bool, "print the stack of learners and stop"),
    ),
    examples=(
        "vwlite more.vw -i start.model --testonly -p predictions",
        "vwlite data.vw -c --passes 20 --holdout_period 5 --early_terminate 2 -f model",
        "vwlite data.vw -c --passes 3 --holdout_off -f model",
        "vwlite data.vw --holdout_after 100 --examples 150",
        "vwlite data.vw --holdout 0.1 -f model",
        "vwlite decisions.vw --thompson --bayes_linear --random_seed 7 --onethread",
        "vwlite ratings.vw --bayes_linear --random_effect user --fixed none --effect_l2 1 --shrink zero --threads 2",
        "vwlite --dry_run --bayes_linear --random_effect user",
    ),
)
MODEL_OPTIONS = OptionGroup(
    "Model",
    (
        Option("final_regressor", str, "save the model here", short="f", metavar="FILE", file="written", task="learn"),
        Option("initial_regressor", str, "start from this model", short="i", metavar="FILE", file="read", task="learn"),
        Option(
            "save_per_pass",
            bool,
            "save the model after each pass too, as FILE.0, FILE.1, ...",
            needs=("final_regressor & passes>1",),
        ),
        Option(
            "predict_only_model",
            bool,
            "save weights only, without journal, names and notes: smaller, but learning can't resume exactly",
            needs=("final_regressor", "readable_model", "invert_hash", "library", "serving"),
        ),
        Option(
            "preserve_performance_counters",
            bool,
            "continue the counts of the loaded model",
            needs=("initial_regressor & !testonly",),
            mild=("initial_regressor", "!testonly"),
        ),
        Option("save_resume", bool, "has no effect: models always store everything that resuming needs"),
        Option("readable_model", str, "write the weights as text", metavar="FILE", file="written"),
        Option(
            "invert_hash",
            str,
            "write the weights as text, with the features' names",
            metavar="FILE",
            file="written",
        ),
    ),
    examples=(
        "vwlite data.vw -f model",
        "vwlite more.vw -i start.model -f model --preserve_performance_counters",
        "vwlite data.vw -f model --save_per_pass --passes 2 -c",
        "vwlite data.vw --readable_model weights --invert_hash names --predict_only_model",
        "vwlite data.vw --save_resume -f model",
    ),
)


def builtin_groups() -> list[OptionGroup]:
    """All options in the groups of --help, except those of plugins and of the command line alone."""
    return [
        feed.OPTIONS,
        TEXT_OPTIONS,
        FORMAT_OPTIONS,
        selection.OPTIONS,
        outputs.OPTIONS,
        watching.OPTIONS,
        MODEL_OPTIONS,
        provenance.OPTIONS,
        RUN_OPTIONS,
        delaying.OPTIONS,
        daemon_flags.OPTIONS,
        FEATURE_OPTIONS,
        TRANSFORM_OPTIONS,
        NAMES_OPTIONS,
        LOSS_OPTIONS,
        CLASS_OPTIONS,
        TABLE_OPTIONS,
        *registry.option_groups(),
    ]
