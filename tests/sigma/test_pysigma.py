from __future__ import annotations

from collections.abc import Iterable

import pytest

from streamer.sigma.predicates import (
    AllOf,
    AnyOf,
    Cidr,
    Compare,
    Exists,
    FieldsTest,
    FieldTest,
    KeywordTest,
    Negated,
    Null,
    Predicate,
    Regex,
    Text,
    TimePart,
    Wild,
)
from tests.sigma.writing import detection, predicate_of, refused

ANY, ONE = Wild.ANY, Wild.ONE


DASHES = ("-", "/", "\u2013", "\u2014", "\u2015")


def a(*parts: str | Wild, cased: bool = False) -> Predicate:
    return FieldTest("a", Text(parts, cased))


def any_of(items: Iterable[Predicate]) -> Predicate:
    return AnyOf(tuple(items))


@pytest.mark.parametrize(
    ("item", "predicate"),
    [
        ("a: Create", a("create")),
        ("a: 'x*y?'", a("x", ANY, "y", ONE)),
        (r"a: 'x\*y\?z\\*'", a("x*y?z\\", ANY)),
        (r"a: 'C:\Windows\*'", a("c:\\windows*")),
        (r"a: 'C:\Windows\\*'", a("c:\\windows\\", ANY)),
        ("a: ''", a()),
        ("a: 401", a("401")),
        ("a: 0.5", a("0.5")),
        ("a: true", a("true")),
        ("a: null", FieldTest("a", Null())),
        ("a:", FieldTest("a", Null())),
        ("a: [x, y]", AnyOf((a("x"), a("y")))),
        ("a: [null, x]", AnyOf((FieldTest("a", Null()), a("x")))),
        ("a|contains: x", a(ANY, "x", ANY)),
        ("a|contains: '*x'", a(ANY, "x", ANY)),
        ("a|startswith: x", a("x", ANY)),
        ("a|endswith: x", a(ANY, "x")),
        ("a|contains|all: [x, y]", AllOf((a(ANY, "x", ANY), a(ANY, "y", ANY)))),
        ("a|cased: Create", a("Create", cased=True)),
        ("a|contains|cased: Cr", a(ANY, "Cr", ANY, cased=True)),
        ("a|re: '^x.*[0-9]+$'", FieldTest("a", Regex("^x.*[0-9]+$"))),
        (r"a|re: 'x\*y?\\'", FieldTest("a", Regex(r"x\*y?\\"))),
        ("a|re|i: x", FieldTest("a", Regex("x", "i"))),
        ("a|re|m|s|i: x", FieldTest("a", Regex("x", "ims"))),
        ("a|re|contains: 'x|y'", FieldTest("a", Regex(".*(?:x|y).*"))),
        ("a|cidr: 10.0.0.0/8", FieldTest("a", Cidr("10.0.0.0/8"))),
        ("a|cidr: 'fd00::/8'", FieldTest("a", Cidr("fd00::/8"))),
        ("a|cidr: 10.1.2.3", FieldTest("a", Cidr("10.1.2.3/32"))),
        ("a|base64: foo", a("zm9v")),
        ("a|base64|cased: foo", a("Zm9v", cased=True)),
        ("a|base64offset|contains|cased: foo", any_of(a(ANY, t, ANY, cased=True) for t in ("Zm9v", "Zvb", "mb2"))),
        ("a|wide: xy", a("x\0y\0")),
        ("a|utf16le: xy", a("x\0y\0")),
        ("a|utf16be: xy", a("\0x\0y")),
        ("a|utf16: xy", a("\ufeffx\0y\0")),
        ("a|wide|base64|cased: x", a("eAA=", cased=True)),
        ("a|utf16le|base64|cased: x", a("eAA=", cased=True)),
        ("a|windash: ' -x'", any_of(a(f" {dash}x") for dash in DASHES)),
        ("a|windash|contains|all: [' -x', y]",
         AllOf((any_of(a(ANY, f" {d}x", ANY) for d in DASHES), a(ANY, "y", ANY)))),
        ("a|exists: true", FieldTest("a", Exists())),
        ("a|exists: false", Negated(FieldTest("a", Exists()))),
        ("a|fieldref: b.c", FieldsTest("a", "b.c")),
        ("a|fieldref|contains: b", FieldsTest("a", "b", "contains")),
        ("a|fieldref|startswith: b", FieldsTest("a", "b", "startswith")),
        ("a|fieldref|endswith: b", FieldsTest("a", "b", "endswith")),
        ("a|cased|fieldref: b", FieldsTest("a", "b", cased=True)),
        ("a|gt: 5", FieldTest("a", Compare("gt", 5))),
        ("a|gte: 5.5", FieldTest("a", Compare("gte", 5.5))),
        ("a|lt: -5", FieldTest("a", Compare("lt", -5))),
        ("a|lte: 0", FieldTest("a", Compare("lte", 0))),
        ("a|neq: x", Negated(a("x"))),
        ("a|neq: [x, y]", Negated(AnyOf((a("x"), a("y"))))),
        ("a|neq|contains: x", Negated(a(ANY, "x", ANY))),
        ("a|minute: 59", FieldTest("a", TimePart("minute", "eq", 59))),
        ("a|hour: [0, 23]", any_of(FieldTest("a", TimePart("hour", "eq", h)) for h in (0, 23))),
        ("a|day: 31", FieldTest("a", TimePart("day", "eq", 31))),
        ("a|week: 53", FieldTest("a", TimePart("week", "eq", 53))),
        ("a|month: 12", FieldTest("a", TimePart("month", "eq", 12))),
        ("a|year: 2026", FieldTest("a", TimePart("year", "eq", 2026))),
        ("a|hour|gte: 22", FieldTest("a", TimePart("hour", "gte", 22))),
    ],
)  # fmt: skip
def test_every_modifier_becomes_a_plain_test(item: str, predicate: Predicate) -> None:
    """[D1] Sigma 2.1 as pySigma reads it."""
    assert predicate_of(item) == predicate


@pytest.mark.parametrize(
    ("item", "predicate"),
    [
        ("'|contains': x", KeywordTest(Text((ANY, "x", ANY)))),
        ("'|startswith': x", KeywordTest(Text(("x", ANY)))),
        ("'|re': 'x+'", KeywordTest(Regex("x+"))),
        ("'|cidr': 10.0.0.0/8", KeywordTest(Cidr("10.0.0.0/8"))),
        ("'|all': [x, y]", AllOf((KeywordTest(Text((ANY, "x", ANY))), KeywordTest(Text((ANY, "y", ANY)))))),
        ("'|cased': X", KeywordTest(Text((ANY, "X", ANY), cased=True))),
        ("'': 7", KeywordTest(Text((ANY, "7", ANY)))),
    ],
)
def test_a_value_without_a_field_is_a_keyword_searched_for_in_the_text(item: str, predicate: Predicate) -> None:
    """[D1] values without a field are searched in texts."""
    assert predicate_of(item) == predicate


def test_placeholders_become_the_texts_of_the_configuration() -> None:
    """[D1] `|expand` takes its values from the configuration."""
    texts = {"admins": ["root", "adm-*"]}
    assert predicate_of("a|expand: '%admins%'", **texts) == AnyOf((a("root"), a("adm-", ANY)))
    assert predicate_of("a|cased|expand: 'X%admins%'", **texts) == AnyOf(
        (a("Xroot", cased=True), a("Xadm-", ANY, cased=True))
    )
    assert predicate_of("a|re|expand: '^%admins%$'", **texts) == AnyOf(
        (FieldTest("a", Regex("^root$")), FieldTest("a", Regex(r"^adm\-\*$")))
    )


@pytest.mark.parametrize(
    ("code", "item"),
    [
        ("unknown-modifier", "▸a|contians: x"),
        ("duplicate-modifier", "▸a|contains|contains: x"),
        ("unknown-placeholder", "a|expand: ▸'%admins%'"),
        ("bad-regex", "a|re: ▸'(?=x)y'"),
        ("bad-regex", "a|re: ▸'(?<!x)y'"),
        ("bad-regex", r"a|re: ▸'(a)\1'"),
        ("bad-regex", "a|re: ['x', ▸'(y']"),
        ("bad-regex", "a|re: ▸'(a{1000}){1000}'"),
        ("bad-value", "a|re: ▸7"),
        ("bad-value", "a|contains|re: ▸x"),
        ("bad-value", "a|i: ▸x"),
        ("bad-value", "a|cidr: [10.0.0.0/8, ▸10.0.0.0/99]"),
        ("bad-value", "a|cidr: ▸10.0.0.1/8"),
        ("bad-value", "a|gt: ▸'5'"),
        ("bad-value", "a|contains: ▸5"),
        ("bad-value", "a|contains: ▸null"),
        ("bad-value", "a|exists: ▸'yes'"),
        ("bad-value", "a|base64: ▸'x*'"),
        ("bad-value", "a|wide: ▸'ü'"),
        ("bad-value", "a|windash: ▸' -a -b -c -d'"),
        ("bad-value", "a|fieldref: ▸'b*'"),
        ("bad-value", "a|hour: ▸9.5"),
        ("bad-value", "a|hour: ▸24"),
        ("bad-value", "a|hour: ▸noon"),
        ("bad-value", "a: ▸99999999999999999999"),
        ("bad-value", "a: ▸2024-01-01"),
        ("bad-value", "a: ▸.inf"),
        ("bad-value", "a|startswith|endswith: ▸x"),
        ("bad-value", "'|gt': ▸5"),
        ("bad-value", "'|exists': ▸true"),
        ("bad-value", "'|fieldref': ▸b"),
    ],
)
def test_what_cannot_be_evaluated_exactly_is_refused_at_its_place(code: str, item: str) -> None:
    """[D4] refused at load with its place and the reason."""
    refused(code, detection("r_a", item))


def test_look_around_names_what_to_write_instead() -> None:
    """[D4] the reason is given."""
    hint = refused("bad-regex", detection("r_a", "a|re: ▸'(?!x)y'")).hint
    assert hint == "look-around has no linear-time search; use a second selection with `not`"


def test_a_placeholder_with_no_texts_is_refused() -> None:
    """[D4] a rule never silently does not match."""
    refused("empty-placeholder", detection("r_a", "a|expand: ▸'%x%'"), placeholders={"x": []})


def test_a_bad_regular_expression_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    refused("bad-regex", detection("r_a", "a|re: ▸'(y'"))
    assert capfd.readouterr() == ("", "")
