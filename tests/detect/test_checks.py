from __future__ import annotations

import ipaddress
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.detect.checks import matches_pattern, passes, relates
from streamer.sigma.folding import fold
from streamer.sigma.predicates import Check, Cidr, Compare, Null, Regex, Text, TimePart, Wild

ANY, ONE = Wild.ANY, Wild.ONE


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (Text(("create",)), "CREATE", True),
        (Text(("create",)), "create ", False),
        (Text(("Create",), cased=True), "create", False),
        (Text(("Create",), cased=True), "Create", True),
        (Text(()), "", True),
        (Text(()), "x", False),
        (Text(("401",)), 401, True),
        (Text(("401",)), 401.0, True),
        (Text(("401",)), "401", True),
        (Text(("401.0",)), 401, False),
        (Text(("4", ANY)), 401, True),
        (Text(("4", ONE, "1")), 401, True),
        (Text(("1",)), True, False),
        (Text(("true",)), True, True),
        (Text(("true",)), "True", True),
        (Text(("false",)), 0, False),
        (Text((ANY,)), {"an": "object"}, True),
        (Text((ANY, "x", ANY)), {"x": "x"}, False),
        (Text((ANY, "x")), "line\nx", True),
        (Text(("a", ONE, "b")), "a\nb", True),
        (Text(("a", ONE, "b")), "aäb", True),
        (Text(("a", ONE, "b")), "ab", False),
        (Text(("k",)), "\u212a", True),
        (Regex("^x.z$"), "xyz", True),
        (Regex("y"), "xyz", True),
        (Regex("Y"), "xyz", False),
        (Regex("Y", "i"), "xyz", True),
        (Regex("^y$"), "x\ny", False),
        (Regex("^y$", "m"), "x\ny", True),
        (Regex("x.y"), "x\ny", False),
        (Regex("x.y", "s"), "x\ny", True),
        (Regex("^40[13]$"), 403, True),
        (Regex("true"), True, True),
        (Regex("x"), {"x": 1}, False),
        (Regex("b"), "\ud800b", True),
        (Text(("a", ONE, "b")), "a\ud800b", True),
        (Cidr("10.0.0.0/8"), "10.255.0.1", True),
        (Cidr("10.0.0.0/8"), "11.0.0.1", False),
        (Cidr("10.0.0.0/8"), "::ffff:10.0.0.1", True),
        (Cidr("10.0.0.0/8"), "fd00::1", False),
        (Cidr("fd00::/8"), "FD00::1", True),
        (Cidr("fd00::/8"), "10.0.0.1", False),
        (Cidr("10.0.0.0/8"), "10.0.0.1:443", False),
        (Cidr("0.0.0.0/0"), 1, False),
        (Cidr("0.0.0.0/0"), "no address", False),
        (Compare("gt", 5), 6, True),
        (Compare("gt", 5), 5, False),
        (Compare("gte", 5), 5.0, True),
        (Compare("lt", 0.5), 0.25, True),
        (Compare("lte", -1), -1, True),
        (Compare("gt", 5), "6", True),
        (Compare("gt", 5), "6.5", True),
        (Compare("gt", 5), "1e3", True),
        (Compare("gt", 5), "six", False),
        (Compare("gt", 5), "", False),
        (Compare("gt", 5), "\u0667", False),
        (Compare("gt", 5), "9" * 10_000, False),
        (Compare("lt", 5), True, False),
        (Compare("lt", 5), {"x": 1}, False),
        (Compare("gt", 2**53), 2**53 + 1, True),
        (TimePart("hour", "eq", 22), "2026-01-02T22:59:59Z", True),
        (TimePart("hour", "eq", 20), "2026-01-02T22:59:59.123456789+02:00", True),
        (TimePart("hour", "eq", 0), "2026-01-02T22:00:00-02:00", True),
        (TimePart("hour", "gte", 22), "2026-01-02T23:00:00Z", True),
        (TimePart("minute", "eq", 59), "2026-01-02T22:59:59Z", True),
        (TimePart("day", "eq", 3), "2026-01-02T22:59:59-02:00", True),
        (TimePart("week", "eq", 53), "2027-01-01T00:00:00Z", True),
        (TimePart("month", "eq", 1), "2026-01-02 22:59:59", True),
        (TimePart("year", "lt", 2026), "2025-12-31t23:59:60z", True),
        (TimePart("year", "eq", 2026), "2026-13-02T22:59:59Z", False),
        (TimePart("year", "eq", 0), "0001-01-01T00:00:00+01:00", False),
        (TimePart("hour", "eq", 22), 1767391200, False),
        (TimePart("hour", "eq", 22), "yesterday", False),
    ],
)
def test_one_value_against_one_check(check: Check, value: Any, *, expected: bool) -> None:
    """[D1] text, numbers, expressions, addresses and times."""
    assert passes(check, value) is expected


@pytest.mark.parametrize(
    ("how", "left", "right", "cased", "expected"),
    [
        ("equals", "Root", "root", False, True),
        ("equals", "Root", "root", True, False),
        ("equals", 5, "5", False, True),
        ("equals", True, "true", False, True),
        ("equals", 1, True, False, False),
        ("startswith", "kube-system", "KUBE", False, True),
        ("endswith", "kube-system", "system", False, True),
        ("contains", "kube-system", "e-s", False, True),
        ("contains", "e-s", "kube-system", False, False),
        ("contains", "a*b", "*", False, True),
        ("equals", {"x": 1}, {"x": 1}, False, False),
    ],
)
def test_two_fields_against_each_other(how: Any, left: Any, right: Any, *, cased: bool, expected: bool) -> None:
    """[D1] `fieldref`; the other field's text is no pattern."""
    assert relates(how, left, right, cased=cased) is expected


PARTS = st.lists(st.one_of(st.sampled_from([ANY, ONE]), st.text(alphabet="ab", min_size=1, max_size=2)), max_size=6)


@settings(deadline=None)
@given(PARTS, st.text(alphabet="abc", max_size=10))
def test_patterns_match_as_the_textbook_says(parts: list[str | Wild], text: str) -> None:
    """[D1] wildcards."""
    assert matches_pattern(tuple(parts), text) is _textbook(parts, text)


def _textbook(parts: list[str | Wild], text: str) -> bool:
    """By trying every way."""
    if not parts:
        return not text
    first, rest = parts[0], parts[1:]
    if first is ANY:
        return any(_textbook(rest, text[cut:]) for cut in range(len(text) + 1))
    if first is ONE:
        return bool(text) and _textbook(rest, text[1:])
    assert isinstance(first, str)
    return text.startswith(first) and _textbook(rest, text[len(first) :])


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_contains_is_containment_without_regard_to_case(before: str, inside: str, after: str) -> None:
    """[D1] strings compare case-insensitively."""
    assert passes(Text((ANY, fold(inside), ANY) if inside else (ANY,)), before + inside.swapcase() + after) or (
        fold(inside) not in fold(before + inside.swapcase() + after)
    )


@settings(deadline=None)
@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_networks_hold_the_addresses_with_their_prefix(base: Any, length: int, address: Any) -> None:
    """[D1] `cidr`."""
    network = ipaddress.ip_network(f"{base}/{length}", strict=False)
    shift = 32 - length
    assert passes(Cidr(str(network)), str(address)) is (int(base) >> shift == int(address) >> shift)


@pytest.mark.parametrize(
    "check",
    [
        Text((ANY, *("a", ANY) * 40, "b")),
        Text((ANY, *("a", ONE, ANY) * 20, "b")),
        Text((ANY, *(ONE,) * 500, "b", ANY)),
        Regex("(a+)+b"),
        Regex("(a|aa)*b"),
        Regex("(.*a){20}b"),
    ],
)
def test_no_pattern_takes_more_than_linear_time(check: Check) -> None:
    """[D4] an expression beyond linear time is refused; none of the others may backtrack."""
    begin = time.process_time()
    assert passes(check, "a" * 300_000) is False
    assert time.process_time() - begin < 3


def test_null_is_no_check_of_a_value() -> None:
    with pytest.raises(TypeError):
        passes(Null(), "x")
