from __future__ import annotations

from pathlib import Path

from streamer.service.durations import LENGTHS_OF_TIME
from streamer.service.reference import reference
from streamer.service.settings import KafkaSettings, Settings, SourceSettings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_page_of_all_settings_is_what_the_settings_say():
    assert PAGE.read_text() == reference() + "\n"


def test_every_length_of_time_is_known_as_one():
    groups = (Settings, SourceSettings, KafkaSettings)
    fields = {name: info for group in groups for name, info in group.model_fields.items()}
    found = {name for name, info in fields.items() if any("parse_duration" in str(part) for part in info.metadata)}
    assert found == LENGTHS_OF_TIME
