"""Image references."""

from __future__ import annotations

import pytest

from streamer.decode.images import parse_image


@pytest.mark.parametrize(
    ("reference", "registry", "repository", "tag", "digest"),
    [
        ("busybox", "docker.io", "busybox", None, None),
        ("library/bash:4.4.23", "docker.io", "bash", "4.4.23", None),
        ("docker.io/library/busybox", "docker.io", "busybox", None, None),
        ("tensorflow/tensorflow:latest-gpu", "docker.io", "tensorflow/tensorflow", "latest-gpu", None),
        ("gcr.io/ml-pipeline/api:1.0", "gcr.io", "gcr.io/ml-pipeline/api", "1.0", None),
        ("localhost:5000/x/y", "localhost:5000", "localhost:5000/x/y", None, None),
        ("localhost/x", "localhost", "localhost/x", None, None),
        ("reg.example:443/a@sha256:abc", "reg.example:443", "reg.example:443/a", None, "sha256:abc"),
        ("REG/team/x:1", "reg", "reg/team/x", "1", None),
        ("[2001:db8::1]:5000/x:1", "[2001:db8::1]:5000", "[2001:db8::1]:5000/x", "1", None),
        ("reg.example:5000/a/b", "reg.example:5000", "reg.example:5000/a/b", None, None),
        ("registry.hub.docker.com/library/nginx:1", "docker.io", "nginx", "1", None),
        ("a/b:t@sha256:abc", "docker.io", "a/b", "t", "sha256:abc"),
        ("", "docker.io", "", None, None),
        (":::", "docker.io", "::", None, None),
    ],
)
def test_a_reference_is_taken_apart(reference, registry, repository, tag, digest):
    assert parse_image(reference) == (registry, repository, tag, digest)


def test_equal_paths_on_different_registries_are_different_repositories():
    assert parse_image("evil.example/tensorflow/tensorflow").repository != "tensorflow/tensorflow"
