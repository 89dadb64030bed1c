"""Microsoft's Threat Matrix for Kubernetes: its tactics and techniques.

Rules say it with tags ``threat-matrix.ms-ta9025``. The numbers run from 9001 to 9041; 9032, the Kubernetes dashboard,
became part of 9005 when the matrix was revised, and its tag is understood as that. Something of each technique can be
seen in audit or container logs, of some only how it is prepared: forged packets are not seen, the command that sends
them is.
"""

from __future__ import annotations

from typing import Final

from streamer.authoring.matrix import Cell, Matrix, columns_of

_NAMES: Final = """
MS-TA9001 Using cloud credentials
MS-TA9002 Compromised image in registry
MS-TA9003 Kubeconfig file
MS-TA9004 Application vulnerability
MS-TA9005 Exposed sensitive interfaces
MS-TA9006 Exec into container
MS-TA9007 bash/cmd inside container
MS-TA9008 New container
MS-TA9009 Application exploit (RCE)
MS-TA9010 SSH server running inside container
MS-TA9011 Sidecar injection
MS-TA9012 Backdoor container
MS-TA9013 Writable hostPath mount
MS-TA9014 Kubernetes CronJob
MS-TA9015 Malicious admission controller
MS-TA9016 Container service account
MS-TA9017 Static pods
MS-TA9018 Privileged container
MS-TA9019 Cluster-admin binding
MS-TA9020 Access cloud resources
MS-TA9021 Clear container logs
MS-TA9022 Delete Kubernetes events
MS-TA9023 Pod or container name similarity
MS-TA9024 Connect from proxy server
MS-TA9025 List Kubernetes secrets
MS-TA9026 Mount service principal
MS-TA9027 Application credentials in configuration files
MS-TA9028 Access managed identity credentials
MS-TA9029 Access the Kubernetes API server
MS-TA9030 Access Kubelet API
MS-TA9031 Network mapping
MS-TA9033 Instance Metadata API
MS-TA9034 Cluster internal networking
MS-TA9035 CoreDNS poisoning
MS-TA9036 ARP poisoning and IP spoofing
MS-TA9037 Images from a private registry
MS-TA9038 Data destruction
MS-TA9039 Resource hijacking
MS-TA9040 Denial of service
MS-TA9041 Collecting data from pod
"""

_TACTICS: Final = {
    "initial-access": "Initial Access",
    "execution": "Execution",
    "persistence": "Persistence",
    "privilege-escalation": "Privilege Escalation",
    "defense-evasion": "Defense Evasion",
    "credential-access": "Credential Access",
    "discovery": "Discovery",
    "lateral-movement": "Lateral Movement",
    "collection": "Collection",
    "impact": "Impact",
}

_COLUMNS: Final = """
initial-access: 9001 9002 9003 9004 9005
execution: 9006 9007 9008 9009 9010 9011
persistence: 9012 9013 9014 9015 9016 9017
privilege-escalation: 9018 9019 9013 9020
defense-evasion: 9021 9022 9023 9024
credential-access: 9025 9026 9016 9027 9028 9015
discovery: 9029 9030 9031 9005 9033
lateral-movement: 9020 9016 9034 9027 9013 9035 9036
collection: 9037 9041
impact: 9038 9039 9040
"""

_CELLS: Final = {
    identifier.removeprefix("MS-TA"): Cell(identifier, name)
    for identifier, name in (line.split(maxsplit=1) for line in _NAMES.strip().splitlines())
}

KUBERNETES: Final = Matrix(
    key="kubernetes",
    name="Microsoft Threat Matrix for Kubernetes",
    version="3",
    tag="threat-matrix",
    columns=columns_of(_COLUMNS, _TACTICS, _CELLS),
    successors={"MS-TA9032": "MS-TA9005"},
)
"""The matrix as Microsoft publishes it."""
