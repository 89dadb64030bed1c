"""Reading JSON that the strict reader refuses."""

from __future__ import annotations

import orjson
import pytest

from streamer.decode.salvage import Cut, Garbage, read, read_text, text_of, too_deep
from streamer.model import UNKNOWN


def test_a_document_is_read_strictly_first():
    assert read(b' {"a": [1, 2.5, null]} ') == [{"a": [1, 2.5, None]}]


def test_a_byte_order_mark_is_no_part_of_the_document():
    assert read(b"\xef\xbb\xbf[1]") == [[1]]
    assert text_of(b"\xef\xbb\xbfa") == "a"


def test_of_duplicate_keys_the_last_counts_strictly_and_salvaged():
    assert read(b'{"a":1,"a":2}') == [{"a": 2}]
    assert read(b'{"a":1,"a":2,"b":1e999}') == [{"a": 2, "b": UNKNOWN}]


@pytest.mark.parametrize("value", [b"1e999", b"NaN", b"-Infinity", b"9" * 5000, b"tru", b"'x'", b"{bad", b"01"])
def test_a_member_that_cannot_be_decoded_is_unknown_and_the_others_stay(value):
    found = read(b'{"a":1,"b":' + value + b',"c":"x"}')
    assert found[0]["a"] == 1
    if value != b"{bad":
        assert found == [{"a": 1, "b": UNKNOWN, "c": "x"}]


def test_integers_beyond_64_bits_become_floats():
    assert read(b'{"a":18446744073709551616}') == [{"a": 1.8446744073709552e19}]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b'"\\ud800x"', "\ufffdx"),
        (b'"a\xffb"', "a\ufffdb"),
        (b'"\xc0\xafb"', "\ufffd\ufffdb"),
        (b'"\\ud83d\\ude00\\udc00"', "\U0001f600\ufffd"),
        (b'"a\nb"', "a\nb"),
        (b'"a\\qb"', "a\\qb"),
    ],
)
def test_text_outside_bodies_is_repaired(written, text):
    assert read(b'{"log":' + written + b',"n":1}') == [{"log": text, "n": 1}]


def test_bodies_are_never_repaired():
    assert read(b'{"requestObject":{"a":"\\ud800"},"n":1}') == [{"requestObject": UNKNOWN, "n": 1}]


def test_a_list_keeps_its_good_elements():
    good, bad = b'{"a":1}', b'{"requestObject":{"x":1e999},"a":2}'
    found = read(b'{"items":[' + good + b"," + bad + b"," + good + b"]}")
    assert found == [{"items": [{"a": 1}, {"requestObject": UNKNOWN, "a": 2}, {"a": 1}]}]


def test_a_document_without_its_end_is_cut():
    (found,) = read(b'{"a":1,"b":{"c":2},"d":"x')
    assert isinstance(found, Cut)
    assert found == {"a": 1, "b": {"c": 2}, "d": UNKNOWN}


def test_the_log_of_a_cut_record_is_kept_as_far_as_it_goes():
    (found,) = read(b'{"stream":"stdout","log":"new job fr')
    assert found["log"] == "new job fr"


def test_lines_are_read_each_on_its_own():
    assert read(b'{"a":1}\n\n{"a":2}\r\n{"a":3}\n') == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_a_broken_line_does_not_spoil_the_next():
    found = read(b'{"a":1}\n{"b":"unfinished\n{"c":3}')
    assert found[0] == {"a": 1}
    assert isinstance(found[1], Cut)
    assert found[2] == {"c": 3}


def test_a_pretty_printed_document_is_one_document():
    text = orjson.dumps({"a": {"b": 1}, "c": "POISON"}, option=orjson.OPT_INDENT_2).replace(b'"POISON"', b"1e999")
    assert read(text) == [{"a": {"b": 1}, "c": UNKNOWN}]


def test_documents_may_stand_one_after_the_other():
    assert read(b'{"a":1}{"b":2} [3]') == [{"a": 1}, {"b": 2}, [3]]


def test_what_follows_a_document_is_told():
    assert read(b'{"a":1}x') == [{"a": 1}, Garbage(b"x")]


@pytest.mark.parametrize("data", [b"hello", b"{foo}", b"\xff\xfe", b"}", b":", b"'"])
def test_what_is_no_document_is_garbage(data):
    assert read(data) == [Garbage(data)]


def test_nothing_is_nothing():
    assert read(b"") == read(b" \n\x00 ") == []


def test_a_document_inside_a_string_is_read_the_same_way():
    assert read_text('{"a":1}') == [{"a": 1}]
    assert read_text('{"requestObject":1e999,"b":2}') == [{"requestObject": UNKNOWN, "b": 2}]


def test_depth_is_measured_without_recursion():
    value: object = []
    for _ in range(100_000):
        value = [value]
    assert too_deep(value, 128)
    while value:  # taken apart by hand: the interpreter would recurse
        value = value[0]  # type: ignore[index]
    assert not too_deep([[[1]]], 3)
    assert too_deep([[[1]]], 1)
    assert not too_deep("x", 0)


def test_lines_beyond_the_limit_are_told_of():
    values = read(b'{"a":1}\n' * 10_002)
    assert len(values) == 10_001
    assert isinstance(values[-1], Garbage)
    assert values[-1].raw == b'{"a":1}\n{"a":1}'
