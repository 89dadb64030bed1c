"""MITRE ATT&CK as far as rules for Kubernetes speak of it: the tactics, and names for techniques.

A small table instead of the whole knowledge base: loading that needs a download and half a gigabyte of libraries. A
technique that is not in the table is still reported by its id. Tags with the names of earlier versions are understood:
Defense Evasion became Stealth (same id) and Defense Impairment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ATTACK_VERSION: Final = "19"
FRAMEWORK: Final = "MITRE ATT&CK"
_SITE: Final = "https://attack.mitre.org"


@dataclass(frozen=True, slots=True)
class Tactic:
    """One column of the matrix; ``tag`` is how Sigma tags write it, with hyphens."""

    id: str
    tag: str
    name: str

    @property
    def reference(self) -> str:
        """Page of the tactic."""
        return f"{_SITE}/tactics/{self.id}/"


@dataclass(frozen=True, slots=True)
class Technique:
    """One technique or sub-technique; ``name`` is empty where the table does not know it."""

    id: str
    name: str

    @property
    def is_sub(self) -> bool:
        """Whether this is a sub-technique."""
        return "." in self.id

    @property
    def reference(self) -> str:
        """Page of the technique."""
        return f"{_SITE}/techniques/{self.id.replace('.', '/')}/"


@dataclass(frozen=True, slots=True)
class Attack:
    """What a rule's tags say in terms of ATT&CK.

    Attributes:
        tactics: in the order of the kill chain.
        techniques: techniques in the order of their ids, the parents of sub-techniques included.
        subtechniques: in the order of their ids.
    """

    tactics: tuple[Tactic, ...] = ()
    techniques: tuple[Technique, ...] = ()
    subtechniques: tuple[Technique, ...] = ()

    def __bool__(self) -> bool:
        """Whether the tags name anything of ATT&CK."""
        return bool(self.tactics or self.techniques)


TACTICS: Final = tuple(
    Tactic(*row.split(maxsplit=2))
    for row in (
        "TA0043 reconnaissance Reconnaissance",
        "TA0042 resource-development Resource Development",
        "TA0001 initial-access Initial Access",
        "TA0002 execution Execution",
        "TA0003 persistence Persistence",
        "TA0004 privilege-escalation Privilege Escalation",
        "TA0005 stealth Stealth",
        "TA0112 defense-impairment Defense Impairment",
        "TA0006 credential-access Credential Access",
        "TA0007 discovery Discovery",
        "TA0008 lateral-movement Lateral Movement",
        "TA0009 collection Collection",
        "TA0011 command-and-control Command and Control",
        "TA0010 exfiltration Exfiltration",
        "TA0040 impact Impact",
    )
)
"""All tactics in the order of the kill chain."""

_ALIASES: Final = {"defense-evasion": "stealth", "impair-defenses": "defense-impairment"}

_TECHNIQUES: Final = """
T1003 OS Credential Dumping
T1005 Data from Local System
T1007 System Service Discovery
T1014 Rootkit
T1016 System Network Configuration Discovery
T1018 Remote System Discovery
T1020 Automated Exfiltration
T1021 Remote Services
T1021.004 SSH
T1021.007 Cloud Services
T1027 Obfuscated Files or Information
T1033 System Owner/User Discovery
T1036 Masquerading
T1036.004 Masquerade Task or Service
T1036.005 Match Legitimate Resource Name or Location
T1036.010 Masquerade Account Name
T1037 Boot or Logon Initialization Scripts
T1040 Network Sniffing
T1041 Exfiltration Over C2 Channel
T1046 Network Service Discovery
T1048 Exfiltration Over Alternative Protocol
T1049 System Network Connections Discovery
T1053 Scheduled Task/Job
T1053.003 Cron
T1053.007 Container Orchestration Job
T1057 Process Discovery
T1059 Command and Scripting Interpreter
T1059.004 Unix Shell
T1059.006 Python
T1059.013 Container CLI/API
T1068 Exploitation for Privilege Escalation
T1069 Permission Groups Discovery
T1069.003 Cloud Groups
T1070 Indicator Removal
T1070.003 Clear Command History
T1070.004 File Deletion
T1071 Application Layer Protocol
T1071.001 Web Protocols
T1071.004 DNS
T1074 Data Staged
T1078 Valid Accounts
T1078.001 Default Accounts
T1078.003 Local Accounts
T1078.004 Cloud Accounts
T1082 System Information Discovery
T1083 File and Directory Discovery
T1087 Account Discovery
T1087.001 Local Account
T1087.004 Cloud Account
T1090 Proxy
T1090.003 Multi-hop Proxy
T1095 Non-Application Layer Protocol
T1098 Account Manipulation
T1098.001 Additional Cloud Credentials
T1098.003 Additional Cloud Roles
T1098.004 SSH Authorized Keys
T1098.006 Additional Container Cluster Roles
T1102 Web Service
T1104 Multi-Stage Channels
T1105 Ingress Tool Transfer
T1106 Native API
T1110 Brute Force
T1110.001 Password Guessing
T1110.003 Password Spraying
T1110.004 Credential Stuffing
T1119 Automated Collection
T1132 Data Encoding
T1133 External Remote Services
T1134 Access Token Manipulation
T1136 Create Account
T1136.001 Local Account
T1136.003 Cloud Account
T1140 Deobfuscate/Decode Files or Information
T1190 Exploit Public-Facing Application
T1195 Supply Chain Compromise
T1195.002 Compromise Software Supply Chain
T1199 Trusted Relationship
T1203 Exploitation for Client Execution
T1204 User Execution
T1204.003 Malicious Image
T1210 Exploitation of Remote Services
T1212 Exploitation for Credential Access
T1213 Data from Information Repositories
T1219 Remote Access Tools
T1222 File and Directory Permissions Modification
T1484 Domain or Tenant Policy Modification
T1485 Data Destruction
T1486 Data Encrypted for Impact
T1489 Service Stop
T1490 Inhibit System Recovery
T1496 Resource Hijacking
T1496.001 Compute Hijacking
T1496.002 Bandwidth Hijacking
T1498 Network Denial of Service
T1499 Endpoint Denial of Service
T1505 Server Software Component
T1505.003 Web Shell
T1518 Software Discovery
T1525 Implant Internal Image
T1526 Cloud Service Discovery
T1528 Steal Application Access Token
T1529 System Shutdown/Reboot
T1530 Data from Cloud Storage
T1531 Account Access Removal
T1537 Transfer Data to Cloud Account
T1538 Cloud Service Dashboard
T1543 Create or Modify System Process
T1543.005 Container Service
T1546 Event Triggered Execution
T1546.018 Python Startup Hooks
T1548 Abuse Elevation Control Mechanism
T1548.003 Sudo and Sudo Caching
T1548.005 Temporary Elevated Cloud Access
T1550 Use Alternate Authentication Material
T1550.001 Application Access Token
T1552 Unsecured Credentials
T1552.001 Credentials In Files
T1552.004 Private Keys
T1552.005 Cloud Instance Metadata API
T1552.007 Container API
T1555 Credentials from Password Stores
T1555.006 Cloud Secrets Management Stores
T1556 Modify Authentication Process
T1557 Adversary-in-the-Middle
T1557.002 ARP Cache Poisoning
T1562 Impair Defenses
T1562.001 Disable or Modify Tools
T1562.008 Disable or Modify Cloud Logs
T1564 Hide Artifacts
T1565 Data Manipulation
T1565.001 Stored Data Manipulation
T1565.002 Transmitted Data Manipulation
T1567 Exfiltration Over Web Service
T1570 Lateral Tool Transfer
T1571 Non-Standard Port
T1572 Protocol Tunneling
T1573 Encrypted Channel
T1573.002 Asymmetric Cryptography
T1578 Modify Cloud Compute Infrastructure
T1578.002 Create Cloud Instance
T1580 Cloud Infrastructure Discovery
T1583 Acquire Infrastructure
T1587 Develop Capabilities
T1588 Obtain Capabilities
T1588.002 Tool
T1595 Active Scanning
T1595.001 Scanning IP Blocks
T1595.002 Vulnerability Scanning
T1595.003 Wordlist Scanning
T1608 Stage Capabilities
T1609 Container Administration Command
T1610 Deploy Container
T1611 Escape to Host
T1612 Build Image on Host
T1613 Container and Resource Discovery
T1619 Cloud Storage Object Discovery
T1648 Serverless Execution
T1649 Steal or Forge Authentication Certificates
T1651 Cloud Administration Command
T1665 Hide Infrastructure
T1685 Disable or Modify Tools
T1685.002 Disable or Modify Cloud Log
T1685.004 Disable or Modify Linux Audit System Log
T1685.006 Clear Linux or Mac System Logs
T1686 Disable or Modify System Firewall
T1686.001 Cloud Firewall
"""
TECHNIQUES: Final = dict(line.split(maxsplit=1) for line in _TECHNIQUES.strip().splitlines())
"""Technique id to name."""

_BY_TAG: Final = {tactic.tag: tactic for tactic in TACTICS}
_BY_ID: Final = {tactic.id.lower(): tactic for tactic in TACTICS}
_TECHNIQUE_TAG: Final = re.compile(r"t\d{4}(?:\.\d{3})?")


def technique(identifier: str) -> Technique:
    """The technique with this id, upper or lower case; its name is empty if the table does not know it."""
    identifier = identifier.upper()
    return Technique(identifier, TECHNIQUES.get(identifier, ""))


def attack_of(tags: Sequence[str]) -> Attack:
    """What Sigma tags (``attack.impact``, ``attack.t1496``) say; other tags are passed over."""
    tactics: set[Tactic] = set()
    ids: set[str] = set()
    for tag in tags:
        space, _, word = tag.lower().partition(".")
        if space != "attack":
            continue
        plain = word.replace("_", "-")
        named = _BY_TAG.get(_ALIASES.get(plain, plain)) or _BY_ID.get(plain)
        if named is not None:
            tactics.add(named)
        elif _TECHNIQUE_TAG.fullmatch(word):
            ids.add(word.upper())
            ids.add(word.upper().partition(".")[0])
    found = [technique(identifier) for identifier in sorted(ids)]
    return Attack(
        tactics=tuple(tactic for tactic in TACTICS if tactic in tactics),
        techniques=tuple(item for item in found if not item.is_sub),
        subtechniques=tuple(item for item in found if item.is_sub),
    )
