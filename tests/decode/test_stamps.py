"""Stamps: every way of writing a moment."""

from __future__ import annotations

import pytest

from streamer.decode.stamps import from_nanoseconds, micros, parse

MOMENT = 1_767_225_600_123_456


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-01T00:00:00.123456Z",
        "2026-01-01T00:00:00.123456789Z",
        "2026-01-01T00:00:00.123456789123456789Z",
        "2026-01-01t00:00:00.123456z",
        "2026-01-01 00:00:00.123456",
        "2026-01-01T00:00:00,123456Z",
        "2026-01-01T02:00:00.123456+02:00",
        "2025-12-31T19:30:00.123456-04:30",
        "2026-01-01T02:00:00.123456+0200",
        1767225600.123456,
        1767225600123456,
        1767225600123456789,
    ],
)
def test_every_spelling_of_one_moment_is_one_number(written):
    """[T1] integer microseconds, finer stamps are cut."""
    assert micros(written) == MOMENT


@pytest.mark.parametrize(("written", "expected"), [(1767225600, 0), (1767225600123, 123_000), (1767225600.5, 500_000)])
def test_numbers_are_told_apart_by_their_size(written, expected):
    assert micros(written) == 1_767_225_600_000_000 + expected


@pytest.mark.parametrize(
    "written",
    [
        *(None, True, "", "yesterday", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2026-13-01T00:00:00Z"),
        *(
            "2026-01-01",
            "2026-01-01T25:00:00Z",
            "2026-01-01T00:00:00Zx",
            "\uff12\uff10\uff12\uff16-01-01T00:00:00Z",
            [],
            {},
            0,
            -5,
        ),
        *(10**40, 1e300, 1e-9, -1.5, float("inf"), float("nan"), "9" * 5000, "2026-01-01T00:00:00." + "1" * 500 + "Z"),
    ],
)
def test_what_is_no_stamp_is_none(written):
    assert parse(written) is None


def test_finer_digits_are_kept_for_identity():
    """[T1] cut for time, kept for identity."""
    first, second = parse("2026-01-01T00:00:00.123456001Z"), parse("2026-01-01T00:00:00.123456002Z")
    assert first is not None
    assert second is not None
    assert first.us == second.us
    assert first.exact != second.exact


def test_equal_moments_have_equal_digits_however_they_were_written():
    spellings = ["2026-01-01T00:00:00.120Z", "2026-01-01T01:00:00.12+01:00", 1767225600.12, 1767225600120]
    assert len({found.exact for spelling in spellings if (found := parse(spelling))}) == 1


@pytest.mark.parametrize(
    ("written", "fine"),
    [
        ("2026-01-01T00:00:00Z", False),
        ("2026-01-01T00:00:00.12Z", False),
        ("2026-01-01T00:00:00.120Z", True),
        (1767225600, False),
        (1767225600.12, False),
        (1767225600.123, True),
        (1767225600123, True),
    ],
)
def test_a_stamp_to_the_millisecond_can_tell_lines_apart(written, fine):
    """[I3] a stamp coarser than a millisecond cannot."""
    found = parse(written)
    assert found is not None
    assert found.fine is fine


def test_nanoseconds_may_be_text():
    for written in ("1767225600123456789", 1767225600123456789):
        found = from_nanoseconds(written)
        assert found is not None
        assert (found.us, found.exact) == (MOMENT, "1767225600.123456789")
    assert from_nanoseconds("9" * 5000) is None
    assert from_nanoseconds("0") is None
    assert from_nanoseconds(None) is None
