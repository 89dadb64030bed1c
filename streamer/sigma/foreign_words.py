"""What public rules call things, read as what events here say.

SigmaHQ's rules were written for logs that went through other pipelines. Where they clearly mean something that our
events say in other words, a rule is read as meaning that, and a warning says so with the words to use. Everything here
is a translation of predicates; nothing at run time knows of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from streamer.model import AUDIT, WEBSERVER, LogSource
from streamer.sigma.predicates import AllOf, AnyOf, FieldTest, Negated, Predicate, Text, leaves_of

_AUDIT_NAMES: Final[Mapping[str, str]] = {
    "apiGroup": "objectRef.apiGroup",
    "hostPath": "workload.host_paths",
    "capabilities": "workload.capabilities_added",
}
_WEB_NAMES: Final[Mapping[str, str]] = {
    "c-uri": "cs-uri",
    "c-uri-stem": "cs-uri-stem",
    "c-uri-query": "cs-uri-query",
    "cs-uri-path": "cs-uri-stem",
    "c-useragent": "cs-user-agent",
    "c-user-agent": "cs-user-agent",
    "cs-useragent": "cs-user-agent",
    "cs(user-agent)": "cs-user-agent",
    "cs-referrer": "cs-referer",
    "c-referer": "cs-referer",
    "cs(referer)": "cs-referer",
    "client_ip": "c-ip",
    "src_ip": "c-ip",
}
_VERB: Final = "verb"
_RESOURCE: Final = "objectRef.resource"
_SUBRESOURCE: Final = "objectRef.subresource"
_CODE: Final = "responseStatus.code"
_DECISION: Final = "annotations.authorization.k8s.io/decision"
_DECISIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("allow", "allowed"), "allow"),
    **dict.fromkeys(("forbid", "forbidden", "deny", "denied"), "forbid"),
}
_CONNECTING: Final = frozenset({"exec", "attach", "portforward"})
_QUERY: Final = "cs-uri-query"
_ADDRESS: Final = "cs-uri"

_Leaf: TypeAlias = Callable[[FieldTest, bool], Predicate]


class Reading(NamedTuple):
    """A predicate in our words.

    Attributes:
        remarks: (what the rule says and how it is read, what to write instead), each once.
    """

    predicate: Predicate
    remarks: tuple[tuple[str, str], ...] = ()


def is_audit_rule(logsource: LogSource | None) -> bool:
    """Whether a rule is about audit events alone."""
    return logsource is not None and logsource.service == AUDIT.service and logsource.product in {"", AUDIT.product}


def is_web_rule(logsource: LogSource | None) -> bool:
    """Whether a rule is about access lines alone."""
    return logsource is not None and logsource.category == WEBSERVER.category


def other_names(logsource: LogSource | None) -> Mapping[str, str]:
    """Names that no event of this log source has, and the fields they mean."""
    if is_audit_rule(logsource):
        return _AUDIT_NAMES
    return _WEB_NAMES if is_web_rule(logsource) else {}


def read(predicate: Predicate, logsource: LogSource | None) -> Reading:
    """The predicate with foreign values in our words."""
    remarks: dict[tuple[str, str], None] = {}

    def leaf(test: FieldTest, negated: bool) -> Predicate:
        found, remark = translate(test, negated)
        if remark is not None:
            remarks[remark] = None
        return found

    if is_audit_rule(logsource):
        widened = _means_connecting(predicate)
        translate = _connecting if widened else _audit
    elif is_web_rule(logsource):
        translate = _web
    else:
        return Reading(predicate)
    found = _mapped(predicate, leaf, negated=False)
    return Reading(found, tuple(remarks)) if remarks else Reading(predicate)


def exact(test: FieldTest) -> str | None:
    """The text that a test wants, if it wants one without wildcards."""
    if not isinstance(test.check, Text):
        return None
    literals = [part for part in test.check.parts if isinstance(part, str)]
    return "".join(literals) if len(literals) == len(test.check.parts) else None


def exact_tests(predicate: Predicate) -> Iterator[tuple[str, str]]:
    """(field, text) of every test that wants one text."""
    for test in leaves_of(predicate):
        if isinstance(test, FieldTest) and (text := exact(test)) is not None:
            yield test.field, text


def _mapped(predicate: Predicate, leaf: _Leaf, *, negated: bool) -> Predicate:
    if isinstance(predicate, AllOf):
        return AllOf(tuple(_mapped(item, leaf, negated=negated) for item in predicate.items))
    if isinstance(predicate, AnyOf):
        return AnyOf(tuple(_mapped(item, leaf, negated=negated) for item in predicate.items))
    if isinstance(predicate, Negated):
        return Negated(_mapped(predicate.item, leaf, negated=not negated))
    return leaf(predicate, negated) if isinstance(predicate, FieldTest) else predicate


_Translated: TypeAlias = tuple[Predicate, tuple[str, str] | None]


def _audit(test: FieldTest, negated: bool) -> _Translated:
    del negated
    text = exact(test) if test.field in (_CODE, _RESOURCE) else None
    if text is None:
        return test, None
    if test.field == _CODE and text.lower() in _DECISIONS:
        decision = _DECISIONS[text.lower()]
        said = f"a response code is a number, never `{text[:60]}`: it is read as the authorizer's decision `{decision}`"
        return FieldTest(_DECISION, Text((decision,))), (said, f"write `{_DECISION}: {decision}`")
    resource, slash, subresource = text.partition("/")
    if test.field == _RESOURCE and slash and resource and subresource:
        both = AllOf((FieldTest(_RESOURCE, Text((resource,))), FieldTest(_SUBRESOURCE, Text((subresource,)))))
        said = f"no resource is called `{text[:60]}`: it is read as the subresource `{subresource[:60]}`"
        return both, (said, f"write `{_RESOURCE}: {resource}` and `{_SUBRESOURCE}: {subresource}`")
    return test, None


def _means_connecting(predicate: Predicate) -> bool:
    """Whether a rule is about exec and the like, and knows only the verb of clients that do not use WebSockets."""
    tests = set(exact_tests(predicate))
    subresources = {text for field, text in tests if field == _SUBRESOURCE}
    subresources |= {text.partition("/")[2] for field, text in tests if field == _RESOURCE and "/" in text}
    verbs = {text for field, text in tests if field == _VERB}
    return bool(subresources) and subresources <= _CONNECTING and verbs == {"create"}


def _connecting(test: FieldTest, negated: bool) -> _Translated:
    if negated or test.field != _VERB or exact(test) != "create":
        return _audit(test, negated)
    both = AnyOf((test, FieldTest(_VERB, Text(("get",)))))
    said = "such a request has the verb `get` too: clients that use WebSockets send it, and it is read as either"
    return both, (said, "write `verb: [get, create]`")


def _web(test: FieldTest, negated: bool) -> _Translated:
    del negated
    if test.field != _QUERY or not isinstance(test.check, Text):
        return test, None
    if not any(isinstance(part, str) and "/" in part for part in test.check.parts):
        return test, None
    either = AnyOf((test, FieldTest(_ADDRESS, test.check)))
    said = "`cs-uri-query` is what stands behind the question mark; a path in it is looked for in `cs-uri` too"
    return either, (said, "write `cs-uri` or `cs-uri-stem`")
