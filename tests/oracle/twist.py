"""Deliberately wrong readings of the text, by which the generators show that they would notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Twist:
    """Each flag is one classic mistake; none is set in :data:`TRUE`.

    Attributes:
        open_span: a match exactly one timespan away does not fit.
        late_dropped: whatever is older than the watermark is not used.
        no_dedup: every telling of an event counts.
        ties_out_of_order: equal times are not in order.
        judged_at_the_end: the end of a window is decided when the watermark reaches it, not strictly after.
        late_edge: an event exactly at watermark - reach is not used.
        one_event_many_steps: one event may be two steps of an ordered chain.
        one_key_per_list: only the last element of a list makes a key.
        judged_again: what was judged is judged again on every match.
        true_is_one: a value ``true`` counts as the number one.
    """

    open_span: bool = False
    late_dropped: bool = False
    no_dedup: bool = False
    ties_out_of_order: bool = False
    judged_at_the_end: bool = False
    late_edge: bool = False
    one_event_many_steps: bool = False
    one_key_per_list: bool = False
    judged_again: bool = False
    true_is_one: bool = False

    def fits(self, first: int, last: int, timespan: int) -> bool:
        """Whether the two times lie in one timespan, bounds included."""
        return last - first < timespan if self.open_span else last - first <= timespan

    def in_order(self, one: int, two: int, skew: int) -> bool:
        """Whether a step at ``two`` may follow a step at ``one``."""
        return one - skew < two if self.ties_out_of_order else one - skew <= two

    def passed(self, watermark: float, end: int) -> bool:
        """Whether nothing can come any more that touches a window with this end."""
        return watermark >= end if self.judged_at_the_end else watermark > end


TRUE = Twist()
