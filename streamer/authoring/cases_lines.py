"""The short forms ``log:`` and ``access:`` filled to the records that Fluent Bit ships for a container's line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from streamer.authoring.cases_fields import digest, made_suffix, made_uuid
from streamer.authoring.cases_time import iso, moment_of

LOG_KEYS: Final = ("namespace", "pod", "pod_uid", "container", "image", "message", "stream", "node", "labels")
ACCESS_KEYS: Final = (
    "gateway", "method", "path", "status", "client", "xff", "host", "agent", "request_id", "duration_ms", "upstream",
    "flags", "user", "namespace", "pod", "container",
)  # fmt: skip

BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

_UPSTREAMS: Final = (
    ("/pipeline", "outbound|80||ml-pipeline-ui.kubeflow.svc.cluster.local"),
    ("/jupyter", "outbound|80||jupyter-web-app-service.kubeflow.svc.cluster.local"),
    ("/notebook", "outbound|80||notebook.kubeflow.svc.cluster.local"),
    ("/dex", "outbound|5556||dex.auth.svc.cluster.local"),
    ("/authservice", "outbound|8080||authservice.istio-system.svc.cluster.local"),
    ("/oauth2", "outbound|80||oauth2-proxy.oauth2-proxy.svc.cluster.local"),
)
_GATEWAY_PODS: Final = {
    "istio": ("istio-system", "istio-ingressgateway", "istio-proxy", "docker.io/istio/proxyv2:1.9.6"),
    "ingress-nginx": (
        "ingress-nginx",
        "ingress-nginx-controller",
        "controller",
        "registry.k8s.io/ingress-nginx/controller:v1.13.3",
    ),
    "oauth2-proxy": ("oauth2-proxy", "oauth2-proxy", "oauth2-proxy", "quay.io/oauth2-proxy/oauth2-proxy:v7.7.1"),
}
GATEWAYS: Final = tuple(_GATEWAY_PODS)


def container_record(form: Mapping[str, Any], time_us: int) -> dict[str, Any]:
    """One line of a container as Fluent Bit's Kafka output writes it."""
    namespace = str(form.get("namespace", "default"))
    pod = str(form.get("pod", "app-0"))
    uid = form.get("pod_uid", made_uuid("pod", namespace, pod))
    image = str(form.get("image", "registry.example/app:1.0"))
    metadata: dict[str, Any] = {
        "pod_name": pod,
        "namespace_name": namespace,
        "pod_id": str(uid),
        "labels": dict(form.get("labels") or {"app": pod.split("-", maxsplit=1)[0]}),
        "host": str(form.get("node", "node-1")),
        "container_name": str(form.get("container", "main")),
        "docker_id": digest("container", namespace, pod, form.get("container", "main")),
        "container_image": image,
        "container_hash": image.partition(":")[0] + "@sha256:" + digest("image", image),
    }
    if not uid:
        del metadata["pod_id"]
    return {
        "@timestamp": iso(time_us),
        "stream": str(form.get("stream", "stdout")),
        "logtag": "F",
        "log": str(form.get("message", "")) + "\n",
        "kubernetes": metadata,
    }


def access_record(form: Mapping[str, Any], time_us: int, seed: Sequence[object]) -> tuple[int, dict[str, Any]]:
    """(time of writing, record) of one access line; ``time_us`` is when the request began.

    Such a line is written when the request has ended, so its record is stamped ``duration_ms`` later.
    """
    gateway = str(form.get("gateway", "istio"))
    namespace, name, container, image = _GATEWAY_PODS[gateway]
    written_us = time_us + int(form.get("duration_ms", 12)) * 1_000
    pod = f"{name}-{digest(name)[:9]}-{made_suffix(5, name)}"
    line = {
        "namespace": form.get("namespace", namespace),
        "pod": form.get("pod", pod),
        "container": form.get("container", container),
        "image": image,
        "message": _FORMATS[gateway](form, time_us, tuple(seed)),
        "labels": {"app": name},
    }
    return written_us, container_record(line, written_us)


def _istio(form: Mapping[str, Any], time_us: int, seed: tuple[object, ...]) -> str:
    client = str(form.get("client", "203.0.113.7"))
    path = str(form.get("path", "/"))
    status = int(form.get("status", 200))
    duration = int(form.get("duration_ms", 12))
    home = "outbound|80||centraldashboard.kubeflow.svc.cluster.local"
    upstream = form.get("upstream") or next((name for start, name in _UPSTREAMS if path.startswith(start)), home)
    flags = str(form.get("flags", "-"))
    return " ".join(
        [
            f"[{iso(time_us)[:23]}Z]",
            f'"{form.get("method", "GET")} {path} HTTP/1.1"',
            f'{status} {flags} via_upstream - "-" 0 1042 {duration} {max(duration - 1, 0)}',
            f'"{form.get("xff", client)}" "{form.get("agent", BROWSER)}"',
            f'"{form.get("request_id") or made_uuid("request", *seed)}" "{form.get("host", "kubeflow.example")}"',
            f'"198.51.100.40:8080" {upstream} 198.51.100.30:47112 198.51.100.30:8080 {_peer(client)} - -',
        ]
    )


def _peer(client: str) -> str:
    return f"[{client}]:51010" if ":" in client else f"{client}:51010"


def _nginx(form: Mapping[str, Any], time_us: int, seed: tuple[object, ...]) -> str:
    duration = int(form.get("duration_ms", 12))
    moment = moment_of(time_us)
    request_id = str(form.get("request_id") or digest("request", *seed)[:32])
    return (
        f"{form.get('client', '203.0.113.7')} - {form.get('user', '-')} [{moment:%d/%b/%Y:%H:%M:%S} +0000] "
        f'"{form.get("method", "GET")} {form.get("path", "/")} HTTP/1.1" {form.get("status", 200)} 1042 "-" '
        f'"{form.get("agent", BROWSER)}" 512 {duration / 1000:.3f} [kubeflow-gateway-80] [] 198.51.100.40:8080 1042 '
        f"{duration / 1000:.3f} {form.get('status', 200)} {request_id}"
    )


def _oauth2_proxy(form: Mapping[str, Any], time_us: int, seed: tuple[object, ...]) -> str:
    moment = moment_of(time_us)
    request_id = str(form.get("request_id") or made_uuid("request", *seed))
    return (
        f"{form.get('client', '203.0.113.7')} - {request_id} - {form.get('user', 'alice@example.com')} "
        f"[{moment:%Y/%m/%d %H:%M:%S}] {form.get('host', 'kubeflow.example')} {form.get('method', 'GET')} "
        f'/ "{form.get("path", "/")}" HTTP/1.1 "{form.get("agent", BROWSER)}" {form.get("status", 202)} 0 0.001'
    )


_FORMATS: Final[Mapping[str, Callable[[Mapping[str, Any], int, tuple[object, ...]], str]]] = {
    "istio": _istio,
    "ingress-nginx": _nginx,
    "oauth2-proxy": _oauth2_proxy,
}
