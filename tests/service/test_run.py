"""``streamer run`` as a process of its own: files that grow, signals, standard input, addresses, sentences."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from streamer.local import archive
from streamer.local.schema import open_writable
from tests.service.test_killed import settled
from tests.service.workload import audit_line, audit_lines, write_world

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "140"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "streamer", *(str(argument) for argument in arguments)]


def streamer(folder: Path, *arguments: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        **options,
    )


@contextlib.contextmanager
def running(folder: Path, *arguments: object, **options) -> Iterator[subprocess.Popen[bytes]]:
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("stdout", subprocess.PIPE)
    with subprocess.Popen(command(*arguments), cwd=folder, env=environment(), **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def eventually(condition):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            found = condition()
            if found:
                return found
        time.sleep(0.05)
    return condition()


def bodies(store: Path) -> list[tuple[str, dict]]:
    return [(alert.id, settled(orjson.loads(alert.body))) for alert in archive.alerts(store)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("world"), 300)


@pytest.fixture(scope="module")
def expected(tmp_path_factory, world):
    folder = tmp_path_factory.mktemp("expected")
    audit, _, rules = world
    done = streamer(folder, "run", "--rules", rules, "--file", audit, "--kind", "audit", "--no-http")
    assert done.returncode == 0, done.stderr
    found = bodies(folder / "streamer.db")
    assert len(found) > 10
    return found


def test_two_files_are_read_to_their_end_and_the_service_ends(tmp_path, world):
    audit, containers, rules = world
    files = ("--file", audit, "--kind", "audit", "--file", containers, "--kind", "containers")
    done = streamer(tmp_path, "run", "--rules", rules, *files, "--no-http")
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(done.stderr.splitlines()[-1])["event"] == "stopped"
    listed = streamer(tmp_path, "alerts")
    assert "Pod of a user mines" in listed.stdout
    assert len(listed.stdout.splitlines()) == len(bodies(tmp_path / "streamer.db"))


def test_a_second_run_over_the_same_files_tells_nothing_twice(tmp_path, world, expected):
    audit, _, rules = world
    for _ in range(2):
        done = streamer(tmp_path, "run", "--rules", rules, "--file", audit, "--kind", "audit", "--no-http")
        assert done.returncode == 0, done.stderr
    assert "had ended" in done.stderr
    assert bodies(tmp_path / "streamer.db") == expected


def test_standard_input_gives_the_same_alerts_as_the_file(tmp_path, world, expected):
    audit, _, rules = world
    arguments = ("run", "--rules", rules, "--file", "-", "--kind", "audit", "--no-http")
    done = streamer(tmp_path, *arguments, input=audit.read_text())
    assert done.returncode == 0, done.stderr
    assert [alert for alert, _ in bodies(tmp_path / "streamer.db")] == [alert for alert, _ in expected]


def test_a_followed_file_is_rotated_and_killed_and_nothing_is_lost_or_doubled(tmp_path, world, expected):
    source, _, rules = world
    lines = source.read_bytes().splitlines(keepends=True)
    live = tmp_path / "audit.log"
    store = tmp_path / "streamer.db"
    chance = random.Random(7)
    arguments = ("run", "--rules", rules, "--file", live, "--kind", "audit", "--follow", "--no-http")
    fed = 0
    live.write_bytes(b"")
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(running(tmp_path, *arguments))
        for turn in range(6):
            for _ in range(chance.randrange(20, 60)):
                with live.open("ab") as file:
                    cut = chance.randrange(1, len(lines[fed]))
                    file.write(lines[fed][:cut])
                    file.flush()
                    file.write(lines[fed][cut:])
                fed += 1
            # A first run must have begun to read: without a position reading begins at the file as it is then.
            assert eventually(lambda: bodies(store))
            time.sleep(chance.random())
            process.send_signal(signal.SIGKILL)
            process.wait()
            live.rename(tmp_path / f"audit.log-{turn}")
            live.write_bytes(b"")
            process = stack.enter_context(running(tmp_path, *arguments))
        with live.open("ab") as file:
            file.writelines(lines[fed:])
        final = [alert for alert, body in expected if body["streamer"]["decided"]["by"] == "arrival"]
        eventually(lambda: {alert for alert, _ in bodies(store)} >= set(final))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    found = bodies(store)
    assert {alert for alert, _ in found} >= set(final)
    # What waits for the end of a file is not decided while the file may grow.
    assert {alert for alert, _ in found} <= {alert for alert, _ in expected}
    assert len(found) == len({alert for alert, _ in found})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_in_order(tmp_path, world, number):
    _, _, rules = world
    (tmp_path / "audit.log").write_text("".join(f"{line}\n" for line in audit_lines(50)))
    with running(
        tmp_path, "run", "--rules", rules, "--file", "audit.log", "--kind", "audit", "--follow", "--no-http"
    ) as process:
        eventually(lambda: bodies(tmp_path / "streamer.db"))
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert b"Traceback" not in process.stderr.read()


def test_idle_input_is_decided_by_the_clock(tmp_path, world):
    _, _, rules = world
    now_s = time.time() - 1_764_000_000
    line = audit_line(1, now_s, verb="get", resource="secrets", user="u", namespace="n")
    (tmp_path / "audit.log").write_text(line + "\n")
    (tmp_path / "streamer.yml").write_text(
        f"rules: [{rules}]\nhttp: {{enabled: false}}\n"
        "sources: [{file: audit.log, kind: audit, follow: true, lateness: 1s, idle_after: 1s}]\n"
    )
    with running(tmp_path, "run", "--config", "streamer.yml") as process:
        titles = eventually(lambda: [body["message"] for _, body in bodies(tmp_path / "streamer.db")])
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert set(titles) == {"First secret in a namespace", "Secret read and no pod before"}


def test_a_file_to_which_nothing_is_written_any_more_is_told_as_silent(tmp_path, world):
    """[T4] nothing arrives, and yet it is decided; a restart does not tell it again."""
    begun_s = time.time() - 1_764_000_000 - 40 * 60
    what = {"verb": "get", "resource": "pods", "user": "u", "namespace": "n"}
    lines = [audit_line(number, begun_s + 60 * number, **what) for number in range(16)]
    (tmp_path / "audit.log").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "streamer.yml").write_text(
        f"rules: [{ROOT / 'rules' / 'kubernetes' / 'sources'}]\nhttp: {{enabled: false}}\n"
        "sources: [{file: audit.log, kind: audit, follow: true, lateness: 1s, idle_after: 1s}]\n"
    )
    for _ in range(2):
        with running(tmp_path, "run", "--config", "streamer.yml") as process:
            told = eventually(lambda: [body["message"] for _, body in bodies(tmp_path / "streamer.db")])
            time.sleep(2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
        assert told == ["Source of logs fell silent"]
        assert len(bodies(tmp_path / "streamer.db")) == 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_liveness_readiness_and_metrics_are_served_and_true(tmp_path, world):
    _, _, rules = world
    (tmp_path / "audit.log").write_text("".join(f"{line}\n" for line in audit_lines(100)))
    port = free_port()
    (tmp_path / "streamer.yml").write_text(
        f"rules: [{rules}]\nhttp: {{port: {port}}}\nsources: [{{file: audit.log, kind: audit, follow: true}}]\n"
    )
    with running(tmp_path, "run", "--config", "streamer.yml") as process:
        eventually(lambda: bodies(tmp_path / "streamer.db"))
        url = f"http://127.0.0.1:{port}"
        assert get(f"{url}/livez") == (200, '{"loop":true}')
        assert eventually(lambda: get(f"{url}/readyz")[0] == 200)
        _, text = get(f"{url}/metrics")
        numbers = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        lines = len((tmp_path / "audit.log").read_text().splitlines())
        assert float(numbers["streamer_records_total"]) == lines
        assert float(numbers["streamer_watermark_seconds"]) > 1_764_000_000
        second = streamer(tmp_path, "run", "--config", "streamer.yml", "--store", "other.db")
        assert second.returncode == 2
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use\n" in second.stderr
        assert "http.enabled" in second.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_a_store_in_use_is_a_sentence(tmp_path, world):
    _, _, rules = world
    (tmp_path / "audit.log").write_text("")
    arguments = ("run", "--rules", rules, "--file", "audit.log", "--kind", "audit", "--follow", "--no-http")
    with running(tmp_path, *arguments) as process:
        eventually((tmp_path / "streamer.db.lock").read_text)
        second = streamer(tmp_path, *arguments)
        assert second.returncode == 2
        assert f"in use by another streamer (process {process.pid})" in second.stderr
        assert "Traceback" not in second.stderr


def test_broken_rules_refuse_to_run_unless_they_are_skipped(tmp_path, world):
    audit, _, rules = world
    (tmp_path / "broken.yml").write_text("title: Broken\ndetection: {}\n")
    arguments = ("run", "--rules", rules, "--rules", "broken.yml", "--file", audit, "--kind", "audit", "--no-http")
    done = streamer(tmp_path, *arguments)
    assert done.returncode == 2
    assert "broken.yml" in done.stderr
    assert not (tmp_path / "streamer.db").exists()
    assert streamer(tmp_path, *arguments, "--skip-broken").returncode == 0


def test_a_rule_whose_meaning_changed_starts_anew_and_that_is_said(tmp_path, world):
    _, _, rules = world
    (tmp_path / "rules.yml").write_text(rules.read_text())
    (tmp_path / "audit.log").write_text("".join(f"{line}\n" for line in audit_lines(100)))
    arguments = ("run", "--rules", "rules.yml", "--file", "audit.log", "--kind", "audit", "--follow", "--no-http")
    with running(tmp_path, *arguments) as process:
        eventually(lambda: bodies(tmp_path / "streamer.db"))
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    text = rules.read_text().replace("condition: {gte: 4}", "condition: {gte: 5}").replace("Secret read\n", "Read\n")
    (tmp_path / "rules.yml").write_text(text)
    with running(tmp_path, *arguments) as process:
        said = json.loads(process.stderr.readline())
        dropped = json.loads(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    assert said["event"] == "state restored"
    assert said["dropped"] >= 1
    assert said["kept"] >= 3
    assert dropped["rule"].startswith("10000000-0000-4000-8000-")


def test_a_store_of_a_newer_streamer_is_a_sentence(tmp_path, world):
    audit, _, rules = world
    database = open_writable(tmp_path / "streamer.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    done = streamer(tmp_path, "run", "--rules", rules, "--file", audit, "--kind", "audit", "--no-http")
    assert done.returncode == 2
    assert "written by a newer streamer" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_kafka_that_is_not_there_is_waited_for_said_once_and_left_at_once(tmp_path, world):
    _, _, rules = world
    (tmp_path / "streamer.yml").write_text(
        f"rules: [{rules}]\nhttp: {{port: {(port := free_port())}}}\n"
        f"sources: [{{kafka: k8s-audit, kind: audit}}]\nkafka: {{bootstrap_servers: '127.0.0.1:{free_port()}'}}\n"
    )
    with running(tmp_path, "run", "--config", "streamer.yml") as process:
        assert eventually(lambda: get(f"http://127.0.0.1:{port}/readyz"))[0] == 503
        assert get(f"http://127.0.0.1:{port}/livez")[0] == 200
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        stopped_s = time.monotonic()
        assert process.wait(PATIENCE_S) == 0
        assert time.monotonic() - stopped_s < 8
        said = [json.loads(line) for line in process.stderr.read().splitlines()]
    away = [line["what"] for line in said if line["event"].startswith("not available")]
    assert away == ["Kafka"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--file", "audit.log"), "--file needs --kind"),
        (("run", "--file", "audit.log", "--kind", "audit", "--role", "detect"), "there is no role detect here"),
        (("run", "--kind", "audit"), "there is none"),
        (("run",), "`sources` is missing"),
        (("run", "--file", "nothing.log", "--kind", "audit", "--no-http"), "nothing.log is no file"),
        (("run", "--file", "a", "--kind", "audits", "--no-http"), "--kind audits: there is no such kind"),
        (("run", "--config", "nothing.yml"), "nothing.yml cannot be read"),
        (("alerts", "--store", "nothing.db"), "there is no store at nothing.db"),
        (("alerts", "--level", "loud"), "there is no level loud"),
        (("alerts", "--since", "yesterday"), "--since yesterday is no time"),
        (("alerts", "explain", "x"), "means nothing"),
    ],
)
def test_wrong_use_is_a_sentence_and_exit_code_2(tmp_path, arguments, message):
    done = streamer(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_on_a_terminal_every_alert_is_one_line_as_it_is_told(tmp_path, world, expected):
    audit, _, rules = world
    master, slave = pty.openpty()
    arguments = ("run", "--rules", rules, "--file", audit, "--kind", "audit", "--no-http")
    with running(tmp_path, *arguments, stdout=slave) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):
            while chunk := os.read(master, 65536):
                shown += chunk
        assert process.wait(PATIENCE_S) == 0
    os.close(master)
    lines = shown.decode().splitlines()
    assert len(lines) == len(expected)
    assert {line.split()[-1] for line in lines} == {alert[:12] for alert, _ in expected}


def test_alerts_are_listed_and_shown(tmp_path, world, expected):
    audit, _, rules = world
    streamer(tmp_path, "run", "--rules", rules, "--file", audit, "--kind", "audit", "--no-http")
    as_json = streamer(tmp_path, "alerts", "--json")
    assert [(one["event"]["id"], settled(one)) for one in map(json.loads, as_json.stdout.splitlines())] == [
        (alert, body) for alert, body in expected
    ]
    high = streamer(tmp_path, "alerts", "--level", "high").stdout
    assert {line.split()[2] for line in high.splitlines()} == {"HIGH"}
    assert streamer(tmp_path, "alerts", "--since", "1h").stdout == "no alerts\n"
    shown = streamer(tmp_path, "alerts", "show", expected[0][0][:10])
    assert shown.returncode == 0, shown.stderr
    assert expected[0][1]["message"] in shown.stdout
    letters = streamer(tmp_path, "dead-letters")
    assert "audit.log:" in letters.stdout
