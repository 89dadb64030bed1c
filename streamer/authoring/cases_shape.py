"""Which keys an event of a case may have, and what kind of value each takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from streamer.authoring import cases_audit, cases_lines
from streamer.sigma.problems import Problems, nearest, one_of
from streamer.sigma.yamltree import Entry, Node

FORMS: Final = ("audit", "access", "log", "raw", "file")
EVENT_KEYS: Final = ("at", "every", "times", "cluster", "fields", "kind", *FORMS)
KINDS: Final = ("audit", "containers")
MOST_TIMES: Final = 10_000
"""How often one event of a case may be repeated."""

_FORM_KEYS: Final = {
    "audit": (*cases_audit.KEYS, "fields"),
    "access": (*cases_lines.ACCESS_KEYS, "fields"),
    "log": (*cases_lines.LOG_KEYS, "fields"),
}
_CHOICES: Final = {
    ("audit", "level"): cases_audit.LEVELS,
    ("audit", "stage"): cases_audit.STAGES,
    ("audit", "decision"): ("allow", "forbid"),
    ("access", "gateway"): cases_lines.GATEWAYS,
}
_NUMBERS: Final = frozenset({"code", "status", "duration_ms"})
_MAPPINGS: Final = frozenset({"body", "response", "annotations", "labels", "fields"})
_NEEDED: Final = {"audit": ("verb",), "access": ("path",), "log": ("message",)}


def check_keys(entries: Mapping[str, Entry], known: Sequence[str], what: str, problems: Problems) -> None:
    """Report keys that ``what`` does not have, each with the nearest one that it has."""
    for key, entry in entries.items():
        if key not in known:
            hint = nearest(key, known) or one_of(known)
            problems.error("unknown-key", entry.place, f"`{key[:60]}` is no key of {what}", hint)


def text_of(entry: Entry | None, problems: Problems) -> str | None:
    """The text of an entry; ``None`` where there is none, reported where it is something else."""
    if entry is None:
        return None
    if isinstance(entry.node.scalar, str):
        return entry.node.scalar
    problems.error("bad-case", entry.node.place, f"a text must stand here, this is {entry.node.kind()}", "quote it")
    return None


def check_event(node: Node, problems: Problems) -> str | None:
    """Which form an event has, after checking its keys and values; ``None`` where that cannot be said."""
    entries = node.entries or {}
    check_keys(entries, EVENT_KEYS, "an event", problems)
    forms = [form for form in FORMS if form in entries]
    if len(forms) != 1:
        found = "has none" if not forms else "has " + " and ".join(f"`{form}`" for form in forms)
        problems.error("bad-case", node.place, f"an event has one form, this {found}", one_of(FORMS))
        return None
    form = forms[0]
    if "fields" in entries:
        _check_value(form, "fields", entries["fields"], problems)
    text_of(entries.get("cluster"), problems)
    kind = entries.get("kind")
    if kind is not None and (form not in {"raw", "file"} or kind.node.scalar not in KINDS):
        problems.error("bad-case", kind.place, "`kind` tells what `raw` and `file` hold", one_of(KINDS))
    _check_repeated(entries, problems)
    inner = entries[form].node
    if form in _FORM_KEYS:
        _check_form(form, inner, problems)
    elif form == "file" and not isinstance(inner.scalar, str):
        problems.error("bad-case", inner.place, f"`file` names a file, this is {inner.kind()}", "write its path")
    elif form == "raw" and inner.entries is None and not isinstance(inner.scalar, str):
        hint = "write the record in quotes, or as a mapping that becomes JSON"
        problems.error("bad-case", inner.place, f"`raw` is a record, this is {inner.kind()}", hint)
    return form


def _check_repeated(entries: Mapping[str, Entry], problems: Problems) -> None:
    """``every`` and ``times`` stand together."""
    for key, other in (("every", "times"), ("times", "every")):
        if key in entries and other not in entries:
            problems.error("bad-case", entries[key].place, f"`{key}` stands without `{other}`", f"write `{other}: …`")
    if "times" in entries:
        node = entries["times"].node
        if not isinstance(node.scalar, int) or isinstance(node.scalar, bool) or not 1 <= node.scalar <= MOST_TIMES:
            problems.error("bad-case", node.place, f"`times` is a whole number from 1 to {MOST_TIMES}", "write `10`")


def _check_form(form: str, node: Node, problems: Problems) -> None:
    if node.entries is None:
        first = _NEEDED[form][0]
        problems.error(
            "bad-case", node.place, f"`{form}` is a mapping, this is {node.kind()}", f"write `{{{first}: …}}`"
        )
        return
    check_keys(node.entries, _FORM_KEYS[form], f"`{form}`", problems)
    for key in _NEEDED[form]:
        if key not in node.entries:
            problems.error("bad-case", node.place, f"`{form}` has no `{key}`", f"write `{key}: …`")
    if form == "audit" and not any(key in node.entries for key in ("resource", "path", "uri")):
        problems.error(
            "bad-case", node.place, "`audit` names no resource", "write `resource: pods`, or `path: /version`"
        )
    for key, entry in node.entries.items():
        _check_value(form, key, entry, problems)


def _check_value(form: str, key: str, entry: Entry, problems: Problems) -> None:
    node = entry.node
    if key in _NUMBERS:
        if not isinstance(node.scalar, int) or isinstance(node.scalar, bool):
            problems.error("bad-case", node.place, f"`{key}` is a whole number, this is {node.kind()}", "write `200`")
    elif key in _MAPPINGS:
        if node.entries is None:
            problems.error(
                "bad-case", node.place, f"`{key}` is a mapping, this is {node.kind()}", "write `{name: value}`"
            )
    elif key in {"groups", "command"}:
        if node.items is None and not (key == "command" and isinstance(node.scalar, str)):
            problems.error("bad-case", node.place, f"`{key}` is a list, this is {node.kind()}", "write `[a, b]`")
    elif node.entries is not None or node.items is not None:
        problems.error("bad-case", node.place, f"`{key}` is one value, this is {node.kind()}", "write a text")
    elif (form, key) in _CHOICES and node.scalar not in _CHOICES[form, key]:
        known = _CHOICES[form, key]
        hint = (nearest(node.scalar, known) if isinstance(node.scalar, str) else None) or one_of(known)
        problems.error("bad-case", node.place, f"`{node.scalar!s:.40}` is no `{key}`", hint)
