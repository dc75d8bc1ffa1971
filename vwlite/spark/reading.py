"""Reading of rows: which columns of a DataFrame are what, checked at the driver before the first job.

The roles are those of --columns_in and --label. They are worked out once, from the types of Spark, and stored with the
table of entities: the rows of the next day are read alike, or refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from vwlite.engine.workspace import Workspace
from vwlite.errors import OptionError
from vwlite.input.column_map import ColumnMap, Rule, read_label, read_map

ORDER = "__vwlite_order_"  # columns of tasks: the order of the rows, for messages
# In the names of entities these become "_", as in all formats but text: see docs/how-to/data.md.
UNSAFE = "".join(map(chr, range(33))) + ":|\x7f"
UNSAFE_PATTERN = r"[\x00-\x20:|\x7f]"
ENTITY_TYPES = ("string", "tinyint", "smallint", "int", "bigint")
AT_LEARNING = ("weight", "tag")  # roles of columns that rows to be scored need not have

Columns = str | Iterable[str] | Mapping[str, str] | None


class Reading(NamedTuple):
    """How rows are read.

    Args:
        flags: The options of a run.
        effect: The namespace of the random effect.
        entity: The column that names the entities.
        columns: The column map, of explicit roles.
        label: As --label; "" for none.
        order: The columns by which the rows of an entity are sorted.
        used: The columns of the DataFrame that are read, without those of the order alone.
        kinds: Their types in Spark.
    """

    flags: str
    effect: str
    entity: str
    columns: str
    label: str
    order: tuple[str, ...]
    used: tuple[str, ...]
    kinds: tuple[str, ...]

    def map_for_scoring(self) -> str:
        """The column map of rows to be scored: without what only learning needs."""
        rules = read_map(self.columns).rules
        return " ".join(str(rule) for rule in rules if rule.role not in AT_LEARNING)


def columns_of(order: str | Iterable[str] | None) -> tuple[str, ...]:
    """The columns of the order, checked.

    Args:
        order: A name or several.

    Returns:
        The names.

    Raises:
        OptionError: If there is none.
    """
    names = (order,) if isinstance(order, str) else tuple(order or ())
    if not names or not all(isinstance(name, str) and name for name in names):
        raise OptionError(
            "order: name the column by which rows are learned, such as order='time'. Without one, a task that Spark "
            "repeats would see its rows in another order, and learn another model"
        )
    return names


def the_effect(flags: str) -> str:
    """The namespace of the one random effect of flags.

    Args:
        flags: The options of a run.

    Returns:
        The name.

    Raises:
        OptionError: If there is none, or several.
    """
    effects = [spec.partition(":")[0] for spec in Workspace(flags).options["random_effect"]]
    if len(effects) != 1:
        raise OptionError(
            f"{flags}: one --random_effect is fitted at a time, and there are {len(effects)}"
            + (": game() fits several in turn" if effects else "")
        )
    return str(effects[0])


def explicit(schema: Any, column_map: ColumnMap, entities: list[str], learning: bool) -> list[Rule]:  # noqa: DOC502
    """The rule of each column of an Arrow schema, with `auto` made explicit by its type.

    Args:
        schema: The schema.
        column_map: The rules given.
        entities: The namespaces of random effects.
        learning: Whether a label is needed.

    Returns:
        The rules, a struct's after one another.

    Raises:
        OptionError: If a column is missing, or of a type that can't be what its rule says.
    """
    from vwlite.input.naming import Naming
    from vwlite.parsers.arrow import Tables

    found: list[Rule] = []
    workspace = Workspace("")
    reader = Tables(Naming(workspace.options, entities), workspace.top.takes_label, False, False)
    try:
        blocks = reader.blocks(
            schema.empty_table(), column_map, None, None, None, learning, "the rows", decided=found.extend
        )
        list(blocks)
    except TypeError as error:
        raise OptionError(str(error)) from None
    return found


def leaves(fields: Iterable[Any], top: str = "") -> list[str]:
    """The top-level column of each leaf, in the order of `explicit`."""
    import pyarrow as pa

    found: list[str] = []
    for field in fields:
        name = top or field.name
        inner = list(field.type) if pa.types.is_struct(field.type) else []
        found += leaves(inner, name) if pa.types.is_struct(field.type) else [name]
    return found


def as_arrow(schema: Any) -> Any:
    """The Arrow schema of the rows of a DataFrame, column by column.

    Args:
        schema: The schema of Spark.

    Returns:
        The schema of Arrow.

    Raises:
        OptionError: If a column is of a type that Arrow lacks.
    """
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_type

    times = {"timestamp": pa.timestamp("us", "UTC"), "timestamp_ntz": pa.timestamp("us")}
    fields = []
    for field in schema.fields:
        try:
            kind = times.get(field.dataType.simpleString()) or to_arrow_type(field.dataType)
            fields.append(pa.field(field.name, kind))
        except Exception:
            raise OptionError(
                f"the column {field.name!r} is of the type {field.dataType.simpleString()}, which is not read: convert "
                "it to numbers or texts, or leave it out"
            ) from None
    return pa.schema(fields)


def resolve(
    schema: Any,
    flags: str,
    *,
    label: str | None,
    weight: str | None = None,
    columns: Columns = None,
    order: str | Iterable[str] | None,
    learning: bool = True,
) -> Reading:
    """Works out how the rows of a DataFrame are read.

    Args:
        schema: The schema of Spark.
        flags: The options of a run, with one --random_effect.
        label: As --label.
        weight: The column of importance weights.
        columns: As --columns_in.
        order: The columns of the order.
        learning: Whether a label is needed.

    Returns:
        The reading.

    Raises:
        OptionError: If a column is missing, or of a type that can't be what it should.
    """
    effect, orders = the_effect(flags), columns_of(order) if learning or order else ()
    given = read_map(columns, label)
    rules = (Rule(weight, "weight"), *given.rules) if weight else given.rules
    column_map = ColumnMap(rules, given.label, bool(given.rules))
    named = {rule.name for rule in (*rules, given.label) if rule is not None and not rule.pattern}
    by_name = {field.name: field for field in schema.fields}
    if len(by_name) < len(schema.fields):
        raise OptionError("the rows: two columns have the same name: rename one")
    for name in orders:
        if name not in by_name:
            raise OptionError(f"order: there is no column {name!r}, only {', '.join(by_name)}")
    features = type(schema)([field for field in schema.fields if field.name not in orders or field.name in named])
    arrow = as_arrow(features)
    found = explicit(arrow, column_map, [effect], learning)
    tops = leaves(arrow)
    entities = [(rule, top) for rule, top in zip(found, tops, strict=True) if rule.role == "entity"]
    mine = [top for rule, top in entities if (rule.namespace or rule.name) == effect]
    if len(mine) != 1 or mine[0] not in by_name or "struct" in by_name[mine[0]].dataType.simpleString()[:6]:
        raise OptionError(
            f"--random_effect {effect}: expected one column that names the entities, called {effect!r} or with the "
            f"rule COLUMN:entity@{effect}; there are {', '.join(by_name)}"
        )
    kind = by_name[mine[0]].dataType.simpleString()
    if kind not in ENTITY_TYPES:
        raise OptionError(
            f"the column {mine[0]!r} names entities, and is of the type {kind}: texts and whole numbers are names; "
            "cast it to string"
        )
    kept = [rule for rule in found if rule.role not in ("ignore", "label")]
    labels = [rule for rule in found if rule.role == "label"]
    text = label or (labels[0].name if labels else "")
    if text:
        read_label(text)
    used = tuple(dict.fromkeys(top for rule, top in zip(found, tops, strict=True) if rule.role != "ignore"))
    kinds = tuple(by_name[name].dataType.simpleString() for name in used)
    for rule, top in zip(found, tops, strict=True):
        if rule.role not in ("date", "ignore") and family(by_name[top].dataType.simpleString()) == "time":
            raise OptionError(
                f"the column {top!r} holds times, which are no {rule.role}: say which parts matter, as "
                f"'{top}:date(month,dow,hour)'"
            )
    return Reading(flags, effect, mine[0], " ".join(map(str, kept)), text, orders, used, kinds)


def family(kind: str) -> str:
    """What values of a type of Spark are: numbers, times, or what the type is called.

    >>> family("decimal(10,2)"), family("timestamp_ntz"), family("string")
    ('number', 'time', 'string')
    """
    if kind.partition("(")[0] in ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal"):
        return "number"
    return "time" if kind in ("date", "timestamp", "timestamp_ntz") else kind


def require_kinds(reading: Reading, schema: Any) -> None:
    """Checks that columns hold what those held that were learned; an entity's name may be a number or a text.

    Args:
        reading: How rows were read.
        schema: The schema of Spark.

    Raises:
        OptionError: If one is of another type.
    """
    there = {field.name: field.dataType.simpleString() for field in schema.fields}
    for name, kind in zip(reading.used, reading.kinds, strict=True):
        if name in there and name != reading.entity and family(there[name]) != family(kind):
            raise OptionError(
                f"the column {name!r} is of the type {there[name]}, and those learned were of {kind}: cast it"
            )


def quoted(name: str) -> str:
    """The name of a column as Spark reads it, whatever is in it."""
    return "`" + name.replace("`", "``") + "`"


def name_of_entity(column: str, kind: str) -> Any:
    """The name of an entity as vwlite has it, so that rows of one entity meet in one task; NULL if there is none.

    Args:
        column: The name of the column.
        kind: Its type in Spark.

    Returns:
        The column expression, of the type string.
    """
    from pyspark.sql import functions

    value = functions.col(quoted(column))
    if kind != "string":
        return value.cast("string")
    # translate() is slow, and hardly any name needs it
    clean = functions.translate(value, UNSAFE, "_" * len(UNSAFE))
    return functions.nullif(functions.when(value.rlike(UNSAFE_PATTERN), clean).otherwise(value), functions.lit(""))
