"""One rule document, read by itself: what stands in it, and whether it can be used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from streamer.errors import Place
from streamer.model import LogSource
from streamer.sigma.correlation import Written, read_correlation
from streamer.sigma.detection import DetectionReader
from streamer.sigma.expressions import read_expression
from streamer.sigma.extensions import Extensions, read_extensions
from streamer.sigma.predicates import Predicate
from streamer.sigma.problems import Problems
from streamer.sigma.pysigma import document_errors
from streamer.sigma.rules import Allowed
from streamer.sigma.shape import About, read_about
from streamer.sigma.yamltree import Node

_KEY_OF_ERROR: Final = {
    "SigmaIdentifierError": "id",
    "SigmaNameError": "name",
    "SigmaTaxonomyError": "taxonomy",
    "SigmaRelatedError": "related",
    "SigmaLevelError": "level",
    "SigmaStatusError": "status",
    "SigmaTagError": "tags",
    "SigmaDateError": "date",
    "SigmaModifiedError": "modified",
    "SigmaFieldsError": "fields",
    "SigmaFalsePositivesError": "falsepositives",
    "SigmaAuthorError": "author",
    "SigmaDescriptionError": "description",
    "SigmaReferencesError": "references",
    "SigmaTitleError": "title",
    "SigmaScopeError": "scope",
    "SigmaLicenseError": "license",
    "SigmaLogsourceError": "logsource",
}


@dataclass(slots=True)
class Draft:
    """A rule before references are resolved.

    Attributes:
        key: how the engine will refer to it.
        broken: it has errors of its own and must not be used.
        allowed: what the site allows of it.
    """

    key: str
    place: Place
    about: About
    extensions: Extensions
    broken: bool
    logsource: LogSource | None = None
    predicate: Predicate | None = None
    written: Written | None = None
    allowed: tuple[Allowed, ...] = ()

    @property
    def shown(self) -> str:
        """How messages call the rule."""
        return self.about.name or self.about.title or self.key


def read_draft(
    root: Node, fallback_key: str, placeholders: Mapping[str, Sequence[str]], problems: Problems
) -> Draft | None:
    """Read one document; ``None`` if it is no mapping."""
    if root.entries is None:
        message = f"a rule must be a mapping, this is {root.kind()}"
        problems.error("not-a-rule", root.place, message, "begin with `title:`")
        return None
    before = problems.errors()
    about = read_about(root, problems)
    correlation = "correlation" in root.entries
    extensions = read_extensions(root, problems, correlation=correlation)
    key = about.id or about.name or fallback_key
    draft = Draft(key, root.place, about, extensions, broken=False)
    if correlation:
        _refuse(root, ("detection", "logsource"), "a correlation rule", problems)
        draft.written = read_correlation(root, problems)
        if draft.written is not None and draft.written.temporal:
            read_expression(draft.written, {item.text: item.text for item in draft.written.rules}, problems)
    elif "detection" in root.entries or "filter" not in root.entries:  # what filters are has been refused as a key
        _refuse(root, ("generate",), "a detection rule", problems)
        reader = DetectionReader(problems, placeholders)
        draft.logsource = reader.logsource(root)
        draft.predicate = reader.predicate(root, draft.logsource)
        if extensions.suppress and extensions.suppress_gap_us is None:
            place = extensions.places["suppress"]
            problems.error("bad-extension", place, "`suppress` of a detection rule needs `for`", "add `for: 1h`")
    if problems.errors() == before and not root.flawed:
        _ask_pysigma(root, correlation=correlation, problems=problems)
    draft.broken = root.flawed or problems.errors() > before
    return draft


def _refuse(root: Node, keys: tuple[str, ...], where: str, problems: Problems) -> None:
    for key in keys:
        entry = (root.entries or {}).get(key)
        if entry is not None:
            problems.error("unknown-key", entry.place, f"`{key}` is not a key of {where}", "leave it out")


def _ask_pysigma(root: Node, *, correlation: bool, problems: Problems) -> None:
    """What we accept must be Sigma that pySigma reads, too."""
    plain = root.plain()
    detection = plain.get("detection")
    if isinstance(detection, dict):
        plain["detection"] = _with_wide(detection)
    for name, message in document_errors(plain, correlation=correlation):
        entry = (root.entries or {}).get(_KEY_OF_ERROR.get(name, ""))
        problems.error("sigma", entry.node.place if entry is not None else root.place, message)


def _with_wide(value: object) -> object:
    """What pySigma can read: it knows ``utf16le`` only by its other name."""
    if isinstance(value, dict):
        return {key.replace("|utf16le", "|wide"): _with_wide(item) for key, item in value.items()}
    return [_with_wide(item) for item in value] if isinstance(value, list) else value
