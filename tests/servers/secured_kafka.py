"""A real Kafka that asks who one is and what one may: TLS, SASL and access lists.

Four doors on one broker. The plain one belongs to the tests: everybody who comes in there is a super user.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.protocol.admin import CreateAclsRequest_v1, DeleteAclsRequest_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactBytes, CompactString, Int8, Int16, Int32, Schema, TaggedFields

from tests.servers.certificates import Authority
from tests.servers.kafka import KafkaServer
from tests.servers.process import free_ports
from tests.servers.topics import administration

PLAIN_USER, PLAIN_PASSWORD = "plain-user", "plain-password"
_MECHANISMS = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}
_ITERATIONS = 4096
_RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactional-id": 5}
_PATTERNS = {"literal": 3, "prefixed": 4}
_OPERATIONS = {
    "read": 3,
    "write": 4,
    "create": 5,
    "delete": 6,
    "alter": 7,
    "describe": 8,
    "describeconfigs": 10,
    "alterconfigs": 11,
}

_SECURITY = """\
listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl},SASL_SSL://127.0.0.1:{sasl_ssl},\
SSL://127.0.0.1:{ssl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl},\
SASL_SSL://127.0.0.1:{sasl_ssl},SSL://127.0.0.1:{ssl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,\
CONTROLLER:PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
listener.name.ssl.ssl.client.auth=required
# Only the name: "CN=streamer" is User:streamer.
listener.name.ssl.ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/
"""


class SecuredKafka(KafkaServer):
    """One broker; ``address`` is the tests' own, ``doors`` are those for others, by security protocol."""

    def __init__(self) -> None:
        super().__init__()
        sasl, sasl_ssl, ssl = free_ports(3)
        self.doors = {
            "SASL_PLAINTEXT": f"127.0.0.1:{sasl}",
            "SASL_SSL": f"127.0.0.1:{sasl_ssl}",
            "SSL": f"127.0.0.1:{ssl}",
        }
        folder = self.folder / "certificates"
        folder.mkdir()
        self.authority = Authority(folder)
        self._own = self.authority.issue("broker")

    def _properties(self) -> str:
        ports = {name.lower(): address.rpartition(":")[2] for name, address in self.doors.items()}
        security = _SECURITY.format(
            port=self.port,
            sasl=ports["sasl_plaintext"],
            sasl_ssl=ports["sasl_ssl"],
            ssl=ports["ssl"],
            controller=self._controller_port,
            keystore=self._own.both_file,
            truststore=self.authority.ca_file,
        )
        kept = [line for line in super()._properties().splitlines() if not re.match(r"(advertised\.)?listener", line)]
        return "\n".join([*kept, security, *_logins()]) + "\n"

    async def add_scram_user(self, name: str, password: str, mechanism: str = "SCRAM-SHA-512") -> None:
        """Make a user, or give them another password."""
        number, hash_name = _MECHANISMS[mechanism]
        salt = secrets.token_bytes(16)
        salted = hashlib.pbkdf2_hmac(hash_name, password.encode(), salt, _ITERATIONS)
        answer = await self._ask(_Plain(_AlterScram([], [(name, number, _ITERATIONS, salt, salted, {})], {})))
        assert all(result[1] == 0 for result in answer.results), answer

    async def allow(self, *commands: str) -> None:
        """What ``kafka-acls --add`` commands say."""
        entries = [entry for command in commands for entry in acls_of(command)]
        answer = await self._ask(_Plain(CreateAclsRequest_v1([entry.as_tuple() for entry in entries])))
        assert all(result[0] == 0 for result in answer.creation_responses), answer

    async def forbid(self, entries: Iterable[Acl]) -> None:
        """Take access away again; each entry must be there."""
        filters = [entry.as_tuple() for entry in entries]
        answer = await self._ask(_Plain(DeleteAclsRequest_v1(filters)))
        assert all(result[0] == 0 and len(result[2]) == 1 for result in answer.filter_responses), answer

    async def _ask(self, request: Any) -> Any:
        async with administration(self.address) as admin:
            return await admin._send_request(request)


@dataclass(frozen=True, slots=True)
class Acl:
    """One entry of the access lists."""

    resource: str
    name: str
    pattern: str
    principal: str
    operation: str

    def as_tuple(self) -> tuple[int, str, int, str, str, int, int]:
        """As the protocol has it: any host, allowed."""
        operation = _OPERATIONS[self.operation.lower()]
        return (_RESOURCES[self.resource], self.name, _PATTERNS[self.pattern], self.principal, "*", operation, 3)


def acls_of(command: str) -> list[Acl]:
    """The entries that a ``kafka-acls --add`` command makes; understands what streamer's pages use."""
    words = [word for word in shlex.split(command) if word != "\\"]
    assert words[0].startswith("kafka-acls"), command
    assert "--add" in words, command
    found: dict[str, list[str]] = {}
    position = 1
    while position < len(words):
        flag = words[position].removeprefix("--")
        takes_value = flag not in {"add", "force"}
        found.setdefault(flag, []).append(words[position + 1] if takes_value else "")
        position += 2 if takes_value else 1
    pattern = found.get("resource-pattern-type", ["literal"])[0]
    resources = [(kind, name) for kind in _RESOURCES for name in found.get(kind, [])]
    known = {"add", "bootstrap-server", "command-config", "resource-pattern-type", "operation", "allow-principal"}
    assert resources, command
    assert found.keys() <= known | set(_RESOURCES), command
    return [
        Acl(kind, name, pattern, principal, operation)
        for kind, name in resources
        for principal in found["allow-principal"]
        for operation in found["operation"]
    ]


def _logins() -> list[str]:
    """How each SASL door checks who comes: one user with PLAIN, those of the cluster's own records with SCRAM."""
    package = "org.apache.kafka.common.security"
    lines = []
    for door in ("sasl_plaintext", "sasl_ssl"):
        plain = f'{package}.plain.PlainLoginModule required user_{PLAIN_USER}="{PLAIN_PASSWORD}";'
        lines.append(f"listener.name.{door}.plain.sasl.jaas.config={plain}")
        for mechanism in _MECHANISMS:
            scram = f"{package}.scram.ScramLoginModule required;"
            lines.append(f"listener.name.{door}.{mechanism.lower()}.sasl.jaas.config={scram}")
    return lines


class _AlterScramResponse(Response):
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterScram(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _AlterScramResponse
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Plain(Request[_AlterScram]):
    """A request whose version is known."""

    API_KEY = 51

    def __init__(self, struct: RequestStruct) -> None:
        self._struct = struct

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """The request itself."""
        return self._struct

    def build(self, request_struct_class: Any) -> Any:
        """Never called."""
        raise NotImplementedError
