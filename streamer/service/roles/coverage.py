"""Which rules have looked at everything a raw partition still holds, written beside the group's position.

The note answers one question after a restart or a change of rules: which correlations must be shown older records
again, because nobody looked at those records on their behalf?
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from streamer.sigma.rules import CorrelationRule, RuleSet
from streamer.stages.wire import meaning_of, version_of

LARGEST: Final = 4_000
"""Bytes of a note; Kafka's own default allows 4,096."""
_DIGEST: Final = 6
"""Bytes by which a note tells a meaning: two of a thousand rules are alike once in half a billion rule sets."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What looked at a raw partition up to the position beside which this stands.

    Attributes:
        version: of the rule set.
        meanings: of its correlations; ``None`` where they were too many to be written down.
        since_us: they have seen what is newer than this; ``None``: everything.
        knows_since: whether ``since_us`` says anything.
    """

    version: str
    meanings: frozenset[bytes] | None
    since_us: int | None = None
    knows_since: bool = False

    @classmethod
    def of(cls, rules: RuleSet) -> Coverage:
        """Of rules that begin to look."""
        return cls(version_of(rules), frozenset(map(_digest, rules.correlations)))

    def missing(self, rules: RuleSet) -> frozenset[str]:
        """Keys of the correlations that have not looked."""
        if self.version == version_of(rules):
            return frozenset()
        known = self.meanings or frozenset()
        return frozenset(rule.meta.key for rule in rules.correlations if _digest(rule) not in known)

    def note(self) -> str:
        """At most :data:`LARGEST` bytes of text."""
        said: dict[str, Any] = {"v": self.version}
        if self.knows_since:
            said["s"] = self.since_us
        whole = {**said, "m": _text(self.meanings)} if self.meanings is not None else said
        text = json.dumps(whole, separators=(",", ":"))
        return text if len(text) <= LARGEST else json.dumps(said, separators=(",", ":"))


def read_note(note: str | None) -> Coverage | None:
    """What a note says; ``None`` for none, or for one that is not ours."""
    if not note:
        return None
    try:
        said = json.loads(note)
        meanings = _meanings(said["m"]) if "m" in said else None
        return Coverage(str(said["v"]), meanings, said.get("s"), "s" in said)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _digest(rule: CorrelationRule) -> bytes:
    return meaning_of(rule)[:_DIGEST]


def _text(meanings: Iterable[bytes]) -> str:
    return base64.b64encode(b"".join(sorted(meanings))).decode()


def _meanings(text: str) -> frozenset[bytes]:
    data = base64.b64decode(text, validate=True)
    return frozenset(data[start : start + _DIGEST] for start in range(0, len(data), _DIGEST))
