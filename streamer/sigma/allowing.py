"""What the exceptions of a site cover, as predicates: which rules, which events.

An exception says who acts or where, in the words of people; rules speak of fields. So each entry becomes one predicate
per log source, of the same kind that rules are made of, and is judged by the same evaluator: an event that it covers
for certain is no match. What cannot be known is not covered. An attribute that a log source does not have (a container
line has no user) is never true of its events.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from streamer.model import AUDIT, CONTAINER_LOG, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT, WEBSERVER, LogSource
from streamer.sigma.allow_file import Exempt
from streamer.sigma.correlation import Mention
from streamer.sigma.drafts import Draft
from streamer.sigma.event_fields import sources_of
from streamer.sigma.folding import fold
from streamer.sigma.predicates import AllOf, AnyOf, Cidr, EveryTest, FieldTest, Null, Predicate, Regex, Text, Wild
from streamer.sigma.problems import Problems, nearest
from streamer.sigma.references import References, Registry
from streamer.sigma.rules import Allowed

_REQUESTS: Final = frozenset({AUDIT, CONTAINER_SPEC, RBAC_RULE, RBAC_SUBJECT})
"""Log sources whose events carry the fields of the audit event."""
_LINES: Final = frozenset({CONTAINER_LOG, WEBSERVER})
_HUB: Final = re.compile(r"^(docker\.io/)?(library/)?")
_HOST: Final = re.compile(r"^([^/]*[.:*][^/]*|localhost)/")


def attach(entries: Sequence[Exempt], chooser: Chooser, problems: Problems) -> None:
    """Put every entry to the detections that it is about; ``problems`` takes those that never cover anything."""
    for entry in entries:
        chosen = chooser.chosen(entry)
        covers = False
        for draft in chosen or ():
            sources = sources_of(draft.logsource) if draft.logsource is not None else ()
            predicates = {source: found for source in sources if (found := covered(entry, source))}
            if predicates:
                covers = True
                draft.allowed = (*draft.allowed, Allowed(entry.name, predicates, entry.until_us))
        if chosen and not covers:
            named = ", ".join(f"`{key}`" for key in entry.attributes)
            message = f"the events of these rules do not have all of {named}: the entry covers nothing"
            problems.warning("idle-allow", entry.place, message, "container lines have namespace, image and cluster")


def covered(entry: Exempt, source: LogSource) -> Predicate | None:
    """When an entry covers an event of this log source; ``None``: never."""
    parts: list[Predicate] = []
    for key, texts in entry.attributes.items():
        part = _part(key, texts, source)
        if part is None:
            return None
        parts.append(part)
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _part(key: str, texts: Sequence[str], source: LogSource) -> Predicate | None:
    """One attribute; ``None`` where the log source does not have it."""
    lines = source in _LINES
    if key == "clusters":
        return _any("cluster", map(pattern, texts))
    if not lines and source not in _REQUESTS:
        return None
    if key == "namespaces":
        return _any("kubernetes.namespace" if lines else "objectRef.namespace", map(pattern, texts))
    if key == "addresses":
        networks = (Cidr(str(ipaddress.ip_network(text))) for text in texts)
        return None if source == CONTAINER_LOG else _any("source.ip", networks)
    if key == "images":
        return _images(texts, source)
    if lines:
        return None
    return _both_identities([pattern(text if key == "users" else _account(text)) for text in texts])


def _images(texts: Sequence[str], source: LogSource) -> Predicate | None:
    if source in _LINES:
        return _any("kubernetes.container.image", map(_reference, texts))
    names = [pattern(_HUB.sub("", text)) for text in texts]
    if source == CONTAINER_SPEC:
        return _any("container.repository", names)
    return EveryTest("workload.image_repositories", tuple(names)) if source == AUDIT else None


def _both_identities(names: Sequence[Text]) -> Predicate:
    """Who authenticated, and who it acts as: else whoever may impersonate could pass for an allowed user."""
    alone = FieldTest("impersonatedUser", Null())
    acts_as = [FieldTest("impersonatedUser.username", name) for name in names]
    return AllOf((_any("user.username", names), AnyOf((alone, *acts_as))))


def _account(text: str) -> str:
    namespace, _, name = text.partition("/")
    return f"system:serviceaccount:{namespace}:{name}"


def _any(field: str, checks: Sequence[Text | Cidr | Regex] | Iterator[Text | Cidr | Regex]) -> Predicate:
    tests = tuple(FieldTest(field, check) for check in checks)
    return tests[0] if len(tests) == 1 else AnyOf(tests)


def pattern(text: str) -> Text:
    """A text in which only ``*`` is special."""
    literals = re.split(r"(\*+)", fold(text))
    return Text(tuple(Wild.ANY if literal[0] == "*" else literal for literal in literals if literal))


def _reference(text: str) -> Regex:
    """A repository as a container runtime writes it, with tag and digest, Docker Hub's also in full."""
    bare = _HUB.sub("", text)
    hub = "" if _HOST.match(bare) else r"(docker\.io/)?(library/)?"
    body = ".*".join(re.escape(part) for part in re.split(r"\*+", bare))
    return Regex(rf"^{hub}{body}(:[^/@]*)?(@[^/]*)?$", "i")


class Chooser:
    """Which rules an entry is about.

    Args:
        drafts: all rules; their ``registry``, and the ``references`` of the correlations among them.
        paths: path below its rule folder by path of the file.
        problems: takes what names no rule.
    """

    def __init__(
        self,
        drafts: Sequence[Draft],
        registry: Registry,
        references: References,
        paths: Mapping[str, str],
        problems: Problems,
    ) -> None:
        self._drafts = drafts
        self._registry = registry
        self._references = references
        self._paths = {draft.key: str(PurePosixPath(paths[draft.place.path]).with_suffix("")) for draft in drafts}
        self._problems = problems

    def chosen(self, entry: Exempt) -> list[Draft] | None:
        """Detections, each once; ``None`` after a mistake."""
        detections = [draft for draft in self._drafts if draft.written is None]
        if not entry.rules:
            return detections
        before = self._problems.errors()
        keys = {draft.key for mention in entry.rules for draft in self._named(mention)}
        return None if self._problems.errors() > before else [draft for draft in detections if draft.key in keys]

    def _named(self, mention: Mention) -> list[Draft]:
        text = mention.text
        if "/" in text or "*" in text:
            found = [draft for draft in self._drafts if draft.written is None and self._fits(text, draft)]
            if not found:
                folders = {str(parent) for path in self._paths.values() for parent in PurePosixPath(path).parents}
                hint = nearest(text.rstrip("/*"), {part for folder in folders for part in folder.split("/")} - {"."})
                message = f"no detection fits `{text[:80]}`"
                self._problems.error(
                    "unknown-rule", mention.place, message, hint or "write `folder/*` or `folder/name`"
                )
            return found
        rule = self._registry.find(text)
        if rule is None:
            hint = nearest(text, [draft.about.name for draft in self._drafts if draft.about.name])
            hint = hint or "write its name or id; for a folder `folder/*`"
            self._problems.error("unknown-rule", mention.place, f"there is no rule `{text[:80]}`", hint)
            return []
        if rule.written is None:
            return [rule]
        feeding = ", ".join(item.rule.shown for item in self._references.get(rule.key, ()))
        message = f"`{text[:80]}` is a correlation: it looks at matches, not at events"
        self._problems.error("bad-allow", mention.place, message, f"name the rules it rests on: {feeding}")
        return []

    def _fits(self, text: str, draft: Draft) -> bool:
        """A pattern is about names, or about paths from any folder downwards."""
        if "/" not in text:
            return fnmatch.fnmatchcase(draft.about.name or "", text)
        wanted = text.removesuffix(".yml").removesuffix(".yaml")
        wanted += "*" if wanted.endswith("/") else ""
        path = self._paths[draft.key]
        return fnmatch.fnmatchcase(path, wanted) or fnmatch.fnmatchcase(path, f"*/{wanted}")
