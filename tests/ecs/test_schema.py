"""The published JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator, ValidationError

from streamer.ecs import alert_document
from streamer.ecs.fields import ALERT_FIELDS
from streamer.ecs.schema import alert_schema
from tests.ecs.samples import CONTEXT, RULES, chain_alert

DOCS = Path(__file__).parents[2] / "docs"


def test_the_published_schema_is_the_generated_one() -> None:
    """After a change of the field table: ``python -m streamer.ecs.schema > docs/schemas/alert-v1.schema.json``."""
    assert json.loads((DOCS / "schemas" / "alert-v1.schema.json").read_text()) == alert_schema()


def test_the_contract_page_names_every_field() -> None:
    page = (DOCS / "alert-contract.md").read_text()
    missing = [field.name for field in ALERT_FIELDS if f"`{field.name}`" not in page and field.text != "reserved"]
    assert missing == []


def test_a_document_with_a_field_of_tomorrow_still_validates() -> None:
    document = orjson.loads(alert_document(chain_alert(), RULES, CONTEXT).body)
    document["tomorrow"] = {"x": 1}
    document["streamer"]["tomorrow"] = 1
    Draft202012Validator(alert_schema()).validate(document)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("@timestamp",), "yesterday"),
        (("event", "severity"), 50),
        (("event", "kind"), "signal"),
        (("streamer", "outcome"), "maybe"),
        (("streamer", "evidence"), [{}]),
    ],
)
def test_the_schema_refuses_what_is_wrong(path: tuple[str, ...], wrong: object) -> None:
    document = orjson.loads(alert_document(chain_alert(), RULES, CONTEXT).body)
    level = document
    for part in path[:-1]:
        level = level[part]
    level[path[-1]] = wrong
    with pytest.raises(ValidationError):
        Draft202012Validator(alert_schema()).validate(document)
