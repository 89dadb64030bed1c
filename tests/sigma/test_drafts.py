from __future__ import annotations

from streamer.sigma import load_text
from tests.sigma.writing import codes, detection, refused


def test_what_only_pysigma_objects_to_has_the_place_of_its_key() -> None:
    """Rule files stay valid Sigma that pySigma reads."""
    refused("sigma", detection("r_a", more="related: ▸other\n"))


def test_problems_of_one_document_do_not_hide_those_of_the_next() -> None:
    assert codes(detection("r_a", "a|re: '('") + "just text\n---\n" + detection("r_b", "a|cidr: x")) == [
        "bad-regex",
        "not-a-rule",
        "bad-value",
    ]


def test_a_rule_that_uses_a_modifier_by_its_other_name_is_read() -> None:
    assert load_text({"r.yml": detection("r_a", "a|utf16le|base64: x")}).problems == ()
