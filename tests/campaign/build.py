"""Writes the bundled data: ``python -m tests.campaign.build``.

What is committed under ``streamer/_demo`` must equal what this writes; a test compares them.
"""

from __future__ import annotations

from pathlib import Path

from tests.campaign.stories import MINING, baseline, campaign, twins

DEMO = Path(__file__).resolve().parents[2] / "streamer" / "_demo"


def built() -> dict[str, bytes]:
    """Every file of the bundled data by its path below ``streamer/_demo``."""
    known, attack, benign = baseline(), campaign(), twins()
    files = {
        "baseline/audit.ndjson": known.audit_file(),
        "baseline/containers.ndjson": known.containers_file(),
        "campaign/audit.ndjson": attack.audit_file(duplicate=f'"{MINING}"'.encode(), broken=True),
        "campaign/containers.ndjson": attack.containers_file(),
        "twins/audit.ndjson": benign.audit_file(),
        "twins/containers.ndjson": benign.containers_file(),
    }
    return {path: b"".join(line + b"\n" for line in lines) for path, lines in files.items()}


def main() -> None:
    """Write them."""
    for path, data in built().items():
        file = DEMO / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        print(f"{path}: {len(data.splitlines())} lines, {len(data)} bytes")


if __name__ == "__main__":
    main()
