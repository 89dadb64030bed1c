"""How to reach an Elasticsearch, and whether it is one we can talk to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from elasticsearch import ApiError, AsyncElasticsearch, TransportError, UnsupportedProductError

from streamer.elastic.verdicts import as_server_error
from streamer.errors import ServerError, SettingsError

REQUEST_TIMEOUT_S: Final = 30.0
SUPPORTED_MAJORS: Final = (8, 9)


@dataclass(frozen=True, slots=True)
class ElasticConnection:
    """Addresses and credentials of one cluster.

    Attributes:
        hosts: URLs; several are used in turn. Other nodes are not looked for: a service or a proxy may hide them.
        api_key: the encoded form, one string; never shown.
        api_key_file: a file that holds it, read again when the server refuses the key (secrets are rotated).
        username: for basic authentication, where there is no key.
        password: its password; never shown.
        password_file: a file that holds it.
        ca_file: certificate authority to trust instead of the system's.
        request_timeout_s: seconds one request may take.
    """

    hosts: tuple[str, ...]
    api_key: str | None = field(default=None, repr=False)
    api_key_file: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    ca_file: str | None = None
    request_timeout_s: float = REQUEST_TIMEOUT_S

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"Elasticsearch at {', '.join(self.hosts)}"

    def client(self) -> AsyncElasticsearch:
        """A client with the credentials as they are now; it retries nothing by itself.

        Raises:
            SettingsError: an address, a credential file or the certificate authority cannot be used.
        """
        options: dict[str, Any] = {}
        if key := self._secret(self.api_key, self.api_key_file):
            options["api_key"] = key
        elif self.username:
            options["basic_auth"] = (self.username, self._secret(self.password, self.password_file) or "")
        if self.ca_file:
            options["ca_certs"] = self.ca_file
        try:
            return AsyncElasticsearch(
                list(self.hosts),
                http_compress=True,
                max_retries=0,
                retry_on_timeout=False,
                request_timeout=self.request_timeout_s,
                **options,
            )
        except (ValueError, TypeError, OSError) as error:
            raise SettingsError(f"elasticsearch: {error}") from error

    @staticmethod
    def _secret(value: str | None, file: str | None) -> str | None:
        if file is None:
            return value
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"elasticsearch: the secret in {file} cannot be read: {error}") from error


class Elastic:
    """A client that has looked at the server once, and can take fresh credentials."""

    def __init__(self, connection: ElasticConnection) -> None:
        self.connection = connection
        self.version = ""
        """Version of the server, known after :meth:`open`."""
        self._client: AsyncElasticsearch | None = None

    @property
    def client(self) -> AsyncElasticsearch:
        """The client; :meth:`open` comes first."""
        assert self._client is not None
        return self._client

    async def open(self) -> None:
        """Connect with the credentials as they are now, and check what is there.

        Raises:
            ServerError: nobody answers (retriable), or it is no Elasticsearch 8 or 9 (not retriable).
            SettingsError: see :meth:`ElasticConnection.client`.
        """
        await self.close()
        self._client = self.connection.client()
        try:
            self.version = await self._version(self._client)
        except (ApiError, TransportError, UnsupportedProductError) as error:
            await self.close()
            raise as_server_error(error, self.connection.where) from error
        major = self.version.partition(".")[0]
        if not major.isdigit() or int(major) not in SUPPORTED_MAJORS:
            await self.close()
            raise ServerError(
                f"{self.connection.where} has version {self.version}",
                hint=f"streamer works with Elasticsearch {' and '.join(map(str, SUPPORTED_MAJORS))}.",
                retriable=False,
            )

    async def close(self) -> None:
        """Let the client go; may be called at any time."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @staticmethod
    async def _version(client: AsyncElasticsearch) -> str:
        """The server's version; small distributions have no ``GET /``, so its nodes are asked then."""
        try:
            return str((await client.info())["version"]["number"])
        except ApiError as error:
            if error.status_code != 405:
                raise
        nodes = (await client.nodes.info(node_id="_local", filter_path="nodes.*.version"))["nodes"]
        return str(next(iter(nodes.values()))["version"])
