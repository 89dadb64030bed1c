"""The two pure halves of the engine, with a log between them.

In one process :mod:`streamer.engine` does everything. Spread over many, the same work is cut where a match has found
its keys::

    Record ─► DetectStage ─► Addressed ─► a log of detections ─► PartitionCore ─► Firing, Alert, Addressed

A :class:`~streamer.stages.detection.DetectStage` remembers nothing that must outlive it. A
:class:`~streamer.stages.partition.PartitionCore` is a function of the log it reads: the same records in the same order
give the same firings, alerts and state, however they are cut into steps and however often a step is done again. What
stands in the log is in :mod:`streamer.stages.wire`; how time passes in it, in :mod:`streamer.stages.watermarks`.
"""

from __future__ import annotations
