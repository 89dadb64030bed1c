"""How to reach a Kafka: plain values in, clients out. The only place that makes clients."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import create_conn
from aiokafka.helpers import create_ssl_context

from streamer.errors import SettingsError

# The client library has no annotations; it is `Any` from here on.
_consumer: Any = AIOKafkaConsumer
_producer: Any = AIOKafkaProducer
_administration: Any = AIOKafkaAdminClient
_connect: Any = create_conn
_client: Any = AIOKafkaClient

REQUEST_TIMEOUT_S: Final = 30.0
"""How long one request may take. A broker that is only busy answers within it; a frozen one does not."""


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Address and credentials of one Kafka cluster.

    Password and certificate files are read for every connection that is made, so they may be rotated while clients run.

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
        password_file: a file that holds it, in place of ``password``.
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
    password_file: str | None = None
    request_timeout_s: float = REQUEST_TIMEOUT_S

    @property
    def principal(self) -> str:
        """Who the broker's access lists see, as far as we know it."""
        if self.security_protocol.startswith("SASL"):
            return f"User:{self.username}"
        return "User:<subject of our certificate>" if self.certificate_file else "User:ANONYMOUS"

    def consumer(self, **options: Any) -> Any:
        """A consumer without a group, not started."""
        consumer = _consumer(**self.options(), enable_auto_commit=False, **options)
        self._reread_files(consumer._client)  # noqa: SLF001 (it has no other name)
        return consumer

    def producer(self, **options: Any) -> Any:
        """A producer whose acknowledged records are on every in-sync replica, not started."""
        producer = _producer(**self.options(), enable_idempotence=True, acks="all", **options)
        self._reread_files(producer.client)
        return producer

    def administration(self) -> Any:
        """An administration client, not started."""
        admin = _administration(**self.options())
        self._reread_files(admin._client)  # noqa: SLF001 (it has no other name)
        return admin

    async def knock(self, server: str) -> None:
        """Connect to one ``host:port`` and hang up; raises what the client raises."""
        host, _, port = server.rpartition(":")
        options = self.options()
        del options["bootstrap_servers"]
        (await _connect(host, int(port), **options)).close()

    def options(self) -> dict[str, Any]:
        """Keyword arguments that consumer, producer and administration client share.

        Raises:
            SettingsError: a certificate, key or password file cannot be used.
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
            options["sasl_plain_password"] = self._secret()
        return options

    def _secret(self) -> str | None:
        if self.password_file is None:
            return self.password
        try:
            return Path(self.password_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"kafka: the password in {self.password_file} cannot be read: {error}") from error

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            return create_ssl_context(cafile=self.ca_file, certfile=self.certificate_file, keyfile=self.key_file)
        except (OSError, ValueError) as error:
            files = ", ".join(name for name in (self.ca_file, self.certificate_file, self.key_file) if name)
            raise SettingsError(f"kafka: the certificate files {files} cannot be used: {error}") from error

    def _reread_files(self, client: Any) -> None:
        """Let a client look at the files again for each connection that it makes."""
        if self.password_file or self.ca_file or self.certificate_file:
            client.fresh_password = _Latest(self._secret, client._sasl_plain_password)  # noqa: SLF001
            client.fresh_context = _Latest(self._ssl_context, client._ssl_context)  # noqa: SLF001
            client.__class__ = _RereadingClient


class _Latest:
    """A value that is made anew when asked for; the last good one while its file is being replaced."""

    def __init__(self, make: Callable[[], Any], value: Any) -> None:
        self._make = make
        self._value = value

    def __call__(self) -> Any:
        if self._value is not None:
            try:
                self._value = self._make()
            except SettingsError:
                return self._value
        return self._value


class _RereadingClient(_client):  # type: ignore[misc]
    """The library's client, which keeps what it was given when it was made: a rotated secret would lock it out."""

    @property
    def _sasl_plain_password(self) -> str | None:
        return self.fresh_password()  # type: ignore[no-any-return]

    @property
    def _ssl_context(self) -> ssl.SSLContext | None:
        return self.fresh_context()  # type: ignore[no-any-return]
