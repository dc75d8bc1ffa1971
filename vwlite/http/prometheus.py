"""Figures for Prometheus, read from the counters when they are asked for: a request costs nothing more for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from vwlite.http.latency import BOUNDS
from vwlite.http.service import Service


class Collector:
    """Reads the counters of a service.

    Args:
        service: The service.
        guard: Counts requests.
    """

    def __init__(self, service: Service, guard: Any) -> None:
        self.service, self.guard = service, guard

    def collect(self) -> Iterator[Metric]:
        """Yields the figures."""
        house = self.service.house
        loaded = [each.model for each in house.known.values() if each.model is not None]
        examples = CounterMetricFamily("vwlite_examples", "Examples that a model has learned", labels=["model"])
        problems = CounterMetricFamily("vwlite_malformed", "Examples that were refused", labels=["model"])
        loss = GaugeMetricFamily("vwlite_loss", "Mean loss of predictions made before learning", labels=["model"])
        recent = GaugeMetricFamily("vwlite_recent_loss", "The same, of the last 1,000 examples or so", labels=["model"])
        drift = GaugeMetricFamily(
            "vwlite_drift", "Recent loss less the loss of all, in standard errors of the recent one", labels=["model"]
        )
        entities = GaugeMetricFamily("vwlite_entities", "Entities of random effects in memory", labels=["model"])
        latency = HistogramMetricFamily(
            "vwlite_call_seconds", "Duration of calls, without the network", labels=["model", "call"]
        )
        metrics = GaugeMetricFamily("vwlite_metric", "Metrics over all examples", labels=["model", "metric"])
        for model in loaded:
            name = [model.name]
            examples.add_metric(name, model.examples)
            problems.add_metric(name, model.failures)
            value = model.loss()
            if value is not None:
                loss.add_metric(name, value)
            if model.recent.weight:
                recent.add_metric(name, model.recent.mean)
                drift.add_metric(name, model.recent.drift(value))
            count = model.entities()
            if count is not None:
                entities.add_metric(name, count)
            for call, times in model.times.items():
                buckets = times.buckets.cumulative()
                bounds = [*[f"{bound:g}" for bound in BOUNDS], "+Inf"]
                latency.add_metric([model.name, call], list(zip(bounds, buckets, strict=True)), times.total / 1e9)
            for metric, figure in model.scores.figures().items():
                metrics.add_metric([model.name, metric], figure)
        yield from (examples, problems, loss, recent, drift, entities, latency, metrics)
        yield GaugeMetricFamily("vwlite_models", "Models", value=len(house.known))
        yield GaugeMetricFamily("vwlite_models_loaded", "Models in memory", value=len(loaded))
        yield GaugeMetricFamily("vwlite_waiting_ids", "Predictions that are remembered", value=house.state.count)
        yield GaugeMetricFamily(
            "vwlite_listeners", "Listeners of event streams", value=len(self.service.streams.listeners)
        )
        journal = house.journal
        if journal is not None:
            yield GaugeMetricFamily(
                "vwlite_journal_lag", "Entries that are not committed yet", value=journal.last - journal.committed
            )
            yield CounterMetricFamily("vwlite_journal_entries", "Entries of the journal", value=journal.last)
            yield GaugeMetricFamily("vwlite_journal_bytes", "Bytes of the journal on disk", value=journal.bytes())
            yield GaugeMetricFamily(
                "vwlite_journal_failed", "Whether the journal can't be written", value=int(bool(house.commits.failure))
            )
        requests = CounterMetricFamily("vwlite_requests", "Requests", labels=["route", "status"])
        for (route, status), number in (self.guard.requests if self.guard is not None else {}).items():
            requests.add_metric([route, str(status)], number)
        yield requests


class Ready:
    """Figures that were read before, as `generate_latest` asks for them.

    Args:
        families: The figures.
    """

    def __init__(self, families: list[Metric]) -> None:
        self.families = families

    def collect(self) -> list[Metric]:
        """The figures."""
        return self.families


async def exposition(service: Service, guard: Any) -> tuple[bytes, bytes]:
    """The figures as text, and the media type. Text of many models takes a while: another thread makes it."""
    ready: Any = Ready(list(Collector(service, guard).collect()))  # in place of a registry
    text = await asyncio.get_running_loop().run_in_executor(None, generate_latest, ready)
    return text, CONTENT_TYPE_LATEST.encode()
