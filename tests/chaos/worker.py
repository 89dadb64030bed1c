"""One process of the service under test: ``python -m tests.chaos.worker --config FILE --role ROLE ...``.

It is ``streamer run`` with what a test adds: points where it kills itself, another consumer group for a process that
takes partitions without asking, a rule of the protocol switched off, a shorter session so that more can happen in a
minute.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import Any

from streamer.cli import main as streamer
from streamer.kafka.group import GroupMember
from tests.chaos import broken
from tests.chaos.crash import Crash


def main() -> None:
    """Patch what is asked for, then run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--role", action="append", default=[])
    parser.add_argument("--rogue", action="store_true", help="take partitions without asking the group")
    parser.add_argument("--without", choices=sorted(broken.RULES), help="switch a rule of the protocol off")
    asked = parser.parse_args()
    Crash.asked_for().install()
    _join_otherwise(float(os.environ.get("CHAOS_SESSION_S", "3")), rogue=asked.rogue)
    if asked.without:
        broken.RULES[asked.without]()
    sys.argv = ["streamer", "run", "--config", asked.config]
    for role in asked.role:
        sys.argv += ["--role", role]
    streamer()


def _join_otherwise(session_s: float, *, rogue: bool) -> None:
    """Sessions of another length, and for a rogue a group of its own in which it gets everything."""
    made: Any = GroupMember.__init__

    def making(self: Any, connection: Any, topics: Any, *, group: str, options: Any) -> None:
        chosen = f"{group}-rogue" if rogue and group.endswith("correlate") else group
        made(self, connection, topics, group=chosen, options=replace(options, session_s=session_s))

    GroupMember.__init__ = making  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
