"""What a text may show: no control characters, no secrets, no more than a bounded length.

Logs and command lines are written by whoever runs something, and they hold passwords. Everything an alert shows passes
through here first, in this order, because each step would blind the next if it came later:

1. terminal codes and invisible characters go (``pass<zero width space>word=`` is ``password=``): :func:`clean`,
2. ``[redacted]`` takes the place of secrets: :func:`redact` and :func:`redact_uri`, which clean first,
3. what is left is bounded: :func:`cut`.

Too much is redacted rather than too little. All expressions run on RE2: time grows linearly with the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote_plus

import re2

REDACTED: Final = "[redacted]"
MAX_INPUT: Final = 8_192
"""Characters looked at; what stands behind them is never shown."""

_ANSI: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]?"  # colours and cursor movement
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*+(?:\x07|\x1b\\|\x9c)?"  # window titles, hyperlinks
    r"|\x1b."  # everything else
)

_WORD: Final = (
    r"passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|(?:access|private|account|encryption|signing|master)[_-]?key"
    r"|credential|signature|session[_-]?(?:id|key)|cookie|connection[_-]?string|webhook[_-]?url"
)
_NAME: Final = rf"(?:[\w.-]*(?:{_WORD})[\w.-]*|(?:[\w.-]*[_.-])?(?:pass|auth|sig|sid))"
_QUOTED: Final = r"""(?:\\{0,3}"(?:[^"\\]|\\.)*\\?"?|\\{0,3}'[^']*'?)"""
_GLUED: Final = r"""(?:"[^\s"',;:)}\]][^"]*"?|'[^\s"',;:)}\]][^']*'?)"""
_VALUE: Final = rf"""(?:{_QUOTED}+[^\s"',;&)}}\]]*|[^\s"'](?:[^\s"']|{_GLUED})*)"""
_AUTHORIZATION: Final = (
    rf"""(?i)(authorization\\{{0,3}}["']?\s*[:=]\s*)\\{{0,3}}["']?\s*(?:digest\s.*|[a-z0-9-]+\s+{_VALUE}|{_VALUE})"""
)
_KNOWN_TOKENS: Final = (
    r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{12,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
    r"|xox[abeprs]-[\w-]{8,}|sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{8,}|AIza[\w-]{20,}|ya29\.[\w.-]{8,}"
    r"|hf_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{16,}|dckr_pat_[\w-]{8,}|pypi-[\w-]{16,}|SG\.[\w.-]{16,}"
    r"|hvs\.[\w-]{8,}|dop_v1_[a-f0-9]{16,})"
)
"""Tokens that say themselves what they are."""

Replacement = str | Callable[[Any], str]


def _url_credentials(found: Any) -> str:
    """Keeps the user name where it is a wallet: mining pools take it there, and it tells who earns."""
    scheme: str = found.group(1)
    user: str = found.group(2)
    if scheme.lower().startswith("stratum"):
        return f"{scheme}{user}:{REDACTED}@"
    return f"{scheme}{REDACTED}@"


_STEPS: Final[tuple[tuple[Any, Replacement], ...]] = tuple(
    (re2.compile(pattern), replacement)
    for pattern, replacement in (
        (r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)", REDACTED),
        (r"""(?i)([a-z][a-z0-9+.-]*://)([^\s/?#@:"'<>]*):[^\s/"'<>]*@""", _url_credentials),
        (r"""(?i)((?:https?|git|ssh|ftp)[a-z0-9+.-]*://)[^\s/?#"'<>:]*@""", rf"\1{REDACTED}@"),
        (r"([\w.-]+):\S+@(tcp|unix)\(", rf"\1:{REDACTED}@\2("),
        (_AUTHORIZATION, rf"\1{REDACTED}"),
        (r"""(?i)(cookie\\{0,3}["']?\s*[:=]\s*)\\{0,3}["']?[^"']*""", rf"\1{REDACTED}"),
        (rf"(?i)\b(bearer)(?:\s|%20|\+)+{_VALUE}", rf"\1 {REDACTED}"),
        (r"(?i)\b(basic)\s+[A-Za-z0-9+/=_-]{8,}", rf"\1 {REDACTED}"),
        (rf"(?i)(^|\s)(--?{_NAME})\s+{_VALUE}", rf"\1\2 {REDACTED}"),
        (
            rf"""(?i)({_NAME}\\{{0,3}}["']?\s{{0,3}}(?:=>|:=|[:=])\s{{0,3}}){_VALUE}""",
            rf"\1{REDACTED}",
        ),
        (r"""((?:^|\s)(?:-u|-U|--user|--proxy-user)[\s=]*["']?[^\s:"'/]*:)[^\s"']+""", rf"\1{REDACTED}"),
        (r"(\bsshpass\s+-p)\s*\S+", rf"\1 {REDACTED}"),
        (r"(\b(?:mysql|mariadb)[a-z-]*\s(?:[^|;&]*?\s)?-p)\S+", rf"\1{REDACTED}"),
        (r"(\blogin\s(?:[^|;&]*?\s)?-p)\s*\S+", rf"\1 {REDACTED}"),
        (r"(\bredis-cli\s(?:[^|;&]*?\s)?-a)\s*\S+", rf"\1 {REDACTED}"),
        (r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}", REDACTED),
        (_KNOWN_TOKENS, REDACTED),
        (r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b", REDACTED),  # bootstrap tokens of kubeadm
    )
)

_HINT: Final = re2.compile(
    r"(?i)pass|pwd|secret|token|key|auth|credential|sig|session|sid|cookie|connection|webhook|bearer|basic|://|@tcp|@unix"
    r"|-u|--user|--proxy|login|mysql|mariadb|redis|eyj|akia|asia|gh._|glpat|xox|sk-|k_live|k_test|aiza|ya29|hf_|npm_"
    r"|dckr|pypi-|sg\.|hvs\.|dop_|[a-z0-9]{6}\.[a-z0-9]{16}"
)
"""Most texts hold none of these and need no further look."""

_SECRET_PARAMETER: Final = re2.compile(
    rf"(?i)^(?:.*(?:{_WORD}).*|(?:.*[_.-])?(?:pass|auth|sig|sid|key|code|state|otp|pin|nonce|assertion|ticket))$"
)


def clean(text: str) -> str:
    """The text without terminal codes and without characters that do not print; white space becomes one blank each.

    Lone surrogates go too, so that the result can always be encoded.
    """
    if text.isprintable():
        return text
    bare = _ANSI.sub("", text)
    return "".join(char if char.isprintable() else " " if char.isspace() else "" for char in bare).strip()


def cut(text: str, limit: int) -> str:
    """At most ``limit`` characters; an ellipsis says that there were more."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def redact(text: str) -> str:
    """The text cleaned, with ``[redacted]`` where passwords, tokens, keys and credentials stood."""
    text = clean(_bounded(text))
    if _HINT.search(text) is None:
        return text
    for pattern, replacement in _STEPS:
        text = pattern.sub(replacement, text)
    return text


def redact_uri(uri: str, *, drop: tuple[str, ...] = ()) -> str:
    """The URI cleaned, without credentials, without the values of secret query parameters.

    Secrets hide behind percent encoding as well: a part whose decoded form holds one is shown decoded and redacted,
    all others stay as they were written.

    Args:
        uri: absolute or from the path on.
        drop: query parameters that are shown elsewhere in a better form, left out here.
    """
    path, mark, query = clean(_bounded(uri)).partition("?")
    path = _redact_encoded(path)
    if not mark:
        return path
    shown: list[str] = []
    for parameter in query.split("&"):
        name, equals, value = parameter.partition("=")
        plain = clean(unquote_plus(name))
        if plain in drop:
            continue
        if equals and _SECRET_PARAMETER.search(plain) is not None:
            shown.append(f"{plain}={REDACTED}")
        else:
            shown.append(_redact_encoded(name) + equals + _redact_encoded(value))
    return f"{path}?{'&'.join(shown)}" if shown else path


def _redact_encoded(part: str) -> str:
    plain = part
    for _ in range(2):  # twice encoded is still readable for a person with patience
        plain = unquote_plus(plain) if "%" in plain or "+" in plain else plain
    plain = clean(plain)
    redacted = redact(plain)
    return redacted if redacted != plain else part


def _bounded(text: str) -> str:
    """The beginning of the text; a word that the limit cuts in two is left out, it may be half a secret."""
    if len(text) <= MAX_INPUT:
        return text
    head = text[:MAX_INPUT]
    words, blank, _ = head.rpartition(" ")
    return words if blank else head[: MAX_INPUT // 2]
