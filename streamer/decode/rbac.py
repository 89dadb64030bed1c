"""Roles and bindings entry by entry, so that two predicates on one rule mean the same rule."""

from __future__ import annotations

from typing import Any, Final

from streamer.decode.line import dig, text_at

ROLES: Final = frozenset({"roles", "clusterroles"})
BINDINGS: Final = frozenset({"rolebindings", "clusterrolebindings"})

_RULE: Final = (
    ("verbs", "verbs"),
    ("resources", "resources"),
    ("api_groups", "apiGroups"),
    ("resource_names", "resourceNames"),
    ("non_resource_urls", "nonResourceURLs"),
)


def role_rules(body: dict[str, Any]) -> list[dict[str, Any]]:
    """``rule.*`` for every entry of a role's ``rules``, in order; an entry that is no object stays empty."""
    rules = body.get("rules")
    return [_rule(entry) for entry in rules] if isinstance(rules, list) else []


def binding_subjects(body: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """``subject.*`` and ``role.*`` for every subject of a binding, in order."""
    subjects = body.get("subjects")
    if not isinstance(subjects, list):
        return []
    role = _texts(body.get("roleRef"), (("kind", "kind"), ("name", "name")))
    names = (("kind", "kind"), ("name", "name"), ("namespace", "namespace"))
    return [(_texts(entry, names), role) for entry in subjects]


def _rule(entry: Any) -> dict[str, Any]:
    found = {name: dig(entry, key) for name, key in _RULE}
    return {
        name: [item for item in value if isinstance(item, str)]
        for name, value in found.items()
        if isinstance(value, list)
    }


def _texts(entry: Any, names: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    return {name: value for name, key in names if (value := text_at(entry, key)) is not None}
