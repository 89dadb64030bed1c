"""Keys of matches and the equality of JSON scalars."""

from __future__ import annotations

import json
from itertools import product

import pytest

from streamer.correlate.keys import MAX_KEYS, canonical, key_names, keys_of, tuples_of
from tests.correlate.making import correlation, count, match

ANY = count("gte", 2)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, "1", False),
        (1, True, False),
        (0, False, False),
        (-0.0, 0, True),
        ("A", "a", False),
        (1e22, 10**22, True),
        (2**53, float(2**53), True),
        (2**53 + 1, float(2**53), False),
        (0.1, 0.1, True),
        ("true", True, False),
    ],
)
def test_scalars_are_the_same_exactly_when_their_canonical_texts_are(left, right, same):
    """[K1] compared exactly, case-sensitive; `1` and `1.0` do not differ, `1` and `"1"` do, `true` is no number."""
    assert (canonical(left) == canonical(right)) is same


def test_a_canonical_text_is_json():
    for value in ('ä\n"\\', 1, 1.5, 1e300, True, False, -7):
        assert json.loads(canonical(value)) == value


def test_the_cluster_is_part_of_the_key():
    """[K4] `cluster` is part of every key."""
    rule = correlation("c", "event_count", "a", ANY)
    assert keys_of(match("a", 1, user="bob", cluster="west"), rule) == ([('"west"', '"bob"')], 0)
    assert key_names(rule) == ("cluster", "user")


def test_without_group_by_there_is_one_key_per_cluster():
    """[K4] no `group-by` means one key per cluster."""
    assert keys_of(match("a", 1), correlation("c", "event_count", "a", ANY, by=())) == ([('"prod"',)], 0)


def test_a_rule_across_clusters_has_no_cluster_in_its_key():
    """[K4] unless the rule says `across_clusters`."""
    rule = correlation("c", "event_count", "a", ANY, across_clusters=True)
    assert keys_of(match("a", 1, user="bob"), rule) == ([('"bob"',)], 0)


def test_a_match_without_a_group_by_field_has_no_key():
    """[K2] a match without one of the group-by fields takes no part."""
    rule = correlation("c", "event_count", "a", ANY, by=("user", "ip"))
    assert keys_of(match("a", 1), rule) == ([], 0)


def test_an_alias_names_the_field_to_read():
    """[K5] `aliases` name, per referenced rule, the field to use."""
    rule = correlation("c", "temporal", "a b", by=("who",), aliases={"a": {"who": "user"}, "b": {"who": "actor"}})
    assert keys_of(match("b", 1, actor="eve"), rule)[0] == [('"prod"', '"eve"')]


def test_a_list_stands_for_each_of_its_elements_the_last_first():
    """[K3] once per element; the tuple of last elements first, then in the order of their JSON text."""
    rule = correlation("c", "event_count", "a", ANY, by=("ip",), across_clusters=True)
    keys, overflow = keys_of(match("a", 1, ip=["c", "a", "c", "b"]), rule)
    assert keys == [('"b"',), ('"a"',), ('"c"',)]
    assert overflow == 0


def test_several_lists_make_their_product():
    """[K3] product over several fields."""
    found, _ = tuples_of({"x": (1, 2), "y": ("p", "q")}, ("x", "y"))
    assert found == [("2", '"q"'), ("1", '"p"'), ("1", '"q"'), ("2", '"p"')]


def test_the_order_is_that_of_the_whole_json_text_not_of_its_parts():
    """[K3] in the order of their JSON text: a number may be the beginning of another."""
    x, y = (1, 12, 1.5, -1, "1", "é", "z"), (3, 31, "3", 0.5)
    found, _ = tuples_of({"x": x, "y": y}, ("x", "y"), most=1000)
    texts = [f"[{canonical(a)},{canonical(b)}]".encode() for a, b in product(x, y)]
    newest = f"[{canonical(x[-1])},{canonical(y[-1])}]".encode()
    expected = [newest, *sorted(text for text in texts if text != newest)]
    assert [f"[{','.join(one)}]".encode() for one in found] == expected


def test_one_match_has_at_most_sixteen_keys_and_the_rest_is_counted():
    """[K3] at most 16 keys; overflow is counted."""
    rule = correlation("c", "event_count", "a", ANY, by=("ip", "port"))
    keys, overflow = keys_of(match("a", 1, ip=list(range(1000)), port=list(range(1000))), rule)
    assert len(keys) == MAX_KEYS
    assert overflow == 1_000_000 - MAX_KEYS
    assert keys[0] == ('"prod"', "999", "999")
