"""``streamer run`` while its rule files change: nothing is lost, nothing told twice, and it says what it did."""

from __future__ import annotations

import contextlib
import json
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from streamer.local import archive
from tests.service.test_run import bodies, eventually, running
from tests.service.workload import RULES, audit_lines

BROKEN = RULES.replace("verb: delete", "verb|nonsense: delete")


class Service:
    """A running service over one growing file."""

    def __init__(self, folder: Path, process) -> None:
        self.audit, self.rules, self.store = folder / "audit.log", folder / "rules.yml", folder / "streamer.db"
        self.process = process
        self._log = folder / "log"

    def said(self, event: str) -> list[dict]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def feed(self, lines) -> None:
        with self.audit.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def get(self, page: str) -> str:
        port = self.said("listening")[0]["port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name: str) -> float:
        (line,) = [line for line in self.get("/metrics").splitlines() if line.startswith(name + " ")]
        return float(line.split()[1])

    def has_read(self, records: int) -> None:
        assert eventually(lambda: self.metric("streamer_records_total") == records)

    def write_rules(self, text: str) -> None:
        new = self.rules.with_suffix(".new")
        new.write_text(text)
        new.replace(self.rules)


@contextlib.contextmanager
def service(folder: Path, **more) -> Iterator[Service]:
    folder.mkdir()
    config = folder / "streamer.yml"
    (folder / "rules.yml").write_text(RULES)
    (folder / "audit.log").touch()
    settings = {
        "rules": [str(folder / "rules.yml")],
        "sources": [{"file": str(folder / "audit.log"), "kind": "audit", "follow": True}],
        "store": str(folder / "streamer.db"),
        "http": {"port": 0},
        **more,
    }
    config.write_text(json.dumps(settings))
    with (folder / "log").open("w") as log, running(folder, "run", "--config", config, stderr=log) as process:
        found = Service(folder, process)
        assert eventually(lambda: found.said("started with an empty state"))
        yield found
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_rules_are_exchanged_in_a_running_service_and_nothing_is_lost_or_told_twice(tmp_path):
    lines = audit_lines(300)
    with service(tmp_path / "undisturbed") as still:
        still.feed(lines)
        still.has_read(len(lines))
    with service(tmp_path / "disturbed") as one:
        for turn, start in enumerate(range(0, len(lines), 100)):
            one.feed(lines[start : start + 100])
            one.has_read(min(start + 100, len(lines)))
            one.write_rules(RULES.replace("Node deleted", f"Node deleted, version {turn}"))
            assert eventually(lambda turn=turn: len(one.said("rules exchanged")) == turn + 1)
        (first, *_) = one.said("rules exchanged")
        assert (first["anew"], first["added"], first["dropped"], len(first["kept"])) == ([], [], [], 9)
    expected, found = bodies(still.store), bodies(one.store)
    assert [alert for alert, _ in found] == [alert for alert, _ in expected]
    titles = {body["message"] for _, body in found}
    assert titles & {"Node deleted, version 0", "Node deleted, version 1"}


def test_broken_rules_leave_those_that_run_and_are_shown_until_they_are_mended(tmp_path):
    with service(tmp_path / "one") as one:
        one.write_rules(BROKEN)
        assert eventually(lambda: one.metric('streamer_rules_reload_total{result="refused"}') == 1)
        ready = json.loads(one.get("/readyz"))
        assert "rules.yml:" in ready["rules"]
        assert all(value for value in ready.values())
        assert one.metric("streamer_rules_refused") == 1
        (problem,) = one.said("a rule cannot be used")
        assert problem["problem"].startswith(f"{one.rules}:")
        one.feed(audit_lines(50))
        assert eventually(lambda: bodies(one.store))
        one.write_rules(RULES)
        assert eventually(lambda: one.metric("streamer_rules_refused") == 0)
        assert json.loads(one.get("/readyz"))["rules"].endswith("rules in force")


def test_a_hangup_loads_rules_where_they_are_not_watched(tmp_path):
    with service(tmp_path / "one", watch_rules=False) as one:
        one.write_rules(RULES.replace("timespan: 1m", "timespan: 2m"))
        time.sleep(5)
        assert one.said("rules exchanged") == []
        one.process.send_signal(signal.SIGHUP)
        assert eventually(lambda: one.said("rules exchanged"))
        (said,) = one.said("rules exchanged")
        assert said["anew"] == [
            "10000000-0000-4000-8000-000000000005",
            "10000000-0000-4000-8000-000000000009",
        ]


def test_rules_exchanged_while_a_kill_comes_are_found_by_the_next_start(tmp_path):
    with service(tmp_path / "one") as one:
        lines = audit_lines(200)
        one.feed(lines[:100])
        one.has_read(100)
        one.write_rules(RULES.replace("timespan: 1m", "timespan: 2m"))
        assert eventually(lambda: one.said("rules exchanged"))
        one.process.kill()
        one.process.wait()
        config = tmp_path / "one" / "streamer.yml"
        with (tmp_path / "one" / "log").open("w") as log, running(tmp_path, "run", "--config", config, stderr=log):
            one.feed(lines[100:])
            assert eventually(lambda: one.metric("streamer_records_total") == len(lines) - 100)
            assert eventually(lambda: one.said("state restored"))
    assert len(archive.alerts(one.store)) == len({alert.id for alert in archive.alerts(one.store)})
