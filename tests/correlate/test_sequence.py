"""Sorted sequences against plain lists."""

from __future__ import annotations

import random

from streamer.correlate.sequence import Levels, Runs, Sums


def test_runs_answer_like_a_sorted_list():
    rng = random.Random(1)
    runs: Runs[int] = Runs()
    plain: set[int] = set()
    for _ in range(6000):
        item, bound = rng.randrange(3000), rng.randrange(3000)
        if rng.random() < 0.7:
            assert runs.add(item) == (item not in plain)
            plain.add(item)
        else:
            assert runs.discard(item) == (item in plain)
            plain.discard(item)
        assert len(runs) == len(plain)
        assert runs.before(bound) == max((one for one in plain if one < bound), default=None)
        assert runs.since(bound) == min((one for one in plain if one >= bound), default=None)
    ordered = sorted(plain)
    assert list(runs) == ordered
    assert list(runs.descending(1500)) == [one for one in reversed(ordered) if one < 1500]
    assert runs.between(100, 2000) == [one for one in ordered if 100 <= one < 2000]
    assert [runs.rank(bound) for bound in range(0, 3000, 7)] == [
        sum(one < bound for one in ordered) for bound in range(0, 3000, 7)
    ]
    assert [runs.at(index) for index in range(len(ordered))] == ordered
    assert (runs.first(), runs.last()) == (ordered[0], ordered[-1])


def test_ranges_leave_and_fronts_drop():
    runs: Runs[int] = Runs()
    for item in range(5000, -1, -1):
        runs.add(item)
    assert runs.pop_between(700, 4000) == list(range(700, 4000))
    assert runs.drop_before(300) == list(range(300))
    assert list(runs) == [*range(300, 700), *range(4000, 5001)]
    assert runs.pop_between(0, 10_000) == [*range(300, 700), *range(4000, 5001)]
    assert (len(runs), runs.first(), runs.last(), runs.before(9), runs.since(0)) == (0, None, None, None, None)


def test_sums_answer_like_a_loop():
    rng = random.Random(2)
    sums, plain = Sums(), dict.fromkeys(range(1000), 0)
    for _ in range(3000):
        key, weight = rng.randrange(1000), rng.randrange(-5, 1 << 80)
        sums.add(key, weight)
        plain[key] += weight
    for bound in range(0, 1001, 13):
        assert sums.before(bound) == sum(weight for key, weight in plain.items() if key < bound)
    assert sums.drop_before(400) == sum(plain[key] for key in range(400))
    assert sums.before(1000) == sum(plain[key] for key in range(400, 1000))


def test_levels_give_back_what_reaches_the_threshold():
    rng = random.Random(3)
    levels, plain = Levels(7), dict[int, int]()
    for _ in range(4000):
        if rng.random() < 0.5:
            time = rng.randrange(5000)
            if time not in plain:
                plain[time] = rng.randrange(7)
                levels.add(time, plain[time])
            assert time in levels
        else:
            start = rng.randrange(5000)
            stop = start + rng.randrange(400)
            for time in plain:
                plain[time] += start <= time <= stop
            expected = sorted(time for time, level in plain.items() if level >= 7)
            assert sorted(levels.rise(start, stop)) == expected
            for time in expected:
                del plain[time]
                assert time not in levels
    levels.drop_before(2500)
    plain = {time: level for time, level in plain.items() if time >= 2500}
    for _ in range(7):
        for time in levels.rise(0, 5000):
            del plain[time]
    assert plain == {}
