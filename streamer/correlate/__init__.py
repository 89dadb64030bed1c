"""Match → Firing → Alert: keys, windows, watermarks, episodes, limits. Pure: time is an argument."""

from __future__ import annotations

from streamer.correlate.clocks import Clocks, PartitionClock
from streamer.correlate.correlator import Correlator
from streamer.correlate.limits import FOREVER, CorrelateLimits, Counters
from streamer.correlate.store import RestoreReport
from streamer.correlate.told import Told

__all__ = [
    "FOREVER",
    "Clocks",
    "CorrelateLimits",
    "Correlator",
    "Counters",
    "PartitionClock",
    "RestoreReport",
    "Told",
]
