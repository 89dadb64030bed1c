"""What one step of correlation has to say."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamer.model import Alert, Firing, Key, Notice


@dataclass(slots=True)
class Told:
    """The result of a step.

    Attributes:
        firings: everything that came true, in the order told; alerting detections included.
        alerts: those of them that open an episode of an alerting rule, same order.
        notices: limits that were hit.
        seen: beside every firing, its episode keys if they are more than one (``first_seen`` of several values).
    """

    firings: list[Firing] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    seen: list[tuple[Key, ...]] = field(default_factory=list, repr=False)
