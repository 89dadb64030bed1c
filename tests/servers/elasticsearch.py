"""A real Elasticsearch: Elastic's integration-test distribution, bare, one node, with or without security."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.servers.certificates import Authority
from tests.servers.download import elasticsearch_home, elasticsearch_home_with_keys, java_home, open_to_all
from tests.servers.process import NOBODY, ServerProcess, free_ports, mortal, temporary_folder

# The temporary folder of the JVM must not be a parent of its home: the server refuses to boot then.
_JVM_OPTIONS = """\
-Djava.io.tmpdir=${ES_TMPDIR}
-Xms512m
-Xmx512m
-XX:+UseSerialGC
-XX:TieredStopAtLevel=1
-XX:-AlwaysPreTouch
-XX:+ExitOnOutOfMemoryError
"""


class ElasticsearchServer(ServerProcess):
    """One node; ``url`` survives restarts. With ``security``, ``password`` is the user ``elastic``'s.

    ``settings`` go over those of this file. With ``authority``, which signs its certificate, it speaks TLS only, has
    security, and keeps API keys.
    """

    def __init__(
        self,
        *,
        security: bool = False,
        port: int | None = None,
        settings: Mapping[str, Any] | None = None,
        authority: Authority | None = None,
    ) -> None:
        super().__init__(temporary_folder("elasticsearch", _temporary()))
        free = free_ports(2)
        self.port = port or free[0]
        self.url = f"{'https' if authority else 'http'}://127.0.0.1:{self.port}"
        self.authority = authority
        self.password = secrets.token_urlsafe(16) if security or authority else None
        self._transport_port = free[1]
        self._roles: dict[str, dict[str, Any]] = {}
        self._home = elasticsearch_home_with_keys() if authority else elasticsearch_home()
        self._java = java_home()
        self._configure(settings or {})

    @property
    def pid(self) -> int:
        """The server's JVM, which is a child of the launcher's."""
        return int((self.folder / "server.pid").read_text())

    def spawn(self) -> None:
        """Start; the first time with security, set the password before."""
        if self.password is not None and not (self.folder / "config/elasticsearch.keystore").exists():
            self._tool("elasticsearch-keystore", "create")
            self._tool("elasticsearch-keystore", "add", "-x", "bootstrap.password", stdin=self.password)
        (self.folder / "server.pid").unlink(missing_ok=True)
        command = [str(self._home / "bin/elasticsearch"), "-p", str(self.folder / "server.pid")]
        self._launch(command, env=self._environment(), drop_root=True)

    def is_ready(self) -> bool:
        """The cluster is usable and has its licence, which it makes itself a moment after it first answers."""
        try:
            health = self.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=2s", timeout_s=4)
            self.request("GET", "/_license", timeout_s=4)
        except (OSError, ValueError):
            return False
        return health.get("status") in ("green", "yellow")

    def request(self, method: str, path: str, body: Any = None, *, timeout_s: float = 30) -> Any:
        """One request with the standard library's client; raises ``urllib.error.HTTPError``."""
        ca_file = self.authority.ca_file if self.authority else None
        return request(self.url, method, path, body, password=self.password, timeout_s=timeout_s, ca_file=ca_file)

    def add_user(self, name: str, password: str, role: str) -> None:
        """A user in the file realm: the distribution lacks what the API's own index of users needs."""
        self._tool("elasticsearch-users", "useradd", name, "-p", password, "-r", role)

    def define_role(self, name: str, privileges: dict[str, Any]) -> None:
        """Make or change a role; the server looks at the file every second."""
        self._roles[name] = privileges
        lines = (f"{role}: {json.dumps(may)}\n" for role, may in self._roles.items())
        (self.folder / "config/roles.yml").write_text("".join(lines))

    def _configure(self, more: Mapping[str, Any]) -> None:
        for folder in ("config/jvm.options.d", "data", "logs", "tmp"):
            (self.folder / folder).mkdir(parents=True)
        settings = {
            "cluster.name": "streamer-tests",
            "node.name": "one",
            "path.data": str(self.folder / "data"),
            "path.logs": str(self.folder / "logs"),
            "network.host": "127.0.0.1",
            "http.port": self.port,
            "transport.port": self._transport_port,
            "discovery.type": "single-node",
            "xpack.security.enabled": self.password is not None,
            "cluster.routing.allocation.disk.threshold_enabled": False,
            "action.destructive_requires_name": False,
            "node.processors": 2,
            # Small enough for a test to go over it.
            "http.max_content_length": "4mb",
        }
        if self.password is not None:
            settings |= {
                "xpack.security.http.ssl.enabled": False,
                "xpack.security.transport.ssl.enabled": False,
                "resource.reload.interval.high": "1s",
            }
        config = self.folder / "config"
        if self.authority is not None:
            certificate = self.authority.issue("elasticsearch")
            for file in (certificate.cert_file, certificate.key_file):
                shutil.copy(file, config / file.name)
            settings |= {
                "xpack.security.http.ssl.enabled": True,
                "xpack.security.http.ssl.certificate": certificate.cert_file.name,
                "xpack.security.http.ssl.key": certificate.key_file.name,
                "xpack.security.authc.api_key.enabled": True,
            }
        settings |= more
        lines = (f"{name}: {json.dumps(value)}\n" for name, value in settings.items())
        (config / "elasticsearch.yml").write_text("".join(lines))
        (config / "jvm.options").write_text(_JVM_OPTIONS)
        # The stock file: its appenders load classes that the server may no longer load once it has booted.
        shutil.copy(self._home / "config/log4j2.properties", config / "log4j2.properties")
        for name in ("roles.yml", "role_mapping.yml", "users", "users_roles"):
            (config / name).touch()
        if os.getuid() == 0:
            for place in (self.folder, *self.folder.rglob("*")):
                os.chown(place, NOBODY, NOBODY)

    def _tool(self, name: str, *arguments: str, stdin: str | None = None) -> None:
        command = mortal([str(self._home / "bin" / name), *arguments], drop_root=True)
        subprocess.run(
            command,
            env=self._environment(),
            cwd=self.folder,
            input=stdin,
            text=True,
            check=True,
            capture_output=True,
        )

    def _environment(self) -> dict[str, str]:
        foreign = ("ES_", "JAVA_", "_JAVA", "JDK_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return kept | {
            "ES_JAVA_HOME": str(self._java),
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
        }


def request(
    url: str,
    method: str,
    path: str,
    body: Any = None,
    *,
    password: str | None = None,
    timeout_s: float = 30,
    ca_file: Path | None = None,
) -> Any:
    """One JSON request to an Elasticsearch, without the client library that the product uses."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url + path, method=method, data=data, headers={"content-type": "application/json"})
    if password is not None:
        asked.add_header("authorization", "Basic " + base64.b64encode(f"elastic:{password}".encode()).decode())
    context = ssl.create_default_context(cafile=str(ca_file)) if ca_file else None
    with urllib.request.urlopen(asked, timeout=timeout_s, context=context) as answer:
        return json.load(answer)


def _temporary() -> Path:
    """A temporary folder that the server's user may enter."""
    usual = Path(tempfile.gettempdir())
    return usual if os.getuid() != 0 or open_to_all(usual) else Path("/var/tmp")
