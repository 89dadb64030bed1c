"""What the service says about itself: its log, and numbers for Prometheus."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.correlate import Counters
from streamer.engine import EngineCounters

UNWATCHED: Final = "Events of clusters beyond those whose silence is noticed."

OF_MATCHES: Final = {
    "late": "Matches older than the watermark.",
    "too_late": "Matches older than the watermark and their rule's reach, which correlations do not use.",
    "missing_key": "Matches without one of the group-by fields.",
    "missing_value": "Matches without the counted field, or without a number in it.",
    "key_overflow": "Keys left out because one match had more than sixteen.",
    "value_overflow": "Values left out because one match had too many.",
    "duplicates": "Matches that were told before.",
    "refused": "Matches that no limit had room for.",
    "abandoned": "Searches for a chain with skew that were given up.",
}
"""What correlation counts per rule, as metrics ``streamer_matches_<name>_total``."""

_QUIET = ("aiokafka", "elastic_transport", "elasticsearch", "uvicorn")
"""Libraries that repeat themselves while a server is away; we say it once, in a sentence."""


def configure_log(level: str) -> None:
    """Log to standard error: text on a terminal, otherwise one JSON object per line."""
    terminal = sys.stderr.isatty()
    rendering: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        _in_reading_order,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    if terminal:
        rendering = [structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ)]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *rendering,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _in_reading_order(_logger: Any, _method: str, said: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """When, how grave and what come first: people read these lines, too."""
    first = {name: said.pop(name) for name in ("timestamp", "level", "event") if name in said}
    return {**first, **said}


def drop_unread_failures(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A loop's exception handler: what the Kafka client failed at and nobody asked about is not worth a traceback.

    After a fencing it leaves futures behind that nobody reads; a failure that matters was raised where it was awaited.
    """
    error = context.get("exception")
    if error is not None and type(error).__module__.startswith("aiokafka"):
        return
    loop.default_exception_handler(context)


Numbers = Mapping[str, Callable[[], float | Mapping[str, float]]]


class _Reading(Collector):
    """Reads the numbers when they are asked for; nothing is counted twice."""

    def __init__(self, counters: EngineCounters, correlation: Counters, gauges: Numbers) -> None:
        self._counters = counters
        self._correlation = correlation
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """Counters of the engine, then the service's gauges."""
        counters = self._counters
        yield _counter("streamer_records", "Records read.", None, {"": counters.records})
        yield _counter("streamer_record_bytes", "Bytes of records read.", None, {"": counters.bytes})
        yield _counter("streamer_skipped", "Records that carry nothing to look at.", None, {"": counters.skipped})
        yield _counter("streamer_events", "Events decoded.", "logsource", counters.events)
        yield _counter("streamer_unwatched_events", UNWATCHED, None, {"": counters.unwatched})
        yield _counter("streamer_dead_letters", "Records that could not be read.", "reason", counters.dead_letters)
        yield _counter("streamer_matches", "Events that a rule matched.", "rule", counters.matches)
        yield allowed_family(counters.allowed)
        yield _counter("streamer_firings", "Firings of a rule.", "rule", counters.firings)
        yield _counter("streamer_alerts", "Alerts told.", "rule", counters.alerts)
        suppressed = self._correlation.suppressed
        yield _counter("streamer_alerts_suppressed", "Alerts not told for their number.", "rule", suppressed)
        yield _counter("streamer_rule_failures", "Events on which a rule failed.", "rule", counters.failures)
        for name, text in OF_MATCHES.items():
            yield _counter(f"streamer_matches_{name}", text, "rule", getattr(self._correlation, name))
        for name, read in self._gauges.items():
            value = read()
            if isinstance(value, Mapping):
                yield _gauge(name, value)
            else:
                yield GaugeMetricFamily(name, name.replace("_", " "), value=value)


def allowed_family(counts: Mapping[tuple[str, str], float]) -> CounterMetricFamily:
    """What exceptions of the site covered."""
    text = "Events that a rule would have matched and an exception of the site covered."
    family = CounterMetricFamily("streamer_allowed_matches", text, labels=["entry", "rule"])
    for labels, value in counts.items():
        family.add_metric(list(labels), value)
    return family


def _counter(name: str, text: str, label: str | None, values: Mapping[str, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label] if label else [])
    for key, value in values.items():
        family.add_metric([key] if label else [], value)
    return family


def _gauge(name: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, name.replace("_", " "), labels=["name"])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def registry_of(counters: EngineCounters, correlation: Counters, gauges: Numbers) -> CollectorRegistry:
    """A registry for one service; several may live in one process."""
    registry = CollectorRegistry()
    registry.register(_Reading(counters, correlation, gauges))
    return registry
