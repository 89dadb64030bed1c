"""Access lines of ingress-nginx (its default upstream format) and of everything that prints the combined format."""

from __future__ import annotations

import re
from typing import Any, Final

from streamer.decode.access import Access, host_of, number_of, present, status_of
from streamer.decode.stamps import Stamp, parse

_LINE: Final = re.compile(
    r"(\S{1,200}) - (?:\[[^\]]{0,2000}\] - )?(.*?) ?"
    r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d:\d\d:\d\d) ([+-]\d{4})\] "
    r'"((?:[^"\\]|\\.|"(?! \d{3} ))*+)" (\d{3}) (\d+|-)',
    re.ASCII,
)
_REFERRER_AGENT: Final = re.compile(r' "((?:[^"\\]|\\.)*+)" "((?:[^"\\]|\\.)*+)"')
_INGRESS_TAIL: Final = re.compile(
    r" (\d+) ([\d.]{1,20}) \[([^\]]*)\] (?:\[[^\]]*\] )?(\S*+).* ([0-9a-f]{32})\Z", re.ASCII
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_line(message: str) -> Access | None:
    """A line of either format, or ``None``."""
    found = _LINE.match(message)
    if found is None:
        return None
    method, _, rest = found[8].partition(" ")
    uri, _, _protocol = rest.rpartition(" ")
    agent = _REFERRER_AGENT.match(message, found.end())
    tail = _INGRESS_TAIL.match(message, agent.end()) if agent else None
    return Access(
        method=present(method),
        uri=present(uri or rest),
        status=status_of(found[9]),
        peer=host_of(found[1]),
        user_agent=present(agent[2]) if agent else None,
        request_id=tail[5] if tail else None,
        referer=present(agent[1]) if agent else None,
        details=_details(found[10], tail),
        user=present(found[2].strip("- ") or None) if found[2] != "-" else None,
        stamp=_stamp(found),
    )


def _details(sent: str, tail: re.Match[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {"sc-bytes": number_of(sent)}
    if tail is not None:
        seconds, _, fraction = tail[2].partition(".")
        towards = {"host": present(tail[4].rstrip(",")), "cluster": present(tail[3])}
        found |= {
            "cs-bytes": number_of(tail[1]),
            "time-taken": number_of(seconds + fraction[:3].ljust(3, "0")),
            "upstream": {name: text for name, text in towards.items() if text} or None,
        }
    return {name: value for name, value in found.items() if value is not None}


def _stamp(found: re.Match[str]) -> Stamp | None:
    if found[4] not in _MONTHS:
        return None
    month = _MONTHS.index(found[4]) + 1
    return parse(f"{found[5]}-{month:02d}-{found[3]}T{found[6]}{found[7]}")
