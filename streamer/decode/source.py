"""What a source of records is declared to carry. Configuration decides this, never content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

SourceKind: TypeAlias = Literal["audit", "containers"]

ACCESS_LOG_CONTAINERS: Final = (
    "istio-system/istio-ingressgateway/istio-proxy",
    "ingress-nginx/*ingress-nginx-controller*/controller",
    "kube-system/*ingress-nginx-controller*/controller",
    "*/*/oauth2-proxy",
    "*/*/oidc-authservice",
    "*/*/authservice",
    "*/*/argo-server",
    "kubeflow/*/ml-pipeline-ui",
    "kubeflow/*/ml-pipeline-api-server",
    "kubeflow/*/jupyter-web-app",
    "kubeflow/*/centraldashboard",
)
"""``namespace/pod prefix/container``; ``*`` matches anything. Only their lines are read as access lines."""


def is_container_pattern(text: str) -> bool:
    """Whether a text has the form of :data:`ACCESS_LOG_CONTAINERS`."""
    parts = text.split("/")
    return len(parts) == 3 and all(parts)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds on one record. Every byte of a log may have been written by an attacker.

    Attributes:
        record_bytes: a larger record is a dead letter.
        unpacked_bytes: all that compressed content in one record may unpack to.
        depth: nesting of JSON values; deeper is a body that cannot be decoded.
        events: events in one record (EventList, envelopes with many, expansions included).
        partial_bytes: text of one container line joined from partial lines.
        partial_streams: container streams with an unfinished line at the same time.
        partial_total_bytes: text of all unfinished lines together.
        partial_records: records after which an unfinished line that is not continued is taken as it is.
    """

    record_bytes: int = 2_000_000
    unpacked_bytes: int = 20_000_000
    depth: int = 128
    events: int = 10_000
    partial_bytes: int = 1_000_000
    partial_streams: int = 1_000
    partial_total_bytes: int = 64_000_000
    partial_records: int = 50_000


@dataclass(frozen=True, slots=True)
class Source:
    """One topic, file or stream.

    Attributes:
        name: topic name, file path or ``-``.
        kind: what it may carry. Audit events are taken out of wrappers only in ``audit`` sources.
        cluster: cluster name where the record does not tell.
        cluster_aliases: other spellings, compared without case, to the canonical name.
        lateness_us: how long the watermark waits behind the newest event.
        max_clock_lead_us: how far a stamp may be ahead of the append time before the append time replaces it.
        idle_after_us: a partition read to its end for this long goes on with the clock.
        trusted_proxies: how many proxies in front append to ``x-forwarded-for`` / ``sourceIPs``.
        access_log_containers: patterns as in :data:`ACCESS_LOG_CONTAINERS`.
    """

    name: str
    kind: SourceKind
    cluster: str = "default"
    cluster_aliases: Mapping[str, str] = field(default_factory=dict)
    lateness_us: int = 10_000_000
    max_clock_lead_us: int = 120_000_000
    idle_after_us: int = 60_000_000
    trusted_proxies: int = 0
    access_log_containers: tuple[str, ...] = ACCESS_LOG_CONTAINERS
    limits: DecodeLimits = DecodeLimits()
