"""The Containers matrix of MITRE ATT&CK: which techniques it holds and what audit and container logs can show of them.

Names, tactics and the version come from :mod:`streamer.ecs.attack`, which alerts use, too: one table of names. Here
stand the choice that makes up the Containers platform, the reasons for what logs cannot show, and the ids of version 18
that version 19 gave others: Defense Evasion became Stealth and Defense Impairment, and Impair Defenses with its
sub-techniques became techniques of their own.
"""

from __future__ import annotations

from typing import Final

from streamer.authoring.matrix import Cell, Matrix, columns_of
from streamer.ecs.attack import ATTACK_VERSION, TACTICS, TECHNIQUES

_COLUMNS: Final = """
TA0001: T1190 T1133 T1078 T1078.001 T1078.003
TA0002: T1059 T1059.013 T1609 T1610 T1053 T1053.007 T1204 T1204.003
TA0003: T1098 T1098.006 T1136 T1136.001 T1543 T1543.005 T1133 T1525 T1053 T1053.007 T1078 T1078.001 T1078.003
TA0004: T1098 T1098.006 T1543 T1543.005 T1611 T1068 T1053 T1053.007 T1078 T1078.001 T1078.003
TA0005: T1612 T1070 T1036 T1036.005 T1036.010 T1550 T1550.001 T1078 T1078.001 T1078.003
TA0112: T1685
TA0006: T1110 T1110.001 T1110.003 T1110.004 T1528 T1552 T1552.001 T1552.007
TA0007: T1613 T1046 T1069
TA0008: T1550 T1550.001
TA0040: T1485 T1499 T1490 T1498 T1496 T1496.001 T1496.002
"""

_UNSEEN: Final = {
    "T1068": "An exploit of the kernel or the runtime happens on the host; a runtime sensor sees it.",
    "T1612": "An image is built by the host's container engine, past the API server; a runtime sensor sees it.",
    "T1136.001": "Accounts of the host or inside a container are files there; a runtime sensor sees them.",
    "T1110.004": "The API server takes no passwords; a login provider's own log shows who was tried.",
    "T1496.002": "Sold bandwidth is traffic; network flow logs or a runtime sensor see it.",
    "T1498": "A flood of packets passes no API server; network flow logs see it.",
}

_IDS: Final = {word for line in _COLUMNS.strip().splitlines() for word in line.partition(":")[2].split()}
_CELLS: Final = {
    identifier: Cell(identifier, TECHNIQUES[identifier], _UNSEEN.get(identifier, "")) for identifier in _IDS
}

_SUCCESSORS: Final = {
    "T1070.002": "T1685.006",
    "T1562": "T1685",
    "T1562.001": "T1685",
    "T1562.004": "T1686",
    "T1562.007": "T1686.001",
    "T1562.008": "T1685.002",
    "T1562.012": "T1685.004",
}

ATTACK: Final = Matrix(
    key="attack",
    name="MITRE ATT&CK, Containers",
    version=ATTACK_VERSION,
    tag="attack",
    columns=columns_of(_COLUMNS, {item.id: item.name for item in TACTICS}, _CELLS),
    successors=_SUCCESSORS,
)
"""The Containers platform of the enterprise matrix, with our word on what logs can show."""
