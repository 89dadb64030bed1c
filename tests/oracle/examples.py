"""Sentences of SEMANTICS as tiny examples, answers worked out by hand; the oracle and the engine both must give them.

An example is a rule over detections a, b, c, d and a line of tokens in order of arrival::

    a5      a match of a at second 5; every token is an event of its own
    a5=x    the same event told again carries the same name after the equals sign
    ab5     one event that matches a and b
    a5:u    user u
    a5/3    value 3
    W9      the watermark moves to second 9
    end     the input ends

Expected are the firing times in seconds, sorted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Literal

from streamer.model import Evidence, Match, Position
from streamer.sigma.rules import And, AtLeast, CountCondition, Expression, Not, Or, Ref, RuleSet
from tests.correlate.properties.build import Draft, detection, link

SECOND = 1_000_000
BASE = 1_750_000_000 * SECOND
TOKEN = re.compile(r"(?P<rules>[a-d]+)(?P<at>[\d.]+)(?::(?P<user>\w+))?(?:/(?P<value>[^=]+))?(?:=(?P<name>\w+))?$")
A, B, C, D = (Ref(name) for name in "abcd")

Op = tuple[Literal["feed", "advance", "end"], Any]


@dataclass(frozen=True)
class Example:
    """One rule, what arrives, and when it fires."""

    cites: str
    what: str
    draft: Draft
    arrives: str
    fires: tuple[float, ...]
    below: tuple[Draft, ...] = field(default=())

    def rules(self) -> RuleSet:
        """The rule set, linked anew."""
        return link([detection(name) for name in "abcd"], [*self.below, self.draft])

    def ops(self) -> Iterator[Op]:
        """What happens, in order."""
        for number, text in enumerate(self.arrives.split()):
            if text == "end":
                yield "end", None
            elif text.startswith("W"):
                yield "advance", BASE + round(float(text[1:]) * SECOND)
            else:
                yield from _feeds(text, number)


def _feeds(text: str, number: int) -> Iterator[Op]:
    parts = TOKEN.match(text)
    assert parts, text
    name = parts["name"] or f"event {number}"
    values: dict[str, tuple[Any, ...]] = {"user": (parts["user"] or "u",)}
    if parts["value"]:
        values["v"] = tuple(_scalar(one) for one in parts["value"].split(","))
    for rule in parts["rules"]:
        yield (
            "feed",
            Match(
                rule=rule,
                identity=blake2b(name.encode(), digest_size=16).digest(),
                time_us=BASE + round(float(parts["at"]) * SECOND),
                cluster="k",
                values=values,
                position=Position("t", 0, number, is_file=False),
                evidence=Evidence("audit", "success", ""),
            ),
        )


def _scalar(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("'"):
        return text.strip("'")
    return float(text) if "." in text else int(text)


def seconds(times: Sequence[int]) -> tuple[float, ...]:
    """Firing times as examples write them."""
    return tuple(sorted((time - BASE) / SECOND for time in times))


def _draft(kind: Any, rules: str, span: float, condition: Expression | CountCondition, **more: Any) -> Draft:
    names = tuple(rules)
    counted = condition.fields if isinstance(condition, CountCondition) else ()
    fields = {name: {"user": "user", **{one: one for one in counted}} for name in names}
    return Draft("rule", kind, names, round(span * SECOND), condition, ("user",), fields, **more)


def count(op: Any, threshold: float, *, rules: str = "a", span: float = 5, **more: Any) -> Draft:
    """An event_count."""
    return _draft("event_count", rules, span, CountCondition(op, threshold), **more)


def values(op: Any, threshold: float, *, kind: Any = "value_count", span: float = 5, **more: Any) -> Draft:
    """A count or an aggregate of the value."""
    percentile = more.pop("percentile", None)
    return _draft(kind, "a", span, CountCondition(op, threshold, ("v",), percentile), **more)


def together(condition: Expression, *, rules: str = "abc", span: float = 5, **more: Any) -> Draft:
    """A temporal rule."""
    return _draft("temporal", rules, span, condition, **more)


def ordered(condition: Expression, *, rules: str = "abc", span: float = 5, **more: Any) -> Draft:
    """A temporal_ordered rule."""
    return _draft("temporal_ordered", rules, span, condition, **more)


def both(*items: Expression) -> And:
    """All of them."""
    return And(items)


def _exporting() -> Draft:
    lower = together(both(A, B), rules="ab")
    lower.name = "lower"
    lower.export("a", "v")
    return lower


def _by_value() -> Draft:
    fields = {"lower": {"v": "a.v"}, "c": {"v": "v"}}
    return Draft("rule", "temporal_ordered", ("lower", "c"), 5 * SECOND, both(Ref("lower"), C), ("v",), fields)


REACH_3: dict[str, Any] = {"reach_us": 3 * SECOND}
EXAMPLES = (
    Example("C1", "n events fit with bounds included", count("gte", 3), "a0 a3 a5", (5,)),
    Example("C1", "one microsecond more does not fit", count("gte", 2), "a0 a5.000001", ()),
    Example("C1", "gt n is gte n+1", count("gt", 2), "a0 a1 a2", (2,)),
    Example("C9", "each completing event fires, equal times once", count("gte", 2), "a0 a1 a2 a2", (1, 2)),
    Example("C9", "a late match makes older events complete", count("gte", 3), "a1 a2 a3 W4 a0", (2, 3)),
    Example("I5", "told again changes nothing", count("gte", 2), "a0=x a0=x W1 a0=x", ()),
    Example("C1", "an event that matches both rules is one", count("gte", 2, rules="ab"), "ab0", ()),
    Example("T6", "exactly at reach is used", count("gte", 2, **REACH_3), "a7 W10 a7", (7,)),
    Example("T6", "beyond reach is not", count("gte", 2, **REACH_3), "a7 W10 a6.999999", ()),
    Example("C2", "different values, as JSON scalars", values("gte", 4), "a0/1 a1/1.0 a2/'1' a3/true a4/2", (4,)),
    Example("C2", "a list brings each element", values("gte", 2), "a0/1,2", (0,)),
    Example("C3", "one window after the other", count("lt", 3), "a0 a1 a2 a3 a6 a12 end", (11, 17)),
    Example("C3", "judged strictly after the end", count("lte", 3), "a0 W5", ()),
    Example("C3", "and then", count("lte", 3), "a0 W5.000001", (5,)),
    Example("C3", "not after the judged window is not used", count("eq", 1), "a0 W6 a5 a5.1 end", (5, 10.1)),
    Example("C3", "a match at the end belongs to the window", count("eq", 2), "a0 a5 end", (5,)),
    Example("C4", "a sum of exact binary values", values("eq", 0.3, kind="value_sum"), "a0/0.1 a1/0.2 end", ()),
    Example("C4", "the mean of each event's window", values("gte", 2, kind="value_avg"), "a0/1 a1/3 a7/1 end", (1,)),
    Example(
        "C4", "booleans and texts are no numbers", values("eq", 1, kind="value_sum"), "a0/1 a1/true a2/'5' end", (0,)
    ),
    Example("C4", "the median interpolates", values("eq", 1.5, kind="value_median"), "a0/1 a1/2 end", (1,)),
    Example(
        "C4",
        "percentiles interpolate between closest ranks",
        values("eq", 3.25, kind="value_percentile", percentile=75),
        "a0/1 a1/2 a2/3 a3/4 end",
        (3,),
    ),
    Example(
        "C4 T6", "judged once: late values change nothing", values("gte", 3, kind="value_sum"), "a1/2 W2 a0/2 end", ()
    ),
    Example("C5", "every rule within one timespan", together(both(A, B), rules="ab"), "b0 a5 b10.1", (5,)),
    Example("C5", "two of three", together(AtLeast(2)), "a0 c1 a7 a8", (1,)),
    Example("W3 C5", "one event may satisfy both", together(both(A, B), rules="ab"), "ab3", (3,)),
    Example("C6 W2", "equal times are in order", ordered(both(A, B), rules="ab"), "b2 a2", (2,)),
    Example("W3 C6", "steps are different events", ordered(both(A, B), rules="ab"), "ab3", ()),
    Example("W3 C6", "but two events at one time may change places", ordered(both(A, B), rules="ab"), "ab3 a3", (3,)),
    Example("C6", "an earlier step may come later", ordered(both(A, B, C)), "c3 b2 a1", (3,)),
    Example("W2", "skew lets a step precede", ordered(both(A, B), rules="ab", skew_us=2 * SECOND), "b0 a2", (2,)),
    Example("W2", "but not by more", ordered(both(A, B), rules="ab", skew_us=2 * SECOND), "b0 a2.1", ()),
    Example(
        "W2 G3", "each latest member fires", ordered(both(A, B), rules="ab", skew_us=2 * SECOND), "a9 b10 a11", (10, 11)
    ),
    Example("C7", "not in temporal: to the end of the window", together(both(A, Not(B)), rules="ab"), "a0 b5 end", ()),
    Example("C7", "after it is no veto", together(both(A, Not(B)), rules="ab"), "a0 b5.1 end", (5,)),
    Example("C7", "before it is none either", together(both(A, Not(B)), rules="ab"), "b0 a1 end", (6,)),
    Example("C7", "the watermark must pass", together(both(A, Not(B)), rules="ab"), "a0 W5", ()),
    Example("C7", "not between, bounds excluded", ordered(both(A, Not(B), C)), "a0 b0 c3 b3 end", (3,)),
    Example("C7", "a match between is a veto", ordered(both(A, Not(B), C)), "a0 b1 c3 end", ()),
    Example("C7", "not first looks back, start included", ordered(both(Not(A), B), rules="ab"), "a0 b5 b6 end", (6,)),
    Example("C7", "not first: equal time is no veto", ordered(both(Not(A), B), rules="ab"), "a5 b5 end", (5,)),
    Example("C7", "not last: after the last step only", ordered(both(A, Not(B)), rules="ab"), "a0 b0 end", (5,)),
    Example("C7", "the latest chain is judged, no other is tried", ordered(both(A, Not(B), C)), "a0 a2 b3 c4 end", ()),
    Example(
        "C7 T6", "once judged, a late veto changes nothing", together(both(A, Not(B)), rules="ab"), "a0 W5.1 b1", (5,)
    ),
    Example(
        "C7",
        "an or: each completed alternative on its own chain",
        together(both(Or((A, B)), Not(C))),
        "a0 b1 c5.5 end",
        (5,),
    ),
    Example(
        "C8",
        "first seen within the timespan, value by value",
        values("gte", 1, first_seen=True),
        "a0/1 a3/1 a4/2 a9/1 a10/2 end",
        (0, 4, 9, 10),
    ),
    Example("C8", "seen exactly one timespan ago is seen", values("gte", 1, first_seen=True), "a0/1 a5/1 end", (0,)),
    Example(
        "C8",
        "nothing fires while it learns",
        values("gte", 1, first_seen=True, learn_us=3 * SECOND),
        "a0/1 a2.9/2 a3/3 end",
        (3,),
    ),
    Example("K2", "without the value no part", values("gte", 1), "a0", ()),
    Example("K1", "keys are compared exactly", count("gte", 2), "a0:u a1:U", ()),
    Example(
        "C10 C11",
        "a correlation above joins by the value its member had",
        _by_value(),
        "a0/7 b1 c2/7 c3/8 end",
        (2,),
        below=(_exporting(),),
    ),
)
