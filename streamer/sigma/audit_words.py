"""What rules for Kubernetes audit logs say that no audit event says, although many public rules do.

A rule that loads and can never match is worse than one that is refused. Names that clearly mean a field of ours are
read as that field; what cannot match is reported with what to write instead. Both are warnings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from streamer.model import AUDIT, CONTAINER_LOG, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT, WEBSERVER, LogSource
from streamer.sigma.predicates import FieldTest, Predicate, Text, leaves_of

OTHER_NAMES: Final[Mapping[str, str]] = {
    "apiGroup": "objectRef.apiGroup",
    "hostPath": "workload.host_paths",
    "capabilities": "workload.capabilities_added",
}
"""Fields that no audit event has at its top, and the fields they mean."""

_SOURCES: Final = (AUDIT, CONTAINER_LOG, WEBSERVER, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT)
_CONNECTING: Final = frozenset({"exec", "attach", "portforward"})


def is_known(logsource: LogSource) -> bool:
    """Whether any event has this log source."""
    return any(
        logsource.category in {"", source.category}
        and logsource.product in {"", source.product}
        and logsource.service in {"", source.service}
        for source in _SOURCES
    )


def is_audit_rule(logsource: LogSource | None) -> bool:
    """Whether a rule is about audit events alone."""
    return logsource is not None and logsource.service == AUDIT.service and logsource.product in {"", AUDIT.product}


def never_said(predicate: Predicate) -> Iterator[tuple[str, str]]:
    """Tests that no audit event passes, or none of a kind that matters: what, and what to write instead."""
    tests = (test for test in leaves_of(predicate) if isinstance(test, FieldTest))
    texts = {(test.field, text) for test in tests if (text := _exact(test)) is not None}
    for field, text in sorted(texts):
        if field == "objectRef.resource" and "/" in text:
            resource, _, subresource = text.partition("/")
            hint = f"write `objectRef.resource: {resource}` and `objectRef.subresource: {subresource}`"
            yield f"no resource is called `{text[:60]}`", hint
        elif field == "responseStatus.code" and not text.isdecimal():
            hint = "the authorizer's decision is `annotations.authorization.k8s.io/decision`: `allow` or `forbid`"
            yield f"a response code is a number, never `{text[:60]}`", hint
    verbs = {text for field, text in texts if field == "verb"}
    connecting = sorted({text for field, text in texts if field == "objectRef.subresource"} & _CONNECTING)
    if connecting and verbs == {"create"}:
        message = f"`{connecting[0]}` has the verb `get` too: clients that use WebSockets send it"
        yield message, "write `verb: [get, create]`"


def _exact(test: FieldTest) -> str | None:
    """The text that a test wants, if it wants one without wildcards."""
    if not isinstance(test.check, Text):
        return None
    literals = [part for part in test.check.parts if isinstance(part, str)]
    return "".join(literals) if len(literals) == len(test.check.parts) else None
