"""The JSON Schema of an alert, for subscribers: made from pydantic models, which are made from the field table.

Within version 1 fields are only ever added; a subscriber ignores what it does not know (``additionalProperties``).
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from streamer.ecs.cloudevents import SCHEMA_ID
from streamer.ecs.fields import ALERT_FIELDS
from streamer.ecs.fields import Field as Column

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_OPEN: Final = ConfigDict(extra="allow", populate_by_name=True)

_TIME_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"
Moment = Annotated[str, Field(pattern=_TIME_PATTERN, json_schema_extra={"format": "date-time"})]
Level = Literal["informational", "low", "medium", "high", "critical"]
Outcome = Literal["success", "denied", "error", "unknown"]
Value = str | int | float | bool


class RuleRef(BaseModel):
    """The rule that accepted the event."""

    model_config = _OPEN
    id: str = Field(description="Sigma id, or the rule's name where it has none")
    name: str = Field(description="title")


class EventRef(BaseModel):
    """The event."""

    model_config = _OPEN
    id: str = Field(pattern="^[0-9a-f]*$", description="identity: equal for every telling of the same event")
    time: Moment
    kind: str | None = Field(
        default=None,
        description="audit, container_log, webserver, container_spec, rbac_rule, rbac_subject or source_health",
    )
    outcome: Outcome | None = None


class Source(BaseModel):
    """Where the record is: a file and line, or a topic, partition and offset."""

    model_config = _OPEN
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    file: str | None = None
    line: int | None = Field(default=None, ge=1)


class Join(BaseModel):
    """What joins the event to earlier ones."""

    model_config = _OPEN
    rule: str = Field(description="title of the correlation that joins them")
    exact: bool = Field(description="joined by something that names the thing itself, not only by key and time")
    by: dict[str, Value] = Field(description="key fields and values, without the cluster")


class EvidenceItem(BaseModel):
    """One contributing event."""

    model_config = _OPEN
    rule: RuleRef
    event: EventRef
    audit_id: str | None = None
    source: Source | None = None
    join: Join | None = None
    first_seen: dict[str, Value] | None = Field(default=None, description="fields whose value was new")
    summary: str | None = Field(default=None, description="one sentence")
    fields: dict[str, Any] | None = Field(default=None, description="fields from an allow-list")


class StepItem(BaseModel):
    """One rule that contributed."""

    model_config = _OPEN
    id: str
    name: str | None = None
    title: str | None = None
    total: int = Field(ge=0, description="contributing events")
    shown: int = Field(ge=0, description="how many of them stand in the evidence")
    absent: bool | None = Field(default=None, description="the rule was asked not to match, and did not")


class TopItem(BaseModel):
    """One large contributor."""

    model_config = _OPEN
    name: str
    count: int


_SPECIAL: Final[dict[str, Any]] = {
    "event.kind": Literal["alert"],
    "event.severity": Literal[1, 21, 47, 73, 99],
    "event.outcome": Literal["success", "failure", "unknown"],
    "event.module": Literal["streamer"],
    "event.dataset": Literal["streamer.alerts"],
    "rule.category": Literal["detection", "correlation", "notice"],
    "streamer.alert.type": Literal["detection", "correlation", "notice"],
    "streamer.rule.level": Level,
    "streamer.decided.by": Literal["arrival", "watermark"],
    "streamer.outcome": Outcome,
    "streamer.evidence": list[EvidenceItem],
    "streamer.steps": list[StepItem],
    "streamer.notice.top": list[TopItem],
    "streamer.correlation.group_by": dict[str, Value],
}
_TYPES: Final[dict[str, Any]] = {
    "kw": str,
    "text": str,
    "ip": str,
    "date": Moment,
    "date_nanos": Moment,
    "long": int,
    "integer": int,
    "float": float,
    "double": float,
    "boolean": bool,
    "flat": dict[str, Any],
    "geo_point": dict[str, float],
}


@cache
def alert_model() -> type[BaseModel]:
    """The pydantic model of a whole alert document."""
    return _object("Alert", "", list(ALERT_FIELDS))


def alert_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of an alert document, as published in ``docs/schemas/alert-v1.schema.json``."""
    schema = alert_model().model_json_schema(mode="serialization", by_alias=True)
    head = {
        "$schema": DIALECT,
        "$id": SCHEMA_ID,
        "title": "Alert of streamer, version 1",
        "description": "Fields may be added within version 1; ignore what you do not know.",
    }
    return head | {name: value for name, value in _present_only(schema).items() if name not in head}


def _object(name: str, prefix: str, columns: list[Column]) -> type[BaseModel]:
    """A model of the fields under ``prefix``; one nested model per further dot."""
    groups: dict[str, list[Column]] = {}
    for column in columns:
        groups.setdefault(column.name[len(prefix) :].partition(".")[0], []).append(column)
    definitions: dict[str, Any] = {}
    for key, members in groups.items():
        required = any(column.required for column in members)
        if len(members) == 1 and members[0].name == prefix + key:
            kind = _type(members[0])
            field = Field(default=... if required else None, alias=key, description=members[0].text)
        else:
            kind = _object(f"{name}_{key}", f"{prefix}{key}.", members)
            field = Field(default=... if required else None, alias=key)
        definitions[f"f_{key.strip('@')}"] = (kind if required else kind | None, field)
    model: type[BaseModel] = create_model(name, __config__=_OPEN, **definitions)
    return model


def _type(column: Column) -> Any:
    kind = _SPECIAL.get(column.name) or _TYPES[column.type]
    return list.__class_getitem__(kind) if column.many and column.name not in _SPECIAL else kind


def _present_only(node: Any) -> Any:
    """Absent fields are left out of documents, never null: ``anyOf [X, null]`` with default null becomes X."""
    if isinstance(node, list):
        return [_present_only(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _present_only(value) for key, value in node.items() if not (key == "default" and value is None)}
    choices = node.get("anyOf")
    if isinstance(choices, list) and {"type": "null"} in choices:
        rest = [choice for choice in choices if choice != {"type": "null"}]
        del node["anyOf"]
        node = {**(rest[0] if len(rest) == 1 else {"anyOf": rest}), **node}
    if isinstance(node.get("title"), str) and "properties" not in node:
        del node["title"]  # pydantic repeats every name as a title; it tells nobody anything
    return node


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(alert_schema(), indent=2, ensure_ascii=False) + "\n")
