"""What a case expects against what fired, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from streamer.authoring.cases_model import Case, CaseFile, Expected, Fired
from streamer.authoring.cases_time import shown
from streamer.model import Firing, Scalar


def fired_of(firings: Sequence[Firing], watched: dict[str, str]) -> list[Fired]:
    """The firings of the watched rules, each once, in order of time."""
    return sorted(
        {
            Fired(firing.time_us, firing.rule, tuple(zip(firing.key_names, firing.key, strict=True)))
            for firing in firings
            if firing.rule in watched
        }
    )


def compare(case: Case, file: CaseFile, fired: list[Fired], level: str) -> list[str]:
    """One sentence per expectation without a firing, firing without an expectation, and wrong level."""
    pairs = _paired(case.expect, fired)
    wrong: list[str] = []
    for expected in case.expect:
        if id(expected) not in pairs:
            wrong.append(
                f"expected at {moment(expected.time_us, file)}{_key(expected)}, and nothing fired "
                f"(line {expected.place.line})"
            )
        elif expected.level is not None and expected.level != level:
            wrong.append(f"expected level {expected.level}, the rule says {level} (line {expected.place.line})")
    taken = set(pairs.values())
    wrong += [
        f"fired at {_text(one, file)}, and was not expected" for place, one in enumerate(fired) if place not in taken
    ]
    return wrong


def _paired(expect: Sequence[Expected], fired: list[Fired]) -> dict[int, int]:
    """The largest pairing of expectations with firings (augmenting paths: a partial key may fit several firings)."""
    owner: dict[int, int] = {}

    def find(place: int, tried: set[int]) -> bool:
        for candidate, one in enumerate(fired):
            if candidate in tried or not _fits(expect[place], one):
                continue
            tried.add(candidate)
            if candidate not in owner or find(owner[candidate], tried):
                owner[candidate] = place
                return True
        return False

    for place in range(len(expect)):
        find(place, set())
    return {id(expect[place]): candidate for candidate, place in owner.items()}


def _fits(expected: Expected, fired: Fired) -> bool:
    if expected.time_us != fired.time_us:
        return False
    key = dict(fired.key)
    return all(name in key and _same(key[name], value) for name, value in expected.key.items())


def _same(canonical: str, value: Scalar) -> bool:
    found = orjson.loads(canonical)
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    return bool(found == value)


def moment(time_us: int, file: CaseFile) -> str:
    """A time as the case file would write it under ``at``."""
    return shown(time_us - file.start_us)


def _key(expected: Expected) -> str:
    if not expected.key:
        return ""
    return " {" + ", ".join(f"{name}: {value}" for name, value in expected.key.items()) + "}"


def _text(fired: Fired, file: CaseFile) -> str:
    values = ", ".join(f"{name}: {orjson.loads(text)}" for name, text in fired.key)
    return f"{moment(fired.time_us, file)} {{{values}}}"


def difference(arranged: str, before: list[Fired], after: list[Fired], file: CaseFile) -> str:
    """What an arrangement of the records that must not matter has changed."""
    missing = [f"missing {_text(one, file)}" for one in before if one not in after]
    added = [f"also {_text(one, file)}" for one in after if one not in before]
    return f"what fired changed when records were {arranged}: {'; '.join([*missing, *added])}"
