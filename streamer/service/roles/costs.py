"""What each rule costs, measured on a sample: one batch in so many is evaluated once more, rule by rule, by the clock.

The detecting itself is not slowed down by a clock per rule, and whatever it saves by looking at many rules at once is
not hidden: the figure is what a rule costs when it is evaluated in full.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from streamer.decode import Decoder, Source
from streamer.detect import evaluate
from streamer.detect.detector import applies
from streamer.model import Event, Record
from streamer.sigma.rules import RuleSet

ONE_IN: Final = 64
_MOST: Final = 200
"""Records of a sample."""


class RuleCosts:
    """Times rules.

    Attributes:
        seconds: spent on the sample, by rule key.
        events: evaluated in the sample, by rule key.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.seconds: dict[str, float] = {}
        self.events: Counter[str] = Counter()
        self._rules = rules.detections
        self._batches = 0

    def batch(self, records: Sequence[Record], sources: Mapping[str, Source]) -> None:
        """A batch was detected on; now and then it is looked at once more."""
        if not records:
            return
        self._batches += 1
        if self._batches % ONE_IN == 1:
            self.sample(records[:_MOST], sources)

    def sample(self, records: Sequence[Record], sources: Mapping[str, Source]) -> None:
        """Evaluate every rule on the events of these records."""
        events = _events(records, sources)
        for rule in self._rules:
            looked_at = [event for event in events if applies(rule.logsource, event.logsource)]
            if not looked_at:
                continue
            begun_s = time.perf_counter()
            for event in looked_at:
                try:
                    evaluate(rule.predicate, event)
                except Exception:  # noqa: BLE001, S112 - a failing rule is reported where it was detected with
                    continue
            spent_s = time.perf_counter() - begun_s
            self.seconds[rule.meta.key] = self.seconds.get(rule.meta.key, 0.0) + spent_s
            self.events[rule.meta.key] += len(looked_at)


def _events(records: Sequence[Record], sources: Mapping[str, Source]) -> list[Event]:
    decoders: dict[tuple[str, int], Decoder] = {}
    events: list[Event] = []
    for record in records:
        position = record.position
        decoder = decoders.setdefault((position.source, position.partition), Decoder(sources[position.source]))
        events += decoder.decode(record).events
    return events
