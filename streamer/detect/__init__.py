"""Event to Match: the slow obvious evaluator, which is the definition, and an index that spares it most rules."""

from __future__ import annotations

from streamer.detect.detector import Detected, Detector, RuleFailure, applies
from streamer.detect.evaluate import evaluate
from streamer.detect.paths import values_at

__all__ = ["Detected", "Detector", "RuleFailure", "applies", "evaluate", "values_at"]
