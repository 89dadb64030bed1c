"""The only importer of pySigma: what the Sigma library makes of a rule, a field and its modifiers.

pySigma says what a document and a value mean; this module turns its objects into plain predicates and its exceptions
into messages. pySigma is given a regular expression engine that raises and prints nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

import re2
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.modifiers import modifier_mapping, reverse_modifier_mapping
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RegexEngine, RegexPattern
from sigma.rule import SigmaDetectionItem, SigmaRule
from sigma.types import (
    Placeholder,
    SigmaBool,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from streamer.sigma.folding import fold, scalar_text
from streamer.sigma.predicates import (
    Affix,
    AllOf,
    AnyOf,
    Check,
    Cidr,
    Compare,
    Comparison,
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
    TimeUnit,
    Wild,
)
from streamer.sigma.regexes import RegexError, compile_regex, regex_of_pattern

MODIFIERS: Final = (*modifier_mapping, "utf16le")
"""Every modifier that can stand behind a field. ``utf16le`` is Sigma's other name for ``wide``."""

_AFFIXES: Final = frozenset({"startswith", "endswith"})
_UNITS: Final = frozenset(get_args(TimeUnit))
_COMPARISONS: Final = dict.fromkeys(get_args(Comparison), "it takes a number without quotes")
_RANGES: Final[Mapping[TimeUnit, tuple[int, int]]] = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "week": (1, 53),
    "month": (1, 12),
    "year": (1, 9999),
}
_WANTS: Final = {
    **_COMPARISONS,
    **dict.fromkeys(_UNITS, "it takes a number without quotes"),
    "exists": "it takes true or false",
    **dict.fromkeys(("i", "ignorecase", "m", "multiline", "s", "dotall"), "it stands behind `re`"),
    "cidr": "it takes a text like `10.0.0.0/8`",
    **dict.fromkeys(("contains", "startswith", "endswith"), "it takes a text: quote it"),
}
COMPARING: Final = frozenset({*_COMPARISONS, *_UNITS, "exists"})
"""Modifiers whose values are no texts."""

_INCOMPATIBLE: Final = re.compile(r"Modifier (\w+) incompatible to value type")
_FLAG_NAMES: Final = {"IGNORECASE": "i", "MULTILINE": "m", "DOTALL": "s"}


class ItemError(Exception):
    """A field with its modifiers and values cannot be evaluated exactly."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class _QuietRe2(RegexEngine):
    """RE2 that raises and prints nothing."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        """Compile for pySigma's own check; flags do not change whether a pattern can be read."""
        compiled: RegexPattern = compile_regex(pattern)
        return compiled

    @property
    def error(self) -> type[Exception]:
        return RegexError


_POLICY: Final = SigmaPolicy(regex_engine=_QuietRe2())


def _check_regex(pattern: str, flags: str = "") -> None:
    try:
        compile_regex(pattern, flags)
    except RegexError as error:
        message = f"the regular expression cannot be used: {error}"
        raise ItemError("bad-regex", message, error.hint) from None


def document_errors(plain: Mapping[str, Any], *, correlation: bool) -> list[tuple[str, str]]:
    """What pySigma itself has against a document: (name of its error class, message) each.

    Any exception counts, also those that are not meant for people: pySigma must be able to read what we accept.
    """
    reader = SigmaCorrelationRule if correlation else SigmaRule
    try:
        rule = reader.from_dict(dict(plain), collect_errors=True, policy=_POLICY)
        errors: list[Exception] = list(rule.errors)
        if not errors and isinstance(rule, SigmaRule):
            for condition in rule.detection.parsed_condition:
                condition.parse()
    except Exception as error:  # noqa: BLE001 - whatever it raises, it cannot read this document
        errors = [error]
    return [(type(error).__name__, str(error) or type(error).__name__) for error in errors]


def read_item(key: str, values: Sequence[Any], placeholders: Mapping[str, Sequence[str]]) -> Predicate:
    """One ``field|modifiers: values`` entry as a predicate; without a field, keywords.

    Raises:
        ItemError: if it cannot be evaluated exactly.
    """
    field, *modifiers = key.split("|")
    modifiers = ["wide" if modifier == "utf16le" else modifier for modifier in modifiers]
    _check_modifiers(modifiers)
    _check_values(modifiers, values)
    try:
        item = SigmaDetectionItem.from_mapping("|".join([field, *modifiers]), list(values), policy=_POLICY)
    except SigmaError as error:
        raise _said(error) from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ItemError("bad-value", f"value and modifiers do not fit: {error}") from None
    tests = tuple(
        AnyOf(options) if len(options) > 1 else options[0]
        for value in item.value
        for options in [tuple(_tests(field, value, modifiers, placeholders))]
        if options
    )
    if not tests:
        raise ItemError("empty-placeholder", "no value is left after placeholders were replaced")
    if len(tests) == 1:
        joined: Predicate = tests[0]
    else:
        joined = AllOf(tests) if "all" in modifiers else AnyOf(tests)
    return Negated(joined) if item.negated else joined


def _said(error: SigmaError) -> ItemError:
    """What pySigma has against an item, in words for people who do not know its classes."""
    text = str(error)
    found = _INCOMPATIBLE.match(text)
    if found is None:
        hint = "write the network's own address: `10.0.0.0/8`" if "host bits" in text else None
        return ItemError("bad-value", text, hint)
    name = reverse_modifier_mapping.get(found[1], found[1])
    return ItemError("bad-value", f"`{name}` cannot be used with this value", _WANTS.get(name))


def _check_modifiers(modifiers: Sequence[str]) -> None:
    """What pySigma takes without a word although it says two things at once."""
    places = [modifier for modifier in modifiers if modifier in _AFFIXES or modifier == "contains"]
    if len(places) > 1:
        raise ItemError("bad-value", f"`{places[0]}` and `{places[1]}` exclude each other", "keep one of them")


def _check_values(modifiers: Sequence[str], values: Sequence[Any]) -> None:
    for value in values:
        if "re" in modifiers:
            if not isinstance(value, str):
                raise ItemError("bad-value", "a regular expression must be a text", "quote it")
            _check_regex(value)
        if _UNITS & set(modifiers) and not isinstance(value, int):
            raise ItemError("bad-value", "a part of time is a whole number")
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) > 2**53:
            raise ItemError("bad-value", f"{value} is too large for an exact number", "quote it")
        if not isinstance(value, str | int | float | bool | None):
            raise ItemError("bad-value", f"{value!s:.60} is neither text, number, boolean nor null", "quote it")


def _tests(
    field: str, value: SigmaType, modifiers: Sequence[str], placeholders: Mapping[str, Sequence[str]]
) -> Iterator[Predicate]:
    """The alternatives one value stands for."""
    if isinstance(value, SigmaExpansion):
        for inner in value.values:
            yield from _tests(field, inner, modifiers, placeholders)
    elif isinstance(value, SigmaRegularExpression):
        for text in _filled(value.regexp, placeholders, literally=True):
            regex = _regex(text, value)
            yield FieldTest(field, regex) if field else KeywordTest(regex)
    elif isinstance(value, SigmaString):
        for text in _filled(value, placeholders, literally=False):
            check = _text(text, cased="cased" in modifiers)
            if field:
                yield FieldTest(field, check)
            else:
                yield KeywordTest(check if _AFFIXES & set(modifiers) else _anywhere(check))
    else:
        yield _test(field, value, modifiers)


def _test(field: str, value: SigmaType, modifiers: Sequence[str]) -> Predicate:
    """The test of a value that is neither text nor expression."""
    if not field:
        if isinstance(value, SigmaFieldReference):
            raise ItemError("bad-value", "`fieldref` needs a field", "name the field before the modifier")
        check = _check(value)
        if isinstance(check, Text):
            return KeywordTest(_anywhere(check))
        if isinstance(check, Cidr):
            return KeywordTest(check)
        raise ItemError("bad-value", "a value without a field must be a text", "name the field")
    if isinstance(value, SigmaFieldReference):
        return FieldsTest(field, value.field, _affix(value), "cased" in modifiers)
    if isinstance(value, SigmaExists):
        test = FieldTest(field, Exists())
        return test if value.exists else Negated(test)
    return FieldTest(field, _check(value))


def _filled(value: SigmaString, placeholders: Mapping[str, Sequence[str]], *, literally: bool) -> Sequence[SigmaString]:
    """The text once per text of its placeholders, which are patterns; inside a regular expression literal texts."""

    def texts(placeholder: Placeholder) -> Iterator[SigmaString]:
        if placeholder.name not in placeholders:
            raise ItemError(
                "unknown-placeholder",
                f"the configuration has no values for %{placeholder.name}%",
                "give them under `placeholders:`",
            )
        for text in placeholders[placeholder.name]:
            yield SigmaString.from_str(re2.escape(text)) if literally else SigmaString(text)

    try:
        return list(value.replace_placeholders(texts))
    except SigmaError as error:
        raise ItemError("bad-value", str(error)) from None


def _regex(text: SigmaString, value: SigmaRegularExpression) -> Regex:
    """The pattern as written: pySigma keeps ``*`` and ``?`` of a pattern as wildcards."""
    pattern = "".join(
        part if isinstance(part, str) else "*" if part is SpecialChars.WILDCARD_MULTI else "?" for part in text.s
    )
    flags = "".join(sorted(_FLAG_NAMES[flag.name] for flag in value.flags))
    _check_regex(pattern, flags)
    return Regex(pattern, flags)


def _affix(reference: SigmaFieldReference) -> Affix:
    if reference.starts_with and reference.ends_with:
        return "contains"
    if reference.starts_with:
        return "startswith"
    return "endswith" if reference.ends_with else "equals"


def _check(value: SigmaType) -> Check:
    """The check of one value that is neither text nor expression."""
    if isinstance(value, SigmaCIDRExpression):
        return Cidr(str(value.network))
    if isinstance(value, SigmaCompareExpression):
        return _comparison(value)
    if isinstance(value, SigmaTimestampPart):
        return _time_part(value)
    if isinstance(value, SigmaNumber):
        return Text((scalar_text(value.number),))
    if isinstance(value, SigmaBool):
        return Text((scalar_text(value.boolean),))
    if isinstance(value, SigmaNull):
        return Null()
    raise ItemError("bad-value", f"a value of kind {type(value).__name__} cannot be evaluated here")


def _time_part(value: SigmaTimestampPart) -> TimePart:
    unit, number = _unit(value), value.number
    first, last = _RANGES[unit]
    if not first <= number <= last:
        raise ItemError("bad-value", f"`{unit}` is never {number}", f"it is a number from {first} to {last}")
    return TimePart(unit, "eq", number)


def _unit(part: SigmaTimestampPart) -> TimeUnit:
    name = part.timestamp_part.name.lower()
    unit: TimeUnit
    for unit in get_args(TimeUnit):
        if unit == name:
            return unit
    raise ItemError("bad-value", f"part of time `{name}` cannot be evaluated")


def _comparison(value: SigmaCompareExpression) -> Check:
    name = value.op.name.lower()
    op: Comparison
    for op in get_args(Comparison):
        if op == name:
            number = value.number
            if isinstance(number, SigmaTimestampPart):
                return TimePart(_unit(number), op, number.number)
            return Compare(op, number.number)
    raise ItemError("bad-value", f"comparison `{name}` cannot be evaluated")


def _text(value: SigmaString, *, cased: bool) -> Text:
    parts: list[str | Wild] = []
    for part in value.s:
        if isinstance(part, str):
            literal = part if cased else fold(part)
            if parts and isinstance(parts[-1], str):
                parts[-1] += literal
            elif literal:
                parts.append(literal)
        elif part is SpecialChars.WILDCARD_SINGLE:
            after_any = bool(parts) and parts[-1] is Wild.ANY
            parts.insert(len(parts) - after_any, Wild.ONE)
        elif not parts or parts[-1] is not Wild.ANY:
            parts.append(Wild.ANY)
    if Wild.ONE in parts:
        _check_regex(regex_of_pattern(parts))
    return Text(tuple(parts), cased)


def _anywhere(check: Text) -> Text:
    """A keyword is searched for in the text: wildcards on both sides."""
    parts = check.parts
    if parts == (Wild.ANY,):
        return check
    front = () if parts[:1] == (Wild.ANY,) else (Wild.ANY,)
    back = () if parts[-1:] == (Wild.ANY,) else (Wild.ANY,)
    return Text((*front, *parts, *back), check.cased)
