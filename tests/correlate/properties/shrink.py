"""Makes a failing case small enough to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.correlate.properties.cases import Case


def shrink(case: Case, fails: Callable[[Case], bool]) -> Case:
    """The smallest case found by leaving out rules, operations and values, one after the other, that still fails."""
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(case):
            if fails(smaller):
                case, progress = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    for rule in reversed(case.rules.correlations):
        if not any(rule.meta.key in other.rules for other in case.rules.correlations):
            rest = tuple(one for one in case.rules.correlations if one is not rule)
            yield replace(case, rules=replace(case.rules, correlations=rest))
    size = len(case.ops)
    for width in (size // 2, size // 4, 2, 1):
        if width:
            for start in range(0, size, width):
                yield replace(case, ops=case.ops[:start] + case.ops[start + width :])
    for index, op in enumerate(case.ops):
        if op[0] == "feed":
            for name in op[1].values:
                if len(op[1].values[name]) > 1 or name not in ("user", "ip"):
                    kept = {one: value for one, value in op[1].values.items() if one != name}
                    if name in ("user", "ip"):
                        kept[name] = op[1].values[name][:1]
                    changed = replace(op[1], values=kept)
                    yield replace(case, ops=[*case.ops[:index], ("feed", changed), *case.ops[index + 1 :]])
