"""How to reach a Kafka: plain values in, clients out. The only place that makes clients."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.helpers import create_ssl_context

from streamer.errors import SettingsError

# The client library has no annotations; it is `Any` from here on.
_consumer: Any = AIOKafkaConsumer
_producer: Any = AIOKafkaProducer
_administration: Any = AIOKafkaAdminClient
_connect: Any = create_conn

REQUEST_TIMEOUT_S: Final = 30.0
"""How long one request may take. A broker that is only busy answers within it; a frozen one does not."""


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Address and credentials of one Kafka cluster.

    Attributes:
        bootstrap_servers: ``host:port``, several separated by commas.
        client_id: how the brokers' logs and quotas name us.
        security_protocol: ``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``.
        ca_file: certificate authority to trust instead of the system's.
        certificate_file: client certificate for mutual TLS.
        key_file: its private key.
        sasl_mechanism: ``PLAIN``, ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``.
        username: for SASL.
        password: for SASL; never shown.
        request_timeout_s: seconds one request may take.
    """

    bootstrap_servers: str
    client_id: str = "streamer"
    security_protocol: str = "PLAINTEXT"
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    sasl_mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    request_timeout_s: float = REQUEST_TIMEOUT_S

    def consumer(self, **options: Any) -> Any:
        """A consumer without a group, not started."""
        return _consumer(**self.options(), enable_auto_commit=False, **options)

    def producer(self, **options: Any) -> Any:
        """A producer whose acknowledged records are on every in-sync replica, not started."""
        return _producer(**self.options(), enable_idempotence=True, acks="all", **options)

    def administration(self) -> Any:
        """An administration client, not started."""
        return _administration(**self.options())

    async def knock(self, server: str) -> None:
        """Connect to one ``host:port`` and hang up; raises what the client raises."""
        host, _, port = server.rpartition(":")
        options = self.options()
        del options["bootstrap_servers"]
        (await _connect(host, int(port), **options)).close()

    def options(self) -> dict[str, Any]:
        """Keyword arguments that consumer, producer and administration client share.

        Raises:
            SettingsError: a certificate or key file cannot be used.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.bootstrap_servers.split(",") if server.strip()],
            "client_id": self.client_id,
            "request_timeout_ms": int(self.request_timeout_s * 1000),
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol in {"SSL", "SASL_SSL"}:
            options["ssl_context"] = self._ssl_context()
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            return create_ssl_context(cafile=self.ca_file, certfile=self.certificate_file, keyfile=self.key_file)
        except (OSError, ValueError) as error:
            files = ", ".join(name for name in (self.ca_file, self.certificate_file, self.key_file) if name)
            raise SettingsError(f"kafka: the certificate files {files} cannot be used: {error}") from error
