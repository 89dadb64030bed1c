from __future__ import annotations

from streamer.sigma.predicates import fields_tested, leaves_of
from tests.sigma.writing import predicate_of


def test_fields_are_named_once_in_the_order_of_their_use() -> None:
    predicate = predicate_of("b: [x, y]\na|neq: z\nc|fieldref: d\nb|contains: q\n'': keyword")
    assert fields_tested(predicate) == ("b", "a", "c", "d")
    assert len(list(leaves_of(predicate))) == 6


def test_equal_texts_make_equal_and_hashable_predicates() -> None:
    one, two = predicate_of("a|contains: [x, y]"), predicate_of("a|contains: [X, Y]")
    assert one == two
    assert len({one, two}) == 1
