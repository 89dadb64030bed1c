from __future__ import annotations

import pytest

from streamer.errors import SettingsError
from streamer.service.mode import roles_of
from streamer.service.settings import Settings

TOPIC = {"kafka": "k8s-audit", "kind": "audit"}
FILE = {"file": "audit.log", "kind": "audit"}


def settings(*sources, **more):
    return Settings(sources=list(sources), kafka={}, **more)


def test_files_are_read_by_one_process_without_roles():
    assert roles_of(settings(FILE, {"stdin": True, "kind": "containers"})) == ()


def test_topics_are_shared_by_all_roles_there_is_a_server_for():
    assert roles_of(settings(TOPIC)) == ("detect", "correlate")
    assert roles_of(settings(TOPIC, elasticsearch={})) == ("detect", "correlate", "index")


def test_a_process_takes_the_roles_it_is_asked_to_take():
    assert roles_of(settings(TOPIC, elasticsearch={}), ["index", "detect"]) == ("detect", "index")


@pytest.mark.parametrize(
    ("sources", "asked", "message"),
    [
        ((TOPIC, FILE), (), "the topic k8s-audit and audit.log cannot be sources of one service"),
        ((FILE,), ("detect",), "there is no role detect here"),
        ((TOPIC,), ("index",), "the role index needs the group `elasticsearch`"),
        ((TOPIC,), ("detects",), "there is no role detects"),
    ],
)
def test_what_does_not_go_together_is_a_sentence_with_a_hint(sources, asked, message):
    with pytest.raises(SettingsError, match=message) as error:
        roles_of(settings(*sources), asked)
    assert error.value.hint
