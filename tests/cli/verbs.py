"""Runs the command line as its user does, in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from streamer.cli import main

ESCAPE = "\x1b"

RULES = """\
title: Secret read
name: secret_read
id: 00000000-0000-4000-8000-0000000000a1
description: Somebody read a secret.
tags: [attack.t1552.007]
logsource: {product: kubernetes, service: audit}
detection:
    selection: {objectRef.resource: secrets, verb: get}
    condition: selection
level: low
---
title: Three secrets read
name: three_secrets
id: 00000000-0000-4000-8000-0000000000a2
description: One user read three different secrets.
tags: [attack.credential_access, attack.t1552.007]
falsepositives: [backup]
correlation:
    type: value_count
    rules: [secret_read]
    group-by: [user.username]
    timespan: 1m
    condition: {gte: 3, field: objectRef.name}
    generate: true
level: high
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """Exit code and both outputs of ``streamer <arguments>``."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return Ran(int(ended.value.code or 0), captured.out, captured.err)


def read(second: int, name: str, **fields: object) -> bytes:
    """One audit line: alice reads the secret ``name``."""
    stamp = f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}.000000Z"
    event: dict[str, object] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"id-{second}-{name}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/a/secrets/{name}",
        "verb": "get",
        "user": {"username": "alice"},
        "sourceIPs": ["203.0.113.9"],
        "objectRef": {"resource": "secrets", "namespace": "a", "name": name, "apiVersion": "v1"},
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": stamp,
        "stageTimestamp": stamp,
        **fields,
    }
    return orjson.dumps(event)


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@contextmanager
def stdin_from(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file behind standard input."""
    with path.open("rb") as opened, io.TextIOWrapper(opened) as text:
        monkeypatch.setattr(sys, "stdin", text)
        yield
