"""Which namespaces name entities."""

from __future__ import annotations

from vwlite.core.options import Options

MOST = 16  # of them; more are refused elsewhere


def entity_namespaces(options: Options) -> list[str]:
    """The namespaces whose features name entities, by the options of a run."""
    specs = options["random_effect"] if "random_effect" in options else []  # noqa: SIM401
    return [spec.partition(":")[0] for spec in specs][:MOST]
