"""Numbers for Prometheus in the Kafka mode; names as in :mod:`streamer.service.telemetry` where they mean the same."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streamer.service.roles.correlate import CorrelateRole
from streamer.service.roles.detect import DetectRole
from streamer.service.roles.index import IndexRole
from streamer.service.telemetry import OF_MATCHES, UNWATCHED, allowed_family

_US: Final = 1_000_000


def kafka_registry(
    detect: DetectRole | None, correlate: CorrelateRole | None, index: IndexRole | None
) -> CollectorRegistry:
    """A registry for the roles of one process."""
    registry = CollectorRegistry()
    registry.register(_Reading(detect, correlate, index))
    return registry


class _Reading(Collector):
    """Reads the numbers when they are asked for; nothing is counted twice."""

    def __init__(self, detect: DetectRole | None, correlate: CorrelateRole | None, index: IndexRole | None) -> None:
        self._detect = detect
        self._correlate = correlate
        self._index = index

    def collect(self) -> Iterator[Metric]:
        """What all roles share, then each role's own."""
        yield from self._shared()
        if self._detect is not None:
            yield from _of_detect(self._detect)
        if self._correlate is not None:
            yield from _of_correlate(self._correlate)
        if self._index is not None:
            yield from _of_index(self._index)

    def _shared(self) -> Iterator[Metric]:
        letters: Counter[str] = Counter()
        lag: dict[str, float] = {}
        lag_s: dict[str, float] = {}
        of_matches = {name: Counter[str]() for name in OF_MATCHES}
        if self._detect is not None:
            letters += self._detect.numbers.set_aside
            lag["detect"], lag_s["detect"] = _lag_of_detect(self._detect)
            self._add(of_matches, self._detect.counters().correlation)
        if self._correlate is not None:
            letters += self._correlate.numbers.set_aside
            lag["correlate"], lag_s["correlate"] = _lag_of_correlate(self._correlate)
            self._add(of_matches, self._correlate.counters().correlation)
        if self._index is not None:
            letters += self._index.burial.letters
            lag_s["index"] = self._index.oldest_age_s()
        yield _counter("streamer_dead_letters", "Records that were set aside.", "reason", letters)
        yield _gauge("streamer_lag_records", "Records that a role has still to take in.", "role", lag)
        yield _gauge("streamer_lag_seconds", "Age of what a role takes in now; 0 at the end.", "role", lag_s)
        for name, text in OF_MATCHES.items():
            yield _counter(f"streamer_matches_{name}", text, "rule", of_matches[name])

    @staticmethod
    def _add(found: Mapping[str, Counter[str]], correlation: object) -> None:
        for name, counter in found.items():
            counter.update(getattr(correlation, name))


def _of_detect(role: DetectRole) -> Iterator[Metric]:
    counters, numbers = role.counters(), role.numbers
    yield _plain("streamer_records", "Records read.", counters.records)
    yield _plain("streamer_record_bytes", "Bytes of records read.", counters.bytes)
    yield _plain("streamer_skipped", "Records that carry nothing to look at.", counters.skipped)
    yield _counter("streamer_events", "Events decoded.", "logsource", counters.events)
    yield _plain("streamer_unwatched_events", UNWATCHED, counters.unwatched)
    yield _counter("streamer_matches", "Events that a rule matched.", "rule", counters.matches)
    yield allowed_family(counters.allowed)
    yield _counter("streamer_rule_failures", "Events on which a rule failed.", "rule", counters.failures)
    yield _plain("streamer_detections_sent", "Matches sent, once per rule and key they are for.", numbers.sent)
    yield _plain("streamer_detect_restarts", "Times detecting went back to what was committed.", numbers.restarts)
    yield _plain("streamer_rebuild_records", "Records read again for new rules.", numbers.rebuilt)
    yield _counter(
        "streamer_rule_sample_seconds", "Seconds a rule took on a sample of batches.", "rule", role.costs.seconds
    )
    yield _counter("streamer_rule_sample_events", "Events of that sample.", "rule", role.costs.events)
    reached = GaugeMetricFamily(
        "streamer_source_watermark_seconds", "Event time up to which it was read.", labels=["topic", "partition"]
    )
    for (topic, number), clock in sorted(role.stage.clocks.items()):
        if clock.watermark_us is not None:
            reached.add_metric([topic, str(number)], clock.watermark_us / _US)
    yield reached


def _of_correlate(role: CorrelateRole) -> Iterator[Metric]:
    counters, numbers = role.counters(), role.numbers
    yield _plain("streamer_detections_records", "Records of the detections taken in.", numbers.records)
    yield _counter("streamer_firings", "Firings of a rule.", "rule", numbers.firings)
    yield _counter("streamer_alerts", "Alerts told.", "rule", numbers.alerts)
    suppressed = counters.correlation.suppressed
    yield _counter("streamer_alerts_suppressed", "Alerts not told for their number.", "rule", suppressed)
    yield _counter("streamer_notices", "Notices told.", "kind", numbers.notices)
    yield _plain("streamer_detections_resent", "Matches that were sent before and dropped.", counters.resent)
    yield _plain("streamer_transactions", "Transactions committed.", numbers.transactions)
    yield _counter("streamer_partition_restarts", "Partitions that began anew.", "reason", numbers.lost)
    yield _plain("streamer_takeovers", "Partitions taken over.", numbers.takeovers)
    yield _plain("streamer_restore_seconds", "Seconds that takeovers took.", numbers.restore_s)
    yield _plain("streamer_restored_entries", "State entries read by takeovers.", numbers.restored)
    yield _gauge("streamer_partitions", "Partitions of the detections given to this process.", "state", _states(role))
    yield from _times(role)
    yield from _sizes(role)


def _of_index(role: IndexRole) -> Iterator[Metric]:
    verdicts = {str(getattr(verdict, "value", verdict)): count for verdict, count in role.bulk.verdicts.items()}
    yield _counter("streamer_index_alerts", "What Elasticsearch said of an alert.", "verdict", verdicts)
    yield _plain("streamer_index_requests", "Bulk requests sent.", role.bulk.requests)
    yield _plain("streamer_index_retries", "Alerts sent again.", role.shipping.retries)
    yield _plain("streamer_index_shortened", "Alerts that lost evidence for their size.", role.bulk.shortened)
    yield _plain("streamer_index_missed", "Alerts that expired before they were indexed.", role.missed)
    yield GaugeMetricFamily(
        "streamer_index_waiting_bytes", "Alerts read and not decided, in bytes.", value=role.backlog.bytes
    )


def _states(role: CorrelateRole) -> dict[str, float]:
    ours = [partition for partition in role.owned.values() if partition.is_assigned]
    running = sum(partition.is_running for partition in ours)
    kept = sum(partition.life is not None and not partition.is_assigned for partition in role.owned.values())
    return {"running": running, "restoring": len(ours) - running, "kept": kept}


def _times(role: CorrelateRole) -> Iterator[Metric]:
    cores = [core for core in role.cores() if core.watermark_us is not None]
    lowest = min((core.watermark_us for core in cores if core.watermark_us is not None), default=None)
    if lowest is not None:
        yield GaugeMetricFamily(
            "streamer_watermark_seconds", "Event time up to which everything is decided.", value=lowest / _US
        )
        yield GaugeMetricFamily(
            "streamer_watermark_lag_seconds", "How far that is behind the clock.", value=time.time() - lowest / _US
        )
    ranks: dict[str, float] = {}
    for core in cores:
        for rank, reached in core.heard.ranks.items():
            ranks[str(rank)] = min(reached / _US, ranks.get(str(rank), reached / _US))
    yield _gauge("streamer_rank_watermark_seconds", "The same for correlations of a rank.", "rank", ranks)


def _sizes(role: CorrelateRole) -> Iterator[Metric]:
    entries: Counter[str] = Counter()
    keys: Counter[str] = Counter()
    for core in role.cores():
        for rule, (held, of_keys) in core.sizes().items():
            entries[rule] += held
            keys[rule] += of_keys
    yield _gauge("streamer_state_entries", "Matches and values remembered.", "rule", entries)
    yield _gauge("streamer_state_keys", "Keys for which something is remembered.", "rule", keys)


def _lag_of_detect(role: DetectRole) -> tuple[float, float]:
    lags = role.lags()
    behind = [role.newest_us[partition] for partition, lag in lags.items() if lag and partition in role.newest_us]
    return sum(lags.values()), _age_s(behind)


def _lag_of_correlate(role: CorrelateRole) -> tuple[float, float]:
    lags = role.lags()
    newest = ((number, role.owned[number].newest_us) for number, lag in lags.items() if lag)
    return sum(lags.values()), _age_s([stamp for _, stamp in newest if stamp is not None])


def _age_s(stamps_us: list[int]) -> float:
    return max(0.0, time.time() - min(stamps_us) / _US) if stamps_us else 0.0


def _plain(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, value=value)


def _counter(name: str, text: str, label: str, values: Mapping[str, float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
