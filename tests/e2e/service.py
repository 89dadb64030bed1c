"""``streamer`` as a real process, with a configuration of its own, to be killed."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import yaml

from tests.servers.process import mortal

ROOT = Path(__file__).resolve().parents[2]


EXCEPTIONS = """\
allow:
  - name: end of the recordings
    reason: The topics hold a few days of history and nothing after it. That they fall silent is no news.
    rules: [source_heard]
    clusters: [attacked, harmless]
"""


@dataclass
class Installation:
    """One installation of the service: its settings, its processes, their log.

    Attributes:
        folder: where settings and log are.
        kafka: bootstrap address.
        elasticsearch: URL; ``None`` indexes nothing.
        name: prefix of its topics and namespace of its indices.
        sources: raw topics by kind.
        settings: more settings, over the usual ones.
        processes: started so far, oldest first.
    """

    folder: Path
    kafka: str
    elasticsearch: str | None
    name: str
    sources: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def alerts_topic(self) -> str:
        """Where its alerts are told."""
        return f"{self.name}.alerts"

    @property
    def alerts_index(self) -> str:
        """All its alert indices."""
        return f"logs-streamer.alerts-{self.name}-*"

    @property
    def log(self) -> Path:
        """What it said on standard error, over all its starts."""
        return self.folder / "service.log"

    def configure(self) -> None:
        """Write the settings."""
        self.folder.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "cluster": "unnamed",
            "sources": [{"kafka": topic, "kind": kind, "idle_after": "2s"} for kind, topic in self.sources.items()],
            "kafka": {
                "bootstrap_servers": self.kafka,
                "topic_prefix": f"{self.name}.",
                "partitions": 3,
                "replication": 1,
                "session": "2s",  # whoever is killed is missed soon
            },
            "limits": {"batch_records": 20},  # many steps, so that a kill meets one
            "http": {"enabled": False},
            "watch_rules": False,
            "allow": str(self.folder / "allow.yml"),
        }
        if self.elasticsearch:
            settings["elasticsearch"] = {"hosts": [self.elasticsearch], "namespace": self.name}
        (self.folder / "allow.yml").write_text(EXCEPTIONS)
        (self.folder / "streamer.yml").write_text(yaml.safe_dump(settings | self.settings))

    def set_up(self) -> None:
        """``streamer setup``."""
        self.configure()
        subprocess.run(self._command("setup"), cwd=ROOT, check=True, capture_output=True)

    def start(self, *roles: str) -> subprocess.Popen[bytes]:
        """``streamer run``, in the background; with all roles where none is named."""
        named = [word for role in roles for word in ("--role", role)]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                mortal([*self._command("run"), *named]),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        self.processes.append(process)
        return process

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The one started last."""
        return self.processes[-1]

    @property
    def takeovers(self) -> int:
        """How many partitions its processes have taken over, over all starts."""
        return len(self.said("partition taken over"))

    @property
    def running(self) -> list[subprocess.Popen[bytes]]:
        """Processes that have not ended."""
        return [process for process in self.processes if process.poll() is None]

    def kill(self) -> None:
        """``kill -9`` for all."""
        for process in self.running:
            process.kill()
            process.wait()

    def stop(self) -> int:
        """Ask all to end, as an orchestrator does; the highest exit code."""
        running = self.running
        for process in running:
            process.terminate()
        return max((process.wait(60) for process in running), default=0)

    def said(self, words: str) -> list[dict[str, Any]]:
        """Lines of its log that contain the words."""
        lines = self.log.read_bytes().splitlines() if self.log.exists() else []
        return [_line(line) for line in lines if words.encode() in line]

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End, however the test ended; a failing test shows the log."""
        self.kill()
        if error is not None:
            print(self.log.read_text(errors="replace")[-4000:])

    def _command(self, verb: str) -> list[str]:
        return [sys.executable, "-m", "streamer", verb, "--config", str(self.folder / "streamer.yml")]


def _line(line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {"event": line.decode(errors="replace")}
    return value if isinstance(value, dict) else {"event": value}
