"""Alerts that tell of the same events, told once: the one that explains most, with the others named beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from streamer.ecs.incident import source_text
from streamer.sigma.rules import LEVELS

Document: TypeAlias = Mapping[str, Any]


@dataclass(slots=True)
class Story:
    """One alert, and those whose events are all among its own."""

    document: Document
    places: frozenset[str]
    also: list[Document] = field(default_factory=list)

    @property
    def also_titles(self) -> list[str]:
        """Titles of the others, each once, with how often."""
        return titles_of(self.also)


def titles_of(documents: Iterable[Document]) -> list[str]:
    """Titles of alerts, each once, with how often."""
    counts: dict[str, int] = {}
    for document in documents:
        counts[document["message"]] = counts.get(document["message"], 0) + 1
    return [f"{title} ({count} times)" if count > 1 else title for title, count in counts.items()]


def on_same_events(document: Document, others: Iterable[Document]) -> tuple[list[Document], list[Document]]:
    """Of other alerts, those whose events are all among the alert's own, and those that hold its events and more."""
    own = frozenset(_places(document))
    inside: list[Document] = []
    around: list[Document] = []
    for other in others:
        places = frozenset(_places(other))
        if other["event"]["id"] == document["event"]["id"] or not own & places:
            continue
        if places <= own:
            inside.append(other)
        elif own < places:
            around.append(other)
    return inside, around


def stories_of(documents: Sequence[Document]) -> list[Story]:
    """Group alerts, the most severe story first, those of one level in the order of their time."""
    ordered = sorted(documents, key=_weight)
    stories: list[Story] = []
    by_place: dict[str, list[Story]] = {}
    for document in ordered:
        places = frozenset(_places(document))
        found = next((story for story in _candidates(places, by_place) if places <= story.places), None)
        if found is not None and places:
            found.also.append(document)
            continue
        story = Story(document, places)
        stories.append(story)
        for place in places:
            by_place.setdefault(place, []).append(story)
    return sorted(stories, key=lambda story: (-_rank(story.document), story.document["event"]["start"]))


def _candidates(places: frozenset[str], by_place: Mapping[str, list[Story]]) -> Iterable[Story]:
    return by_place.get(min(places), ()) if places else ()


def _weight(document: Document) -> tuple[int, int, str, str]:
    """Those that explain most come first."""
    return (
        -len(document["streamer"]["evidence"]),
        -_rank(document),
        document["event"]["start"],
        document["event"]["id"],
    )


def _rank(document: Document) -> int:
    return LEVELS.index(document["streamer"]["rule"]["level"])


def _places(document: Document) -> list[str]:
    evidence = document["streamer"]["evidence"]
    return [source_text(item.get("source")) or item["event"]["id"] for item in evidence]
