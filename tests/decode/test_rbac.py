"""Roles and bindings entry by entry."""

from __future__ import annotations

import pytest

from streamer.decode.rbac import binding_subjects, role_rules
from tests.decode.given import decode, write


def test_a_rule_keeps_its_lists_under_snake_case_names():
    rule = {
        "verbs": ["get", "list"],
        "resources": ["secrets"],
        "apiGroups": [""],
        "resourceNames": ["s"],
        "nonResourceURLs": ["/metrics"],
    }
    assert role_rules({"rules": [rule]}) == [
        {
            "verbs": ["get", "list"],
            "resources": ["secrets"],
            "api_groups": [""],
            "resource_names": ["s"],
            "non_resource_urls": ["/metrics"],
        }
    ]


def test_every_subject_knows_the_role_it_is_bound_to():
    body = {"subjects": [{"kind": "User", "name": "u"}, {"kind": "Group"}], "roleRef": {"kind": "Role", "name": "r"}}
    role = {"kind": "Role", "name": "r"}
    assert binding_subjects(body) == [({"kind": "User", "name": "u"}, role), ({"kind": "Group"}, role)]


@pytest.mark.parametrize("body", [{}, {"rules": None}, {"rules": {}, "subjects": "x"}])
def test_objects_without_entries_have_none(body):
    assert role_rules(body) == []
    assert binding_subjects(body) == []


def test_an_entry_that_is_no_object_keeps_its_place():
    """[I4] the index is the element."""
    assert role_rules({"rules": [5, {"verbs": ["*"]}]}) == [{}, {"verbs": ["*"]}]


@pytest.mark.parametrize("verb", ["create", "update", "patch"])
def test_every_kind_of_write_is_expanded(verb):
    """[D2] every entry of a role's rules."""
    assert len(decode(write("roles", {"rules": [{"verbs": ["*"]}]}, verb=verb)).events) == 2


def test_a_json_patch_of_a_role_is_expanded():
    patch = [{"op": "add", "path": "/rules/-", "value": {"verbs": ["*"], "resources": ["*"]}}]
    event = decode(write("clusterroles", patch, verb="patch")).events[1]
    assert event.fields["rule"] == {"verbs": ["*"], "resources": ["*"]}
