"""Image references taken apart the way Docker names them."""

from __future__ import annotations

from typing import NamedTuple

_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})


class Image(NamedTuple):
    """An image reference.

    Attributes:
        registry: host of the registry and its port where one is written; ``docker.io`` where none is named.
        repository: without tag and digest, with the registry unless that is Docker Hub, without Docker Hub's
            ``library/``: equal for all spellings of one repository, different for equal paths on other registries.
        tag: ``None`` where none is written.
        digest: ``sha256:...``, ``None`` where none is written.
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None


def parse_image(reference: str) -> Image:
    """Take a reference apart; never fails, a strange reference is all repository."""
    rest, _, digest = reference.strip().partition("@")
    head, slash, path = rest.partition("/")
    registry = "docker.io"
    if slash and ("." in head or ":" in head or head == "localhost" or head != head.lower()):
        registry, rest = head.lower(), path
    name, _, tag = rest.rpartition(":")
    if not name or "/" in tag:
        name, tag = rest, ""
    if registry in _HUB:
        return Image("docker.io", name.removeprefix("library/"), tag or None, digest or None)
    return Image(registry, f"{registry}/{name}", tag or None, digest or None)
