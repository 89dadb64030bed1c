"""Every setting, what it means, its unit and default, and why.

One frozen model, grouped by topic. Values come from the command line, over the environment (``STREAMER_HTTP__PORT``),
over one YAML file; :mod:`streamer.service.configuration` reads them and says where a wrong one stands. Lengths of time
are written ``10s``, ``5m``, ``1h``. A secret may be given as a file with the same name and ``_file`` behind it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from streamer.decode.source import ACCESS_LOG_CONTAINERS, SourceKind, is_container_pattern
from streamer.service.durations import DurationUs

Port = Annotated[int, Field(ge=0, le=65_535)]
_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+)(:\d{1,5})?")


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SourceSettings(_Group):
    """One source of records: exactly one of ``kafka``, ``file``, ``webhook`` and ``stdin``."""

    kafka: str | None = None
    """Name of a raw topic."""
    file: str | None = None
    """Path of a file, plain or ``.gz``."""
    webhook: Annotated[str, Field(pattern=r"^.+:\d{1,5}$")] | None = None
    """Address to listen on for the audit webhook of API servers, ``0.0.0.0:9443``; always with TLS."""
    cert_file: Path | None = None
    """Certificate of the webhook (PEM), with its chain; a renewed file is taken up by itself."""
    key_file: Path | None = None
    """Its private key (PEM)."""
    client_ca_file: Path | None = None
    """Who signs the certificates of API servers (PEM): then each must show one. This or ``token_file`` is needed."""
    token_file: Path | None = None
    """A file that holds the bearer token that API servers must show."""
    stdin: bool = False
    """Standard input. A pipe cannot be read again: what was read and not yet correlated is lost in a crash."""
    kind: SourceKind
    """What it may carry: ``audit`` or ``containers``. No default: a log line must never pass for an audit event."""
    follow: bool = False
    """Go on reading a file as it grows and is rotated. Off: it is read once, and its end decides what is open."""
    cluster: str | None = None
    """Cluster name where records do not tell. Default: the top-level ``cluster``."""
    lateness: DurationUs = 10_000_000
    """How long the watermark waits behind the newest event, default 10s: what arrives later than that is late."""
    idle_after: DurationUs = 60_000_000
    """A source read to its end for this long goes on with the clock, default 60s; longer than its longest silence."""
    max_clock_lead: DurationUs = 120_000_000
    """How far a stamp may be ahead of the broker's, default 2m; beyond it the broker's stamp counts."""
    trusted_proxies: Annotated[int, Field(ge=0, le=16)] = 0
    """How many proxies in front append to ``x-forwarded-for``. Default 0: no other's word counts."""
    access_logs: tuple[str, ...] = ACCESS_LOG_CONTAINERS
    """Whose lines are requests: ``namespace/beginning of the pod's name/container``, ``*`` for anything. Replaces the
    default, the gateways and proxies of a Kubeflow cluster: elsewhere a line that looks like a request is only text."""

    @field_validator("access_logs")
    @classmethod
    def _patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(is_container_pattern, patterns)):
            raise ValueError("write namespace/pod/container with * for anything, for example istio-system/my-gateway/*")
        return patterns

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum((self.kafka is not None, self.file is not None, self.webhook is not None, self.stdin)) != 1:
            raise ValueError("a source has exactly one of `kafka`, `file`, `webhook` and `stdin`")
        if self.follow and self.file is None:
            raise ValueError("`follow` belongs to a `file`")
        if self.follow and (self.file or "").endswith(".gz"):
            raise ValueError("a .gz file does not grow and cannot be followed")
        return self

    @model_validator(mode="after")
    def _secured(self) -> Self:
        if self.webhook is None:
            if self.cert_file or self.key_file or self.client_ca_file or self.token_file:
                raise ValueError("certificates and tokens belong to a `webhook`; Kafka's stand under `kafka.security`")
            return self
        if self.kind != "audit":
            raise ValueError("a `webhook` takes audit events: `kind: audit`")
        if self.cert_file is None or self.key_file is None:
            raise ValueError("a `webhook` needs `cert_file` and `key_file`: audit events hold secrets")
        if self.client_ca_file is None and self.token_file is None:
            raise ValueError("a `webhook` needs `client_ca_file` or `token_file`, or anybody could write audit events")
        return self

    @property
    def name(self) -> str:
        """Topic name, file path, address of the webhook, ``-`` for standard input."""
        return self.kafka or self.file or self.webhook or "-"


class SecuritySettings(_Group):
    """How to log in to Kafka."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Kafka's name for it. Default PLAINTEXT: a broker on the same machine."""
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """SASL mechanism, used with the SASL protocols."""
    username: str | None = None
    """SASL user."""
    password: SecretStr | None = None
    """SASL password; better in a file."""
    password_file: Path | None = None
    """A file that holds the password."""
    ca_file: Path | None = None
    """Certificate authorities (PEM). Default: the system's."""
    cert_file: Path | None = None
    """Own certificate (PEM) for mutual TLS."""
    key_file: Path | None = None
    """Its private key (PEM)."""


class KafkaSettings(_Group):
    """The Kafka cluster of the raw topics, the alerts topic and the dead-letter topic."""

    bootstrap_servers: str = "127.0.0.1:9092"
    """``host:port``, several with commas."""
    topic_prefix: str = "streamer."
    """In front of the names of our own topics, not of the raw ones."""
    partitions: Annotated[int, Field(ge=1, le=1000)] = 24
    """Partitions of our own topics, fixed when ``streamer setup`` creates them. Default 24: room to grow."""
    replication: Annotated[int, Field(ge=1, le=9)] = 3
    """Copies of our own topics, for ``streamer setup``. Default 3: one broker may be lost; a single one needs 1."""
    session: DurationUs = 30_000_000
    """Silence after which the broker gives a process's partitions to others; brokers allow 6s to 30m. Default 30s:
    longer than a process is ever busy, and what a dead one had waits no longer."""
    security: SecuritySettings = SecuritySettings()
    """How to log in."""

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses(cls, servers: str) -> str:
        if not all(_BROKER.fullmatch(server.strip()) for server in servers.split(",")):
            raise ValueError("write host:port, several with commas, for example 127.0.0.1:9092")
        return servers


class ElasticsearchSettings(_Group):
    """Where alerts are indexed. Without this group nothing is."""

    hosts: tuple[str, ...] = ("http://127.0.0.1:9200",)
    """URLs."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.]{0,99}$")] = "default"
    """Part of the index name ``logs-streamer.alerts-<namespace>-YYYY.MM.DD``."""
    api_key: SecretStr | None = None
    """Encoded API key; better in a file."""
    api_key_file: Path | None = None
    """A file that holds the API key; read again when it is refused, so keys can be rotated."""
    username: str | None = None
    """User for basic authentication, where there are no API keys."""
    password: SecretStr | None = None
    """Its password; better in a file."""
    password_file: Path | None = None
    """A file that holds the password."""
    ca_file: Path | None = None
    """Certificate authorities (PEM). Default: the system's."""

    @field_validator("hosts")
    @classmethod
    def _urls(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        # The values are not repeated: somebody may have written a password into one.
        for host in hosts:
            if "@" in host:
                raise ValueError("a URL must not hold a password: give `username` and `password_file` beside it")
            if not _is_address(host):
                raise ValueError("write URLs with scheme, host and port, for example http://127.0.0.1:9200")
        return hosts

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.username is not None and (self.api_key is not None or self.api_key_file is not None):
            raise ValueError("give an API key or a username, not both")
        return self


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not None
    except ValueError:  # a port that is none
        return False


class RetentionSettings(_Group):
    """What the store keeps of what was told and delivered. What a sink does not have yet is kept however old."""

    days: Annotated[int, Field(ge=1)] = 90
    """Days that alerts and dead letters are kept. Default 90: an investigation looks back that far."""
    alerts: Annotated[int, Field(ge=1)] = 100_000
    """Most alerts kept, about 5 KB each; of unreadable records, which may be large, a tenth as many."""


class LimitSettings(_Group):
    """Bounds. Nothing grows without one."""

    record_bytes: Annotated[int, Field(ge=1_000, le=100_000_000)] = 2_000_000
    """Bytes of one record; a larger one is a dead letter. Default 2 MB: the API server's own limit is 1.5 MB."""
    batch_records: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Records taken in one step, which is one transaction of the store; fewer where they are large."""
    state_entries: Annotated[int, Field(ge=100)] = 500_000
    """Matches and values that all rules remember together, 2 KB (many of one key) to 4 KB (keys of one match) of memory
    each; and as many told events and episodes, 0.4 KB each. Default 500,000: 2 GB at most. With Kafka this and the next
    are divided among the partitions of the detections, whose keys are spread evenly."""
    state_entries_per_rule: Annotated[int, Field(ge=100)] = 250_000
    """The same of one rule. What finds no room is counted and told; a fifth is kept for chains that have begun."""
    state_entries_per_key: Annotated[int, Field(ge=10)] = 50_000
    """The same of one key of one rule, for example of one user."""
    alerts_per_rule: Annotated[int, Field(ge=1)] = 1_000
    """Alerts of one rule in one hour of event time; more are counted and their number is told. With Kafka each
    partition has its share, at least 100."""
    alerts: Annotated[int, Field(ge=20)] = 20_000
    """The same of all rules. Of it 5% are for informational alerts, 10% low, 20% medium, 25% high, 40% critical."""


class HttpSettings(_Group):
    """Liveness, readiness and metrics."""

    enabled: bool = True
    """Whether to listen at all."""
    host: str = "127.0.0.1"
    """Address to listen on. Default: this machine only; a container needs 0.0.0.0."""
    port: Port = 8080
    """TCP port; 0 takes a free one and logs it."""


class LogSettings(_Group):
    """What the service says about itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is said: text on a terminal, otherwise one JSON object per line."""


class Settings(BaseSettings):
    """All settings of ``streamer run``."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=False,
        env_prefix="STREAMER_",
        env_nested_delimiter="__",
    )

    cluster: str = "default"
    """Cluster name for records that do not tell theirs; part of every correlation key."""
    aliases: dict[str, str] = Field(default_factory=dict)
    """Other spellings of cluster names, compared without case, to the one to use: ``{PROD-1: prod-1}``."""
    rules: tuple[str, ...] = ("shipped",)
    """Rule files and folders; ``shipped`` stands for the rules that come with streamer."""
    skip_broken: bool = False
    """Run without the rules that have errors. Default: refuse to start, for a missing rule looks like a quiet one."""
    watch_rules: bool = True
    """Load rule files again when they change. Off: only on SIGHUP. Rules with errors leave those that run."""
    placeholders: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Values for ``|expand``: ``{admin_users: [alice]}``."""
    allow: Path | None = None
    """A file with the exceptions of your site. It is loaded again when it changes, like rule files."""
    sources: Annotated[tuple[SourceSettings, ...], Field(min_length=1)]
    """What to read; at least one."""
    kafka: KafkaSettings | None = None
    """Kafka, for ``kafka`` sources and the alerts topic. Without it alerts go to the store only."""
    elasticsearch: ElasticsearchSettings | None = None
    """Elasticsearch. Without it nothing is indexed."""
    store: Path = Path("streamer.db")
    """The file for state, positions and alerts. On a local disk: network file systems break its locks."""
    retention: RetentionSettings = RetentionSettings()
    """How long the store keeps what was told."""
    limits: LimitSettings = LimitSettings()
    """Bounds."""
    http: HttpSettings = HttpSettings()
    """Liveness, readiness, metrics."""
    log: LogSettings = LogSettings()
    """Own log."""
    drain: DurationUs = 10_000_000
    """How long a stopping service goes on delivering, default 10s; the rest is delivered after the next start."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [source.name for source in self.sources]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two sources read {twice[0]}")
        if self.kafka is None and any(source.kafka for source in self.sources):
            raise ValueError("a source names a topic, but there is no `kafka` group with `bootstrap_servers`")
        return self
