"""An alert as a person reads it: who, what, how sure, and what happened when.

Made from the alert document alone, so the command line, a console or a subscriber see the same. Nothing here knows a
rule: what joins two events, what was new and what was missing stands in the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from streamer.detect.redaction import cut
from streamer.detect.sentences import look
from streamer.ecs.actors import is_inside
from streamer.ecs.durations import duration_text
from streamer.model import Scalar

Document = Mapping[str, Any]

MAX_ENTRIES: Final = 40
"""Entries on the time line; of a run of similar events the first and the last are shown, and how many there were."""
_RUN: Final = 3
_SHORT: Final = 3
_COMMAND: Final = 110
_SAID: Final = {"c-ip": "client address", "sc-status": "status", "source.ip": "source address"}
_PLUMBING: Final = ("system:kube-", "system:node:", "system:serviceaccount:kube-system:")
"""Users that carry out what others asked for; named only where there is nobody else."""
_WORKLOADS: Final = ("service_account", "node", "system")


@dataclass(slots=True)
class Entry:
    """One moment on the time line.

    Attributes:
        time: ISO 8601, UTC, microseconds.
        label: who tells it: ``gateway``, ``audit``, ``pod log``.
        text: one sentence.
        join: what it has in common with earlier entries, in words: ``run id 3f2c``; empty for the first.
        exact: whether that names the thing itself; else the two are only close in time.
        since: time of the entry where that was last seen, if it is not the one before; empty where that is not known.
        new: images that were first seen with it.
        rules: titles of the rules that matched.
        source: where the record is, as text.
        more: how many similar events stand behind this entry and are not shown.
    """

    time: str
    label: str
    text: str
    join: str = ""
    exact: bool = False
    since: str = ""
    new: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    source: str = ""
    more: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """An alert, told.

    Attributes:
        level: Sigma level.
        who: actors and addresses, each a phrase.
        what: images, privileges, commands, objects, each a phrase.
        proof: how many events in which time, links, outcome, when it was decided, each a phrase.
        absent: titles of the rules whose silence is part of the finding.
        attack: tactics and techniques.
        records: where every shown record is, as text, each once.
    """

    id: str
    level: str
    title: str
    cluster: str
    reason: str
    who: tuple[str, ...]
    what: tuple[str, ...]
    proof: tuple[str, ...]
    absent: tuple[str, ...]
    entries: tuple[Entry, ...]
    attack: tuple[str, ...]
    falsepositives: tuple[str, ...]
    records: tuple[str, ...]
    rule: str


def incident(document: Document) -> Incident:
    """Tell an alert document. Never raises on a document that fits the schema, whatever its rule."""
    items = _items(document)
    entries = incident_lines(document)
    return Incident(
        id=_text(document, "event.id"),
        level=_text(document, "streamer.rule.level"),
        title=_text(document, "message"),
        cluster=_text(document, "orchestrator.cluster.name"),
        reason=_text(document, "event.reason"),
        who=_who(items),
        what=_what(items),
        proof=_proof(document),
        absent=tuple(
            str(step.get("title") or step.get("name") or step["id"])
            for step in _list(document, "streamer.steps")
            if step.get("absent")
        ),
        entries=entries,
        attack=_attack(document),
        falsepositives=tuple(_list(document, "streamer.rule.falsepositives")),
        records=tuple(dict.fromkeys(source_text(item.get("source")) for item in items if item.get("source"))),
        rule=_text(document, "streamer.rule.path"),
    )


def incident_lines(document: Document) -> tuple[Entry, ...]:
    """The time line: one entry per thing that happened, joins between them, runs of similar events folded."""
    merged: dict[tuple[str, str], Entry] = {}
    seen_at: dict[Scalar, list[str]] = {}
    for item in _items(document):
        entry = _entry(item)
        event = item["event"]
        place = item.get("audit_id") or entry.source or event["id"]
        entry.since = _last_seen((item.get("join") or {}).get("by") or {}, seen_at)
        same = merged.get((event["time"], place))
        if same is None:
            merged[event["time"], place] = entry
        else:
            _merge(same, entry)
        for value in _scalars(item.get("fields")):
            seen_at.setdefault(value, []).append(entry.time)
    return tuple(_with_known_pasts(_folded(list(merged.values()), _unshown(document))))


def _last_seen(by: Mapping[str, Scalar], seen_at: Mapping[Scalar, list[str]]) -> str:
    """When an earlier event last held all values of a join; empty if none did."""
    moments = [set(seen_at.get(value, ())) for value in by.values()]
    return max(set.intersection(*moments), default="") if moments else ""


def _scalars(value: Any) -> Iterator[Scalar]:
    """All values in a tree of fields."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _scalars(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _scalars(inner)
    else:
        yield value


def _with_known_pasts(entries: list[Entry]) -> list[Entry]:
    """``since`` is worth saying for another entry than the one before, and only if that one is shown."""
    shown: set[str] = set()
    before = ""
    for entry in entries:
        if entry.since not in shown or entry.since == before:
            entry.since = ""
        shown.add(entry.time)
        before = entry.time
    return entries


def source_text(source: Any) -> str:
    """``file:line`` or ``topic[partition]@offset``."""
    if not isinstance(source, Mapping):
        return ""
    if "file" in source:
        return f"{source['file']}:{source.get('line')}"
    return f"{source.get('topic')}[{source.get('partition')}]@{source.get('offset')}"


def _items(document: Document) -> list[Mapping[str, Any]]:
    return [item for item in _list(document, "streamer.evidence") if isinstance(item, Mapping) and "event" in item]


def _entry(item: Mapping[str, Any]) -> Entry:
    summary = str(item.get("summary") or item["rule"]["name"])
    label, text = _labelled(str(item["event"].get("kind") or "event"), summary)
    join = item.get("join") or {}
    return Entry(
        time=item["event"]["time"],
        label=label,
        text=text,
        join=_join_text(join) if join else "",
        exact=bool(join.get("exact")),
        new=_new_images(item),
        rules=(item["rule"]["name"],),
        source=source_text(item.get("source")),
    )


def _new_images(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Images only: that a run id was never seen before says nothing to a person."""
    found = (item.get("first_seen") or {}).items()
    return tuple(str(value) for name, value in found if "image" in name.lower() or "repository" in name.lower())


def _labelled(kind: str, summary: str) -> tuple[str, str]:
    if kind == "container_log":
        return "pod log", summary.removeprefix("pod log ")
    if kind == "webserver":
        label, _, text = summary.partition(" ")
        return label, text
    if kind == "source_health":
        return "health", summary
    return ("audit" if kind != "event" else "event"), summary


def _join_text(join: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(name)} {value}" for name, value in (join.get("by") or {}).items()) or "cluster"


def _words(name: str) -> str:
    """``run_id`` and ``kubernetes.pod.uid`` as people say them."""
    if name in _SAID:
        return _SAID[name]
    words = name.replace("_", " ").split(".")
    short = {"namespace", "name", "uid", "id"}
    said = words[-2:] if words[-1] in short and len(words) > 1 else words[-1:]
    return " ".join(said)


def _merge(entry: Entry, other: Entry) -> None:
    """Two rules told of one event: the longer sentence, everything new, the exact join."""
    if len(other.text) > len(entry.text):
        entry.text = other.text
    entry.new = tuple(dict.fromkeys((*entry.new, *other.new)))
    entry.rules = tuple(dict.fromkeys((*entry.rules, *other.rules)))
    if other.exact and not entry.exact and entry.join:
        entry.join, entry.exact, entry.since = other.join, True, other.since


def _unshown(document: Document) -> dict[str, int]:
    """Rule title to contributing events that the evidence does not hold."""
    unshown: dict[str, int] = {}
    for step in _list(document, "streamer.steps"):
        if (missing := step.get("total", 0) - step.get("shown", 0)) > 0:
            unshown[str(step.get("title") or step["id"])] = missing
    return unshown


def _folded(entries: list[Entry], unshown: dict[str, int]) -> list[Entry]:
    folded: list[Entry] = []
    start = 0
    while start < len(entries):
        end = start
        while end < len(entries) and entries[end].rules == entries[start].rules:
            end += 1
        run = entries[start:end]
        hidden = sum(unshown.pop(title, 0) for title in run[0].rules)
        if len(run) + hidden > _RUN:
            run[0].more = len(run) - 2 + hidden if len(run) > 1 else hidden
            run = [run[0], run[-1]] if len(run) > 1 else run
        folded += run
        start = end
    if len(folded) > MAX_ENTRIES:
        keep = MAX_ENTRIES // 2
        folded[keep - 1].more += len(folded) - MAX_ENTRIES
        folded = folded[:keep] + folded[-keep:]
    return folded


def _who(items: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Addresses that came through a gateway first, then who acted in the cluster, in the order they appeared."""
    origins: dict[str, None] = {}
    users: dict[str, str] = {}
    for item in items:
        fields = item.get("fields") or {}
        client = fields.get("c-ip")
        if isinstance(client, str):
            origins[client] = None
        user = look(fields, "user.username") or look(fields, "actor.name")
        if isinstance(user, str):
            other = look(fields, "impersonatedUser.username")
            name = f"{user} acting as {other}" if isinstance(other, str) else user
            address = look(fields, "source.ip")
            works = look(fields, "actor.kind") in _WORKLOADS and is_inside(address)  # the address of a pod or node
            users[name] = users.get(name) or ("" if works or not isinstance(address, str) else address)
    people = {name: address for name, address in users.items() if not name.startswith(_PLUMBING)} or users
    if origins:
        through = [f"acted through {_few(list(people))}"] if people else []
        return (_few(list(origins)), *through)
    return tuple(f"{name} from {address}" if address else name for name, address in list(people.items())[:_SHORT])


def _few(values: list[str]) -> str:
    more = f" and {len(values) - _SHORT} more" if len(values) > _SHORT else ""
    return ", ".join(values[:_SHORT]) + more


def _what(items: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Images and what was new about them, privileges, commands, objects."""
    images: dict[str, None] = {}
    commands: dict[str, None] = {}
    objects: dict[str, None] = {}
    new: dict[str, None] = {}
    privileged = False
    for item in items:
        fields = item.get("fields") or {}
        new.update(dict.fromkeys(_new_images(item)))
        container = _object_in(fields, "container")
        workload = _object_in(fields, "workload")
        images.update(dict.fromkeys(_strings(container.get("image"))))
        commands.update(dict.fromkeys(_strings(container.get("command_line"))))
        commands.update(dict.fromkeys(_strings(look(fields, "exec.command"))))
        if not container:
            images.update(dict.fromkeys(_strings(workload.get("images"))))
            commands.update(dict.fromkeys(_strings(workload.get("command_lines"))))
        privileged = privileged or container.get("privileged") is True or workload.get("privileged") is True
        if phrase := _object(fields):
            objects[phrase] = None
    phrases = [_image_phrase(image, new) for image in list(images)[:_SHORT]]
    phrases += ["privileged"] if privileged else []
    phrases += [f"runs {cut(command, _COMMAND)}" for command in list(commands)[:2]]
    if not phrases:
        phrases += [f"first seen: {value}" for value in list(new)[:_SHORT]]
        phrases += [_few(list(objects))] if objects else []
    return tuple(phrases)


def _object_in(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, Mapping) else {}


def _image_phrase(image: str, new: dict[str, None]) -> str:
    fresh = any(value and (image == value or image.startswith((f"{value}:", f"{value}@"))) for value in new)
    fresh = fresh or any(value and "/" in value and value in image for value in new)
    return f"{image} (first seen)" if fresh else image


def _object(fields: Mapping[str, Any]) -> str:
    resource = look(fields, "objectRef.resource")
    if not isinstance(resource, str):
        pod = look(fields, "kubernetes.pod.name")
        return f"pod {pod}" if isinstance(pod, str) and fields.get("message") else ""
    parts = [look(fields, "objectRef.namespace"), look(fields, "objectRef.name") or look(fields, "workload.name")]
    name = "/".join(part for part in parts if isinstance(part, str))
    return f"{resource} {name}".strip()


def _proof(document: Document) -> tuple[str, ...]:
    count = look(document, "streamer.correlation.count") or 0
    duration = int(look(document, "event.duration") or 0) // 1_000
    taking = f" in {duration_text(duration)}" if duration else " at one moment"
    phrases = [f"{count} events{taking}" if count != 1 else "1 event"]
    exact = look(document, "streamer.links.exact") or 0
    by_time = look(document, "streamer.links.by_time") or 0
    if exact or by_time:
        phrases.append(f"{exact} link{'s' if exact != 1 else ''} exact, {by_time} by time only")
    phrases.append(f"outcome {_text(document, 'streamer.outcome') or 'unknown'}")
    marks = _list(document, "streamer.marks")
    phrases += [_MARKS.get(mark, mark) for mark in marks]
    return tuple(phrases)


_MARKS: Final = {
    "provisional": "provisional: told early, may still change",
    "cut": "rests on silence beyond the end of the log",
    "cold_start": "looks back beyond the beginning of the log",
}


def _attack(document: Document) -> tuple[str, ...]:
    tactics = _list(document, "threat.tactic.name")
    ids = [*_list(document, "threat.technique.id"), *_list(document, "threat.technique.subtechnique.id")]
    names = [*_list(document, "threat.technique.name"), *_list(document, "threat.technique.subtechnique.name")]
    parents = {identifier.partition(".")[0] for identifier in ids if "." in identifier}
    techniques = [
        f"{identifier} {name}" if name != identifier else identifier
        for identifier, name in zip(ids, names, strict=False)
        if identifier not in parents
    ]
    return (*(str(tactic) for tactic in tactics), *techniques)


def _strings(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, str) and item]


def _list(document: Document, path: str) -> list[Any]:
    value = look(document, path)
    return value if isinstance(value, list) else []


def _text(document: Document, path: str) -> str:
    value = look(document, path)
    return value if isinstance(value, str) else ""


def clock_text(stamp: str, *, with_day: bool) -> str:
    """``10:02:40.871`` of an ISO stamp, with the day before it where entries lie on several days."""
    moment = datetime.fromisoformat(stamp)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f" if with_day else "%H:%M:%S.%f")[:-3]
