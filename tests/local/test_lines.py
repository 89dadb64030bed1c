from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamer.local.lines import Lines


def everything(lines: Lines, chunks: list[bytes], records: int = 3, size: int = 10) -> list[tuple[int, bytes]]:
    found = []
    for chunk in chunks:
        lines.add(chunk)
        while taken := lines.take(records, size):
            found += taken
        # What is left may be the rest of an overlong line, which gives nothing.
        assert lines.take(records, size) == []
    return found + lines.finish()


def test_lines_are_numbered_from_one_and_lose_their_line_end():
    assert everything(Lines(100), [b"a\nb", b"b\n\nc"]) == [(1, b"a"), (2, b"bb"), (3, b""), (4, b"c")]


def test_an_unfinished_line_waits_for_its_end():
    lines = Lines(100)
    lines.add(b"one\ntw")
    assert lines.take(10, 100) == [(1, b"one")]
    assert (lines.offset, lines.buffered) == (4, 2)
    lines.add(b"o\n")
    assert lines.take(10, 100) == [(2, b"two")]


def test_an_overlong_line_is_given_out_one_byte_over_the_limit_and_never_held():
    lines = Lines(4)
    lines.add(b"x" * 1000)
    assert lines.take(10, 10_000) == [(1, b"xxxxx")]
    assert lines.buffered == 0
    for _ in range(100):
        lines.add(b"x" * 1000)
        assert lines.take(10, 10_000) == []
        assert lines.buffered == 0
    lines.add(b"x\nnext\n")
    assert lines.take(10, 10_000) == [(2, b"next")]


def test_a_line_of_exactly_the_limit_is_whole():
    assert everything(Lines(4), [b"abcd\nabcde\n"]) == [(1, b"abcd"), (2, b"abcde")]
    assert everything(Lines(4), [b"abcdef\n"]) == [(1, b"abcde")]


def test_another_cutter_goes_on_in_the_middle_of_an_overlong_line():
    first = Lines(4)
    first.add(b"a\nxxxxxxxx")
    assert first.take(10, 100) == [(1, b"a"), (2, b"xxxxx")]
    second = Lines(4, offset=first.offset, line=first.line, skipping=first.skipping)
    second.add(b"xxx\nb\n")
    assert second.take(10, 100) == [(3, b"b")]


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"n")), max_size=12),
    st.lists(st.integers(1, 7), min_size=1, max_size=5),
    st.integers(1, 4),
    st.integers(1, 30),
)
def test_how_the_stream_is_chunked_and_batched_changes_nothing(texts, cuts, records, size):
    stream = b"".join(text + b"\n" for text in texts)
    chunks, at, turn = [], 0, 0
    while at < len(stream):
        chunks.append(stream[at : at + cuts[turn % len(cuts)]])
        at += cuts[turn % len(cuts)]
        turn += 1
    expected = [(number, text[:6]) for number, text in enumerate(texts, 1)]
    lines = Lines(5)
    found = []
    for chunk in chunks:
        lines.add(chunk)
        while taken := lines.take(records, size):
            found += taken
        while lines.buffered and (before := lines.offset) is not None:
            found += lines.take(records, size)
            if lines.offset == before:
                break
    assert found + lines.finish() == expected
    assert lines.offset == len(stream)
