"""Bytes → Events, for one source.

A record is opened layer by layer, at most three envelopes deep, until what is inside is an audit event or a container's
line. Which of the two may be inside is the source's declaration and never the content's: in an audit source only audit
events become events; in a container source everything is a line, also a line that looks like an audit event.

Only unfinished partial lines are remembered from one record to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from streamer.decode.audit import add_audit, is_audit, is_event_list
from streamer.decode.container import add_line, declared
from streamer.decode.envelope import Inner, Opened
from streamer.decode.envelope_otlp_proto import open_protobuf
from streamer.decode.envelopes import open_envelope
from streamer.decode.gathering import Decoded, Gathering, joined
from streamer.decode.line import Line, cri_line, kubernetes_of_path, stamped_line
from streamer.decode.packed import Packed, Unpacked, is_packed, unpack, unpack_text
from streamer.decode.partial_lines import Finished, PartialLines
from streamer.decode.salvage import LISTS, Cut, Garbage, read, read_text, text_of
from streamer.decode.shippers import content_of, dumped, is_docker_line, is_shipped, shipped_line, told_first
from streamer.decode.source import Source
from streamer.decode.stamps import Stamp
from streamer.model import UNKNOWN, Record

LAYERS: Final = 3
"""Envelopes that may stand around an event."""

_CLUSTER_HEADERS: Final = frozenset({"cluster", "x-cluster", "k8s.cluster.name"})


@dataclass(frozen=True, slots=True)
class _Around:
    """What the envelopes opened so far tell of what is inside."""

    layers: int = 0
    stamp: Stamp | None = None
    cluster: str | None = None
    lists: int = 0


class Decoder:
    """Decodes the records of one source, in the order in which they are given."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._access = declared(source)
        self._partial = PartialLines(source.limits)
        self._clusters = {source.cluster.casefold(): source.cluster} | {
            spelling.casefold(): name for spelling, name in source.cluster_aliases.items()
        }

    def decode(self, record: Record) -> Decoded:
        """Everything a record says. Never raises: what cannot be read is a dead letter."""
        gathering = Gathering(record, self._source)
        limit = self._source.limits.record_bytes
        if len(record.value) > limit:
            gathering.dead("too-large", f"{len(record.value)} bytes, the limit is {limit}")
            record = replace(record, value=record.value[:limit])  # who did it and what to comes first: it is still told
        try:
            self._decode(record, gathering)
        except Exception as error:  # noqa: BLE001 - hostile bytes must never stop the stream; tests run without this net
            gathering.dead("defect", f"decoding failed unexpectedly: {type(error).__name__}")
        return gathering.result()

    def flush(self) -> Decoded:
        """End of input: what is unfinished becomes events as it is, marked as truncated."""
        return self._finish(self._partial.flush())

    def unfinished_since(self) -> int | None:
        """The offset of the oldest record that an unfinished line needs; ``None`` if no line is unfinished."""
        return self._partial.began()

    def snapshot(self) -> bytes:
        """Unfinished partial lines."""
        return self._partial.snapshot()

    def restore(self, data: bytes) -> None:
        """Take over a snapshot; raises ``StateError`` if it cannot be read."""
        self._partial.restore(data)

    def _decode(self, record: Record, gathering: Gathering) -> None:
        overdue = self._partial.tick()
        if overdue:
            gathering.absorb(self._finish(overdue))
        value = record.value
        if is_packed(value) and not kubernetes_of_path(record.position.source):
            value = _room_taken(unpack(value, gathering.unpack_room), gathering)
        if not value.strip():
            gathering.skipped += 1
        elif value[:1] == b"\n" and not record.position.is_file and (opened := open_protobuf(value)) is not None:
            gathering.deep = True
            self._take(opened, _Around(), gathering)
        elif self._source.kind == "audit":
            self._decode_audit(value, gathering)
        else:
            self._decode_containers(value, gathering)

    def _take(self, opened: Opened, around: _Around, gathering: Gathering) -> None:
        """The entries of an envelope, one after the other."""
        gathering.skipped += opened.skipped
        if opened.cut:
            gathering.dead("too-many-events", "more log records in one envelope than are looked at")
        for entry in opened.entries:
            if gathering.full:
                return
            found = entry
            if isinstance(entry.value, Packed):
                unpacked = unpack_text(entry.value, gathering.unpack_room)
                found = replace(entry, value=text_of(_room_taken(unpacked, gathering)))
            if self._source.kind == "audit":
                self._audit_entry(found, around, gathering)
            else:
                self._container_entry(found, around, gathering)

    def _finish(self, finished: list[Finished]) -> Decoded:
        """Events of lines that are whole now and count as read from records other than the current one."""
        results = []
        for line, record in finished:
            gathering = Gathering(record, self._source)
            self._whole_line(line, gathering)
            results.append(gathering.result())
        return joined(results)

    # --- container sources -------------------------------------------------------------------------------------

    def _decode_containers(self, value: bytes, gathering: Gathering) -> None:
        if b"\n" not in value.strip(b"\r\n"):
            self._container_document(value, gathering)
            return
        if _starts_json(value):
            if self._container_values(read(value), gathering):
                return
        elif cri_line(text_of(value[:4096]), {}) is None:
            self._bare_line(text_of(value), gathering)  # one text of several lines, for example a stack trace
            return
        for line in value.split(b"\n"):
            if gathering.full:
                return
            self._container_document(line, gathering)

    def _container_document(self, value: bytes, gathering: Gathering) -> None:
        """One shipper's record, or one bare line."""
        values = read(value) if _starts_json(value) else []
        if len(values) == 1 and isinstance(values[0], dict):
            values = [told_first(value, values[0])]
        if not self._container_values(values, gathering):
            self._bare_line(text_of(value), gathering)

    def _container_values(self, values: list[Any], gathering: Gathering) -> bool:
        """Take the lines out of shippers' records; ``False`` if not all the values are records."""
        if not values or not all(self._is_record(found) for found in values):
            return False
        if kubernetes_of_path(gathering.record.position.source) and not all(map(is_docker_line, values)):
            return False  # in a container's own file nobody but the runtime speaks for the shipper
        for found in values:
            self._container_value(found, _Around(), gathering)
        return True

    def _is_record(self, value: Any) -> bool:
        """Whether a shipper or a cloud wrote this; otherwise a container wrote it itself."""
        if isinstance(value, list):
            return bool(value) and all(isinstance(item, dict) and self._is_record(item) for item in value)
        return isinstance(value, dict) and (is_shipped(value) or open_envelope(value) is not None)

    def _container_value(self, value: Any, around: _Around, gathering: Gathering) -> None:
        if gathering.full:
            return
        if isinstance(value, list):
            for item in value:
                self._container_value(item, around, gathering)
            return
        opened = None if is_shipped(value) else open_envelope(value)
        if opened is None:
            line = shipped_line(value)
            if line.cluster is None and around.cluster is not None:
                line = replace(line, cluster=around.cluster)
            if not line.kubernetes:
                line = replace(line, kubernetes=kubernetes_of_path(gathering.record.position.source))
            self._feed(line, gathering)
            return
        self._take(opened, around, gathering)

    def _container_entry(self, entry: Inner, around: _Around, gathering: Gathering) -> None:
        inner = _Around(around.layers + 1, entry.stamp or around.stamp, entry.cluster or around.cluster)
        value = entry.value
        if inner.layers > LAYERS:
            gathering.dead("too-many-layers", f"more than {LAYERS} envelopes around a line")
            return
        if entry.kubernetes is None:  # else the envelope knows the container, and what is inside is the container's
            found = read_text(value) if isinstance(value, str) and value[:1] == "{" else [value]
            if found and all(isinstance(one, dict) and self._is_record(one) for one in found):
                for one in found:
                    self._container_value(one, inner, gathering)
                return
        self._feed(_line_of(entry, inner), gathering)

    def _bare_line(self, text: str, gathering: Gathering) -> None:
        """A line as it stands in a container's file."""
        text = text.rstrip("\r\n")
        if not text.strip():
            gathering.skipped += 1
            return
        position = gathering.record.position
        kubernetes = kubernetes_of_path(position.source)
        line = cri_line(text, kubernetes)
        if line is None and position.is_file and not kubernetes:
            line = stamped_line(text, kubernetes)  # a topic has append times; there a line's own words are no stamp
        self._feed(line or Line(text, kubernetes=kubernetes), gathering)

    def _feed(self, line: Line, gathering: Gathering, around: _Around | None = None) -> None:
        for whole, record in self._partial.feed(line, gathering.record):
            if whole is line:
                self._whole_line(whole, gathering, around)
            elif record.position == gathering.record.position:
                gathering.look_into(record.value)
                self._whole_line(whole, gathering)
            else:
                gathering.absorb(self._finish([(whole, record)]))

    def _whole_line(self, line: Line, gathering: Gathering, around: _Around | None = None) -> None:
        if self._source.kind == "audit":
            inner = replace(around, stamp=line.stamp) if around else _Around(1, line.stamp, line.cluster)
            self._audit_text(line.text, inner, gathering)
            return
        if not line.text and line.content is None:
            gathering.skipped += 1
            return
        add_line(line, self._cluster(line.cluster, gathering), gathering, self._access)

    # --- audit sources -----------------------------------------------------------------------------------------

    def _decode_audit(self, value: bytes, gathering: Gathering) -> None:
        if value[:1].isdigit():
            text = text_of(value)
            if cri_line(text, {}) is not None or stamped_line(text, {}) is not None:
                for line in text.split("\n"):
                    self._bare_line(line, gathering)
                return
        values = read(value)
        if not values:
            gathering.skipped += 1
        for found in values:
            if isinstance(found, Garbage):
                reason = found.reason if len(values) == 1 else "trailing-bytes"
                gathering.dead(reason, "no JSON document", found.raw)
            elif not self._audit_value(found, _Around(), gathering):
                gathering.dead("no-event", "JSON, but neither an audit event nor a known envelope")
            elif isinstance(found, Cut) and gathering.is_empty() and not LISTS.isdisjoint(found):
                gathering.dead("cut-off", "a list whose end is missing, cut off before its first event")

    def _audit_value(self, value: Any, around: _Around, gathering: Gathering) -> bool:
        """Take the audit events out of a value; ``False`` if it is nothing we know."""
        if gathering.full:
            return True
        if isinstance(value, list):
            return self._audit_list(value, around, gathering)
        if not isinstance(value, dict):
            return False
        if is_audit(value):
            cluster = self._cluster(around.cluster, gathering)
            add_audit(value, around.stamp.us if around.stamp else None, cluster, gathering)
            return True
        if is_event_list(value):
            return self._audit_list(value["items"], around, gathering)
        if around.layers >= LAYERS:
            gathering.dead("too-many-layers", f"more than {LAYERS} envelopes around an event")
            return True
        opened = open_envelope(value)
        if opened is not None:
            self._take(opened, around, gathering)
            return True
        return self._audit_shipped(value, around, gathering)

    def _audit_entry(self, entry: Inner, around: _Around, gathering: Gathering) -> None:
        inner = _Around(around.layers + 1, entry.stamp or around.stamp, entry.cluster or around.cluster)
        if isinstance(entry.value, str):
            self._feed(_line_of(entry, inner), gathering, inner)
        else:
            self._audit_inner(entry.value, inner, gathering)

    def _audit_list(self, items: list[Any], around: _Around, gathering: Gathering) -> bool:
        inside = replace(around, lists=around.lists + 1)
        if inside.lists > LAYERS:
            gathering.dead("too-many-layers", f"more than {LAYERS} lists around an event")
            return True
        if not items:
            gathering.skipped += 1
        for item in items:
            if gathering.full:
                break
            if not self._audit_value(item, inside, gathering):
                gathering.dead("no-event", "an element of a list that is no audit event")
        return True

    def _audit_shipped(self, value: dict[str, Any], around: _Around, gathering: Gathering) -> bool:
        content = content_of(value)
        if content is None:
            return False
        line = shipped_line(value)
        inner = _Around(around.layers + 1, line.stamp or around.stamp, line.cluster or around.cluster)
        if isinstance(content, str) and line.content is None:
            self._feed(replace(line, stamp=inner.stamp), gathering, inner)
        else:
            self._audit_inner(content, inner, gathering)
        return True

    def _audit_inner(self, value: Any, around: _Around, gathering: Gathering) -> None:
        """What an envelope held: text or an object; what holds no audit event is passed over."""
        if isinstance(value, str):
            self._audit_text(value, around, gathering)
        elif value is UNKNOWN:
            gathering.dead("not-json", "the content of an envelope cannot be read")
        elif not self._audit_value(value, around, gathering):
            gathering.skipped += 1

    def _audit_text(self, text: str, around: _Around, gathering: Gathering) -> None:
        text = text.strip()
        line = (cri_line(text, {}) or stamped_line(text, {})) if text[:1].isdigit() else None
        if line is not None:
            text = line.text
            around = replace(around, stamp=line.stamp or around.stamp)
        if text[:1] not in ("{", "["):
            gathering.skipped += 1
            return
        for found in read_text(text):
            if isinstance(found, Garbage):
                gathering.dead("not-json", "no JSON document inside an envelope", found.raw)
            elif not self._audit_value(found, around, gathering):
                gathering.skipped += 1

    def _cluster(self, told: str | None, gathering: Gathering) -> str:
        """Canonical name: as an envelope or a header tells it, else as configured; aliases, without regard to case."""
        if told is None:
            for name, content in gathering.record.headers:
                if name.lower() in _CLUSTER_HEADERS and content:
                    told = text_of(content)
                    break
            else:
                return self._source.cluster
        folded = told.casefold()
        return self._clusters.get(folded, folded)


def _room_taken(unpacked: Unpacked, gathering: Gathering) -> bytes:
    """What was packed; it counts against the record's room, and what is missing of it is told."""
    if unpacked.problem is not None:
        gathering.dead(unpacked.problem, "packed content that is damaged or has no room: only its beginning is read")
        gathering.cut = True
    gathering.unpacked = True
    gathering.unpack_room -= len(unpacked.data)
    gathering.look_into(unpacked.data)
    return unpacked.data


def _line_of(entry: Inner, around: _Around) -> Line:
    """A container's line from an envelope that knows its container."""
    kubernetes, value = entry.kubernetes or {}, entry.value
    if isinstance(value, dict):
        return Line(dumped(value), around.stamp, entry.stream, kubernetes, around.cluster, content=value)
    text = value.rstrip("\r\n") if isinstance(value, str) else ""
    bare = cri_line(text, kubernetes, around.cluster) if not entry.stream else None
    return bare or Line(text, around.stamp, entry.stream, kubernetes, around.cluster, partial=entry.partial)


def _starts_json(value: bytes) -> bool:
    return value.lstrip(b"\xef\xbb\xbf \t\r\n\x00")[:1] in (b"{", b"[")
