"""Which namespaces name entities."""

from __future__ import annotations

from vwlite.core.options import Options

MOST = 16  # of them; more are refused elsewhere


def features_of_entities(options: Options) -> dict[str, str | list[str]]:
    """For each namespace of entities, the namespaces whose features have coefficients: a list, or ``*`` for all."""
    found: dict[str, str | list[str]] = {}
    for spec in options["random_effect"] if "random_effect" in options else []:  # noqa: SIM401
        name, _, rest = spec.partition(":")
        found[name] = rest if rest == "*" else [one for one in rest.split(",") if one]
    return found


def entity_namespaces(options: Options) -> list[str]:
    """The namespaces whose features name entities, by the options of a run."""
    specs = options["random_effect"] if "random_effect" in options else []  # noqa: SIM401
    return [spec.partition(":")[0] for spec in specs][:MOST]
