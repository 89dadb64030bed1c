"""The Elasticsearch templates."""

from __future__ import annotations

from streamer.ecs.fields import ALERT_FIELDS
from streamer.ecs.templates import CUSTOM, MAPPINGS, SETTINGS, alert_properties, component_templates, index_template

EVERYWHERE = {
    "keyword",
    "text",
    "date",
    "date_nanos",
    "ip",
    "flattened",
    "geo_point",
    "long",
    "integer",
    "float",
    "double",
    "boolean",
    "object",
}
"""Field types that every server has, whatever its licence."""


def types(properties: dict, prefix: str = "") -> dict[str, dict]:
    found: dict[str, dict] = {}
    for name, entry in properties.items():
        if "properties" in entry:
            found |= types(entry["properties"], f"{prefix}{name}.")
        else:
            found[prefix + name] = entry
    return found


def test_every_field_is_mapped_with_a_type_every_server_has() -> None:
    mapped = types(alert_properties())
    assert set(mapped) == {field.name for field in ALERT_FIELDS}
    assert {entry["type"] for entry in mapped.values()} <= EVERYWHERE


def test_no_field_is_both_a_value_and_an_object() -> None:
    names = [field.name for field in ALERT_FIELDS]
    assert len(names) == len(set(names))
    assert not [name for name in names if any(other.startswith(f"{name}.") for other in names)]


def test_keywords_are_bounded_so_that_no_term_refuses_a_document() -> None:
    mapped = types(alert_properties())
    assert all("ignore_above" in entry for entry in mapped.values() if entry["type"] in ("keyword", "flattened"))


def test_evidence_is_kept_and_not_indexed() -> None:
    assert types(alert_properties())["streamer.evidence"] == {"type": "object", "enabled": False}


def test_logs_can_never_add_a_field_to_the_mapping() -> None:
    mappings = component_templates()[MAPPINGS]["template"]["mappings"]
    assert mappings["dynamic"] is False
    assert mappings["date_detection"] is False


def test_the_template_wins_over_the_built_in_one_and_leaves_room_for_the_operator() -> None:
    template = index_template()
    assert template["priority"] > 100
    assert template["index_patterns"] == ["logs-streamer.alerts-*"]
    assert template["composed_of"] == [MAPPINGS, SETTINGS, CUSTOM]
    assert template["ignore_missing_component_templates"] == [CUSTOM]
    assert "data_stream" not in template


def test_a_life_cycle_policy_is_named_only_where_there_is_one() -> None:
    assert index_template()["template"]["settings"] == {}
    assert index_template(ilm_policy="p")["template"]["settings"] == {"index.lifecycle.name": "p"}


def test_the_number_of_fields_stays_far_below_the_limit() -> None:
    limit = component_templates()[SETTINGS]["template"]["settings"]["index.mapping.total_fields.limit"]
    assert 2 * len(ALERT_FIELDS) < limit
