"""Lengths of time and stamps of case files."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from streamer.authoring.cases_time import iso, read_length, read_stamp, shown, whole_seconds


@pytest.mark.parametrize(
    ("text", "length_us"),
    [
        ("0s", 0),
        ("90ms", 90_000),
        ("250us", 250),
        ("1.5s", 1_500_000),
        ("20.06s", 20_060_000),
        ("1h30m", 5_400_000_000),
        ("2d", 172_800_000_000),
        ("-5s", -5_000_000),
    ],
)
def test_a_length_is_numbers_with_units(text: str, length_us: int) -> None:
    assert read_length(text) == length_us


@pytest.mark.parametrize("text", ["", "5", "s", "5 minutes", "1h 30m", "1e3s", "--5s", "5w"])
def test_anything_else_is_no_length(text: str) -> None:
    assert read_length(text) is None


@pytest.mark.parametrize("text", ["0s", "90ms", "1.5s", "1h30m", "2d", "1m0.25s", "-5s"])
def test_a_length_is_shown_as_it_would_be_written(text: str) -> None:
    length = read_length(text)
    assert length is not None

    assert read_length(shown(length)) == length


def test_a_stamp_is_iso_8601_or_what_yaml_made_of_it() -> None:
    assert read_stamp("2026-01-01T00:00:00Z") == 1_767_225_600_000_000
    assert read_stamp("2026-01-01T01:00:00+01:00") == 1_767_225_600_000_000
    assert read_stamp(datetime(2026, 1, 1)) == 1_767_225_600_000_000  # noqa: DTZ001 - YAML gives naive ones
    assert read_stamp(datetime(2026, 1, 1, tzinfo=UTC)) == 1_767_225_600_000_000
    assert read_stamp(date(2026, 1, 1)) == 1_767_225_600_000_000
    assert read_stamp("yesterday") is None
    assert read_stamp(7) is None


def test_stamps_are_written_as_the_api_server_writes_them() -> None:
    assert iso(1_767_225_600_120_001) == "2026-01-01T00:00:00.120001Z"
    assert whole_seconds(1_767_225_600_120_001) == "2026-01-01T00:00:00Z"
