"""The flood of ``benchmarks/state.py``, short: memory is held and a slow attack among the keys is found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_keys_without_end_stay_within_memory_and_hide_no_attack_under_way():
    # Small, so that what the interpreter itself takes and gives back counts for more than in the benchmark.
    command = [sys.executable, "-m", "benchmarks.state", "--lane", "flood", "60000", "2000", "25"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert "the slow attack: found" in done.stdout
    assert "58,401 refused" in done.stdout
    assert done.returncode == 0, done.stdout
