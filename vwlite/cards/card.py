"""Model cards (Mitchell and others 2019, Model Cards for Model Reporting): what is known of a model, as a document."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vwlite import __version__
from vwlite.cards import model as model_card
from vwlite.cards.document import Block, Heading, Items, Paragraph, Picture, Table, html, markdown
from vwlite.cards.pictures import calibration_chart
from vwlite.core.paths import explain
from vwlite.errors import ModelError, OptionError

# What only people know of a model, and the question that each answers.
TEXTS = {
    "intended_use": "Intended use",
    "users": "Intended users",
    "out_of_scope": "Uses out of scope",
    "preprocessing": "Preparation of the data",
    "factors": "Groups and factors",
    "considerations": "Ethical and legal considerations",
    "limitations": "Limitations",
    "resources": "Resources",
    "contact": "Contact",
    "citation": "Citation",
    "licence": "Licence",
}
ALIASES = {"license": "licence", "use": "intended_use", "owner": "contact"}
DIGITS = 12  # of a sha256 in a table
TOP = 15
FORMATS = ("md", "html")


def card(  # noqa: DOC502
    path: str,
    texts: Mapping[str, str] | None = None,
    data: Sequence[str] = (),
    *,
    form: str = "md",
    samples: int = 1000,
    top: int = TOP,
    given: Mapping[str, Any] | None = None,
    save: bool = False,
) -> str:
    """Writes the card of a model.

    Args:
        path: The model file.
        texts: What people know of it, by name (see TEXTS); they replace those in the model.
        data: Labelled data on which metrics are measured; none for no metrics.
        form: "md" for Markdown, "html" for a page without external files.
        samples: Of the bootstrap of the metrics' intervals; 0 for no intervals.
        top: How many of the largest weights, and of the entities with most examples.
        given: Options about the data, by name.
        save: Whether the texts are kept in the model, too, once metrics were measured.

    Returns:
        The document.

    Raises:
        ModelError: If the model can't be read.
        OptionError: If the metrics of this kind of model can't be measured, or options don't fit.
        VwliteError: If the data can't be read.
    """
    evaluation = None
    if data:
        from vwlite.judging.commands import evaluation_of, facts_of
        from vwlite.judging.intervals import Resampling

        found = evaluation_of(path, list(data), Resampling(samples), given=dict(given or {}))
        evaluation = found, facts_of(path, list(data))
    if save:
        from vwlite.journal.editing import keep_texts

        keep_texts(path, texts or {})
    facts = model_card.describe(path, top)
    said = {**facts.get("card", {}), **(texts or {})}
    blocks = list(document(path, facts, said, evaluation))
    title = said.get("name") or os.path.basename(path)
    return html(title, blocks) if form == "html" else markdown(title, blocks)


def texts_of(settings: Sequence[str], before: Mapping[str, str] | None = None) -> dict[str, str]:
    """The texts of --set NAME=TEXT, on top of others. Raises OptionError for one without a name."""
    found = {canonical(name): text for name, text in (before or {}).items()}
    for text in settings:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise OptionError(f"--set {text}: expected NAME=TEXT, such as intended_use='ranking of ads'")
        found[canonical(name.strip())] = value
    return found


def canonical(name: str) -> str:
    """The name of a text as the card has it."""
    name = name.lower().replace("-", "_").replace(" ", "_")
    return ALIASES.get(name, name)


def document(path: str, facts: dict[str, Any], said: Mapping[str, str], evaluation: Any) -> Iterator[Block]:
    """The blocks of a card."""
    said = {canonical(name): text for name, text in said.items()}
    yield Heading("Model details")
    yield Table(("what", "value"), list(details(path, facts)))
    if facts.get("notes"):
        yield Table(("note", "text"), [[name, text] for name, text in facts["notes"].items()])
    yield Heading("Intended use")
    yield from statements(said)
    yield Heading("Training data")
    yield from training(facts)
    yield Heading("Evaluation")
    if evaluation is None:
        yield Paragraph("No metrics were measured for this card: vwlite card MODEL -d TEST measures them.")
    else:
        yield from metrics(*evaluation)
    yield Heading("What it has learned")
    yield from learned(facts)
    yield Heading("How to check this card")
    yield from checks(path, facts)


def details(path: str, facts: dict[str, Any]) -> Iterator[list[str]]:
    """What the file says of the model."""
    yield ["file", os.path.basename(path)]
    yield ["id", facts["id"]]
    yield ["sha256 of the file", digest(path)]
    yield ["written", f"{facts['created']}, by vwlite {facts['vwlite_version']}"]
    top = facts["stack"][0]
    words = [top[name].lower().replace("_", " ") for name in ("label", "prediction")]
    yield ["task", f"labels: {words[0]}; predictions: {words[1]}"]
    for learner in facts["stack"]:
        options = " ".join(model_card.option_words(name, value) for name, value in learner.get("options", {}).items())
        yield ["learner", f"{learner['name']} {options}".strip()]
    options = " ".join(model_card.option_words(name, value) for name, value in facts["options"].items())
    yield ["options kept", options or "none"]
    for labels in facts["labels"]:
        if labels["least"] is not None and labels["most"] is not None:
            yield ["range of scores", f"{labels['least']:.6g} to {labels['most']:.6g}"]
    for classes in facts["classes"]:
        names = ", ".join(str(row["class"]) for row in classes["top"])
        yield ["classes", f"{classes['most']}{f': {names}' if names else ''}"]
    for table in facts["weights"]:
        yield [f"weights of {table['learner']}", f"{table['nonzero']:,} of {table['features']:,} are not zero"]
    for table in facts["entities"]:
        yield [f"coefficients of {table['learner']}", f"{table['coefficients']:,}, of {table['entities']:,} entities"]


def digest(path: str) -> str:
    """The sha256 of a file. Raises ModelError if it can't be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model: {explain(error, path)}") from error


def statements(said: Mapping[str, str]) -> Iterator[Block]:
    """What people say of the model."""
    for name, title in TEXTS.items():
        if said.get(name):
            yield Heading(title, 3)
            yield from prose(said[name])
    for name, text in said.items():
        if name not in TEXTS and name != "name" and text:
            yield Heading(name.replace("_", " ").capitalize(), 3)
            yield from prose(text)
    missing = [title.lower() for name, title in TEXTS.items() if not said.get(name)]
    if missing:
        yield Paragraph(f"Not stated: {', '.join(missing)}.")


def prose(text: str) -> Iterator[Block]:
    """Paragraphs, and lists of lines that begin with a dash."""
    for part in text.strip().split("\n\n"):
        lines = [line.strip() for line in part.split("\n") if line.strip()]
        if lines and all(line.startswith("- ") for line in lines):
            yield Items([line[2:] for line in lines])
        elif lines:
            yield Paragraph(" ".join(lines))


def training(facts: dict[str, Any]) -> Iterator[Block]:
    """The runs that made the model."""
    if not facts["journal"]:
        stripped = facts.get("stripped")
        was = f" It was stripped; the sha256 of what was removed is {stripped['sha256']}." if stripped else ""
        yield Paragraph(f"The model has no journal of its training.{was}")
        return
    rows = []
    for number, run in enumerate(facts["journal"], 1):
        sources = [
            source["name"] + (f" (sha256 {source['sha256'][:DIGITS]})" if source.get("sha256") else "")
            for source in run["sources"]
        ]
        losses = ["none" if run[name] is None else f"{run[name]:.6g}" for name in ("loss_before", "loss_after")]
        rows.append(
            [
                str(number),
                run["when"] or "unknown",
                ", ".join(sources)
                or {"library": "given from Python", "serving": "sent by clients"}.get(run.get("via"), ""),
                f"{run['examples']:,}",
                " to ".join(losses),
                str(run["seed"]),
                run["parent"] or "none",
            ]
        )
    yield Table(("run", "when", "data", "examples", "loss", "seed", "from model"), rows)
    yield Paragraph("The loss is progressive: each example is predicted before it is learned.")
    commands = [shlex.join(run["arguments"]) for run in facts["journal"] if run["arguments"]]
    if commands:
        yield Items([f"vwlite {words}" for words in commands], code=True)


def metrics(evaluation: Any, facts: Mapping[str, Any]) -> Iterator[Block]:
    """Metrics on the data of the card."""
    from vwlite.judging.rendering import WORDS, cells_of, number, span

    sources = [
        one["path"] + (f" (sha256 {one['sha256'][:DIGITS]})" if "sha256" in one else "") for one in facts["data"]
    ]
    yield Paragraph(f"Measured on {evaluation.n:,} examples ({WORDS[evaluation.kind]}) of {', '.join(sources)}.")
    rows = [[metric.name, *cells_of(metric)] for metric in evaluation.metrics]
    yield Table(("metric", "value", f"interval ({evaluation.level:.3g})"), rows)
    if evaluation.confusion is not None:
        names, weights = evaluation.confusion
        cells = [[name, *(f"{cell:g}" for cell in row)] for name, row in zip(names, weights, strict=True)]
        yield Table(("label \\ predicted", *names), cells)
    if evaluation.classes:
        head = ("class", *evaluation.classes[0][1])
        yield Table(head, [[name, *(number(value) for value in each.values())] for name, each in evaluation.classes])
    if evaluation.calibration:
        cells = [
            [f"{one.n:,}", number(one.predicted), number(one.observed), span(one.low, one.high)]
            for one in evaluation.calibration
        ]
        yield Heading("Calibration", 3)
        yield Table(("examples", "predicted", "observed", "interval"), cells)
        yield Picture(calibration_chart(evaluation.calibration), "observed labels by prediction")


def learned(facts: dict[str, Any]) -> Iterator[Block]:
    """The largest weights, and what is known of entities."""
    empty = True
    for table in facts["weights"]:
        rows = [
            [
                " = ".join(row["names"]) or f"slot {row['slot']}",
                "not finite" if row["weight"] is None else f"{row['weight']:+.6g}",
            ]
            for row in table["top"]
        ]
        if rows:
            empty = False
            yield Heading(f"Largest weights of {table['learner']}", 3)
            yield Table(("feature", "weight"), rows)
    for table in facts["entities"]:
        empty = False
        yield Heading(table["learner"], 3)
        if "trouble" in table:
            yield Paragraph(f"Its coefficients can't be computed: {table['trouble']}")
        yield Paragraph(f"{table['entities']:,} entities, {table['examples']['all']:,} examples in all.")
        rows = [
            [
                row["feature"],
                model_card.in_digits(row["mean"]),
                "without bound" if row["sd"] is None else f"{row['sd']:.6g}",
            ]
            for row in table.get("prior", [])
        ]
        if rows:
            yield Table(("prior of", "mean", "sd"), rows)
        rows = [
            [row["name"] or str(row["hash"]), model_card.in_digits(row["mean"], "+"), model_card.in_digits(row["sd"])]
            for row in table.get("largest", [])
        ]
        if rows:
            yield Table(("feature", "mean", "sd"), rows)
    if empty:
        yield Paragraph("It has no weights that are not zero.")


def checks(path: str, facts: dict[str, Any]) -> Iterator[Block]:
    """How a reader repeats what the card says."""
    name = shlex.quote(os.path.basename(path))
    commands = [f"vwlite inspect {name} --journal"]
    if facts["journal"] and facts["journal"][0]["parent"] is None:
        commands.append(f"vwlite replay {name} --check")
    yield Items([*commands, f"vwlite card {name} -d TEST"], code=True)
    yield Paragraph(
        f"Written by vwlite {__version__} from the model file; texts under Intended use are those of its makers."
    )
