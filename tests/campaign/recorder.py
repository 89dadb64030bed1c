"""What the API server and Fluent Bit of a made-up cluster wrote, record by record.

Nothing here draws from a clock or a random source: whatever looks drawn is a hash of a seed, so that the same program
writes the same bytes on every machine.
"""

from __future__ import annotations

import json
from typing import Any

from streamer.authoring.cases_audit import Request
from streamer.authoring.cases_fields import made_uuid, number
from streamer.authoring.cases_lines import access_record, container_record
from streamer.authoring.cases_time import read_stamp

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_QUIET_VERBS = frozenset({"get", "list", "watch"})
"""The made-up audit policy omits stage RequestReceived for reads and leases, as most policies do."""

_PODS = {
    "system:serviceaccount:kubeflow:ml-pipeline": "ml-pipeline-6f9c8d7b5-k2x9w",
    "system:serviceaccount:kubeflow:argo": "workflow-controller-7c8b5d9f6-2zq4m",
}
"""The pods whose lines stand in the container logs make the requests of their accounts."""

_IMAGES = {
    "istio-proxy": "docker.io/istio/proxyv2:1.9.6",
    "ml-pipeline-ui": "gcr.io/ml-pipeline/frontend:1.7.0",
    "ml-pipeline-api-server": "gcr.io/ml-pipeline/api-server:1.7.0",
    "workflow-controller": "gcr.io/ml-pipeline/workflow-controller:v3.1.6-patch-license-compliance",
    "wait": "gcr.io/ml-pipeline/argoexec:v3.1.6-patch-license-compliance",
    "oauth2-proxy": "quay.io/oauth2-proxy/oauth2-proxy:v7.7.1",
    "dex": "ghcr.io/dexidp/dex:v2.41.1",
    "coredns": "registry.k8s.io/coredns/coredns:v1.12.1",
    "web": "registry.example/shop/web:2.14.1",
    "prometheus": "quay.io/prometheus/prometheus:v3.5.0",
}


def stamp(text: str) -> int:
    """Microseconds of an ISO stamp."""
    found = read_stamp(text)
    assert found is not None, text
    return found


class Recorder:
    """Collects the records of one cluster over a time, and gives them as the lines of two files."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self._count = 0
        self._audit: list[tuple[int, bytes]] = []
        self._lines: list[tuple[int, bytes]] = []

    def drawn(self, limit: int) -> int:
        """A number from 0 up to below ``limit``."""
        self._count += 1
        return number(limit, self.seed, self._count)

    def uuid(self, *parts: object) -> str:
        """A UUID of this world."""
        return made_uuid(self.seed, *parts)

    def request(self, at: int, **form: Any) -> None:
        """One request to the API server; ``as_`` impersonates."""
        self._count += 1
        at += number(1_000, self.seed, at)
        took = 1_200 + number(2_700, self.seed, "took", self._count)
        pod = _PODS.get(str(form.get("user")))
        if pod is not None:
            form = {"pod": pod, "pod_uid": self.uuid("pod", "kubeflow", pod)} | form
        resource = str(form.get("resource", ""))
        quiet = form["verb"] in _QUIET_VERBS or resource.endswith("leases") or "resource" not in form
        for written, event in Request(form, at, (self.seed, self._count), took).events():
            if not (quiet and event["stage"] == "RequestReceived"):
                self._audit.append((written, _dumped(event)))

    def line(self, at: int, place: str, message: str, **more: Any) -> None:
        """One line of a container; ``place`` is ``namespace/pod/container``."""
        namespace, pod, container = place.split("/")
        form = {"namespace": namespace, "pod": pod, "container": container, "message": message, **more}
        form.setdefault("image", _IMAGES.get(container, "registry.example/app:1.0"))
        form.setdefault("pod_uid", self.uuid("pod", namespace, pod))
        at += number(1_000, self.seed, at)
        self._lines.append((at, _dumped(container_record(form, at))))

    def access(self, at: int, method: str, path: str, client: str, **more: Any) -> None:
        """One request through the Istio gateway, begun at ``at``."""
        self._count += 1
        form = {"method": method, "path": path, "client": client, "duration_ms": 3 + number(40, self.seed, self._count)}
        written, record = access_record(form | more, at, (self.seed, self._count))
        self._lines.append((written, _dumped(record)))

    def audit_file(self, *, duplicate: bytes | None = None, broken: bool = False) -> list[bytes]:
        """Lines of the audit file in the order written down.

        Args:
            duplicate: the first line that holds this stands twice.
            broken: of one line only the second half was kept, as after a rotation.
        """
        lines = self._arrived(self._audit)
        if duplicate is not None:
            place = next(index for index, line in enumerate(lines) if duplicate in line)
            lines.insert(min(place + 3, len(lines)), lines[place])
        if broken:
            middle = len(lines) // 3
            lines.insert(middle, lines[middle][len(lines[middle]) // 2 :])
        return lines

    def containers_file(self) -> list[bytes]:
        """Lines of the container log file in the order written down."""
        return self._arrived(self._lines)

    def _arrived(self, records: list[tuple[int, bytes]]) -> list[bytes]:
        """One record in five is late by up to four seconds, well within the default lateness."""
        late = [
            (at + (number(4 * SECOND, self.seed, at, place) if number(5, self.seed, place) == 0 else 0), place, line)
            for place, (at, line) in enumerate(records)
        ]
        return [line for _, _, line in sorted(late)]


def _dumped(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
