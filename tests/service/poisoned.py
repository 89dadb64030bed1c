"""Runs the service of a configuration with a part that takes the process with it on the event of one user."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from streamer.service import kafka_run
from streamer.service.configuration import load_settings
from streamer.service.telemetry import configure_log
from streamer.sigma import load_rules
from streamer.stages import wire
from streamer.stages.detection import DetectStage
from streamer.stages.partition import PartitionCore


class Deadly(PartitionCore):
    """Dies on every match of mallory, without a word."""

    def feed(self, offset, value):
        record = wire.decode(value)
        if isinstance(record, wire.Addressed) and "mallory" in str(record.match.evidence):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().feed(offset, value)


class DeadlyDetection(DetectStage):
    """Dies on every record about mallory, without a word."""

    def feed(self, records):
        if any(b"mallory" in record.value for record in records):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().feed(records)


async def main(config: Path, role: str) -> None:
    settings = load_settings(config, environment={})
    configure_log("info")
    if role == "detect":
        kafka_run.DetectStage = DeadlyDetection
    else:
        kafka_run.PartitionCore = Deadly
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    rules = load_rules([Path(path) for path in settings.rules]).ok()
    await kafka_run.serve(settings, rules, ("detect", "correlate"), stop)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
