"""When a correlation decides, and which extensions fit which type.

Positive statements are true as soon as the evidence is in; negative ones, bounds from above, aggregates and values
that others use are final only when nothing can come any more, at the watermark.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streamer.model import Decided
from streamer.sigma.drafts import Draft
from streamer.sigma.expressions import has_not
from streamer.sigma.problems import Problems
from streamer.sigma.rules import CorrelationType, CountCondition, Expression
from streamer.sigma.thresholds import COUNTS

MAX_ON_ARRIVAL: Final = 1_000
"""Counts above it decide at the watermark: on arrival each match would cost as much as the threshold is high."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """When, and whether what was decided may still change."""

    decides: Decided = "arrival"
    provisional: bool = False


def decide(
    draft: Draft, condition: Expression | CountCondition | None, *, exports: bool, problems: Problems
) -> Deciding:
    """Check the extensions against the rest of the rule and say when it decides.

    ``exports``: a rule above uses ``<rule>.<field>`` of this one's firings.
    """
    written, extensions = draft.written, draft.extensions
    assert written is not None
    _check_extensions(draft, condition, problems)
    if condition is None:
        return Deciding()
    final_only = _final_only(written.type, condition)
    changeable = exports or extensions.first_seen
    if not isinstance(condition, CountCondition):
        changeable = changeable or has_not(condition)
    if extensions.decide == "arrival":
        if final_only:
            place = extensions.places["decide"]
            problems.error("bad-extension", place, f"`decide: arrival` is not possible: {final_only}", "leave it out")
            return Deciding("watermark")
        return Deciding("arrival", provisional=changeable)
    late = bool(final_only) or changeable or extensions.decide == "watermark"
    return Deciding("watermark" if late else "arrival")


def _final_only(kind: CorrelationType, condition: Expression | CountCondition) -> str:
    """Why nothing can be said on arrival, or the empty string."""
    if not isinstance(condition, CountCondition):
        return ""
    if kind not in COUNTS:
        return "an aggregate is final only when its window is over"
    least = _least(condition)
    if least is None:
        return "an upper bound holds only when its window is over"
    if least > MAX_ON_ARRIVAL:
        return f"counts above {MAX_ON_ARRIVAL} are judged when their window is over"
    return ""


def _least(condition: CountCondition) -> float | None:
    """The count from which on the condition holds, or ``None`` for bounds of another kind."""
    return condition.threshold + (condition.op == "gt") if condition.op in {"gt", "gte"} else None


def _check_extensions(draft: Draft, condition: Expression | CountCondition | None, problems: Problems) -> None:
    written, extensions = draft.written, draft.extensions
    assert written is not None
    places = extensions.places

    def refuse(key: str, message: str, hint: str | None = None) -> None:
        problems.error("bad-extension", places[key], message, hint)

    if extensions.skew_us is not None and written.type != "temporal_ordered":
        refuse("skew", "`skew` is for `temporal_ordered` only", "`temporal` does not look at the order")
    if extensions.first_seen:
        counts = condition is None or (isinstance(condition, CountCondition) and _least(condition) == 1)
        if written.type != "value_count" or not counts:
            refuse("first_seen", "`first_seen` is for `value_count` with `gte: 1` only", "count values of a field")
    elif extensions.learn_us is not None:
        refuse("learn", "`learn` is for `first_seen` only", "add `first_seen: true`")
    if extensions.link_exact and not written.group_by:
        refuse("link", "`link: exact` needs a key that names the thing", "add `group-by`")
