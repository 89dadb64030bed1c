"""The latest values without looking at all matches."""

from __future__ import annotations

import random

from streamer.correlate.digest import Digest, texts_of
from tests.correlate.making import SECOND, match


def test_a_digest_finds_the_latest_sixteen_values_like_a_scan():
    """[C10] the list of distinct values, latest in time first."""
    rng = random.Random(4)
    matches = [match("a", at, str(at), v=[rng.randrange(40), rng.randrange(3)]) for at in range(2000)]
    rng.shuffle(matches)
    digest = Digest("v", matches[:1000])
    for one in matches[1000:]:
        digest.add(one)
    digest.drop_before(500 * SECOND)
    kept = sorted((one for one in matches if one.time_us >= 500 * SECOND), key=lambda one: one.time_us, reverse=True)
    for first, last in ((0, 3000), (700, 1400), (1999, 1999), (900, 901)):
        found: set[str] = set()
        took = []
        for moment in digest.newest(first * SECOND, last * SECOND, found):
            took.append(moment[0])
            found.update(next(texts_of(one, "v") for one in kept if one.time_us == moment[0]))
        expected: set[str] = set()
        times = []
        for one in kept:
            if first * SECOND <= one.time_us <= last * SECOND and not expected.issuperset(texts_of(one, "v")):
                expected.update(texts_of(one, "v"))
                times.append(one.time_us)
        assert (took, found) == (times, expected)


def test_runs_that_hold_nothing_new_are_passed_over():
    digest = Digest("v", [match("a", at, str(at), v="same") for at in range(5000)])
    found = {'"same"'}
    assert list(digest.newest(0, 10_000 * SECOND, found)) == []
