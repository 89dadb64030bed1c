"""The coverage as a layer of the ATT&CK Navigator, https://mitre-attack.github.io/attack-navigator/.

Layer format 4.5. The score of a technique is the number of its rules; techniques that no log shows are grey and say
why.
"""

from __future__ import annotations

from typing import Any, Final

from streamer.authoring.coverage import Coverage, Covered

LAYER_FORMAT: Final = "4.5"
NAVIGATOR: Final = "5.3.2"
"""Version of the Navigator whose export looks like this; any later one reads it."""

_GREY: Final = "#d9d9d9"
_COLOURS: Final = ("#deebf7", "#9ecae1", "#3182bd")


def navigator_layer(found: Coverage) -> dict[str, Any]:
    """A layer file of the coverage of ATT&CK, the techniques outside of the Containers matrix included."""
    items = [*found.cells.values(), *found.outside]
    return {
        "name": "streamer rules",
        "versions": {"attack": found.matrix.version, "navigator": NAVIGATOR, "layer": LAYER_FORMAT},
        "domain": "enterprise-attack",
        "description": found.summary(),
        "filters": {"platforms": ["Containers"]},
        "sorting": 0,
        "layout": {
            "layout": "side",
            "aggregateFunction": "max",
            "showID": True,
            "showName": True,
            "showAggregateScores": False,
            "countUnscored": False,
            "expandedSubtechniques": "none",
        },
        "hideDisabled": False,
        "techniques": [_technique(item) for item in items if item.rules or not item.visible],
        "gradient": {
            "colors": list(_COLOURS),
            "minValue": 0,
            "maxValue": max((len(item.rules) for item in items), default=0) or 1,
        },
        "legendItems": [{"label": "not visible in audit and container logs", "color": _GREY}],
        "metadata": [],
        "links": [],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
        "selectSubtechniquesWithParent": False,
        "selectVisibleTechniques": False,
    }


def _technique(item: Covered) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "techniqueID": item.cell.id,
        "color": "",
        "comment": ", ".join(rule.name for rule in item.rules),
        "enabled": True,
        "metadata": [],
        "links": [],
        "showSubtechniques": "." not in item.cell.id,
    }
    if item.rules:
        return entry | {"score": len(item.rules)}
    return entry | {"color": _GREY, "comment": f"Not visible: {item.cell.unseen}"}
