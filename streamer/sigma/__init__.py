"""The rule language: files to RuleSet."""

from __future__ import annotations

from streamer.sigma.load import Loaded, load_rules, load_text
from streamer.sigma.rules import RuleSet

__all__ = ["Loaded", "RuleSet", "load_rules", "load_text"]
