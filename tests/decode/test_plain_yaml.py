"""YAML without the parts that can hurt."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.decode.plain_yaml import MAX_CHARS, read_yaml


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: [true, no, ~, x, '1', 1.5, -3]", {"a": 1, "b": [True, False, None, "x", "1", 1.5, -3]}),
        ("{a: {b: c}}", {"a": {"b": "c"}}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("1: 2\na: b", {"1": 2, "a": "b"}),
        ("", None),
        ("a: 1\n---\nb: 2", {"a": 1}),
    ],
)
def test_what_kubernetes_would_read_is_read(text, expected):
    assert read_yaml(text) == expected


BOMB = "a: &a [x,x]\n" + "\n".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]" for n in range(20))


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "a: !!int 5",
        "!x {}",
        "[" * 5_000,
        "{a: " * 5_000,
        "{{x}}",
        "? [a]\n: b",
        "\x00",
        "x" * (MAX_CHARS + 1),
        "a: 'b",
    ],
)
def test_what_can_hurt_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        read_yaml(text)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.text(alphabet="abc -:#'\"{}[]&*!|>%@\n\u00e9", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="ab", min_size=1), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(values)
def test_what_pyyaml_writes_is_read_back(value):
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    assert read_yaml(yaml.dump(value, Dumper=Plain, allow_unicode=True)) == value


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_a_value_or_a_refusal(text):
    with contextlib.suppress(ValueError):
        read_yaml(text)
