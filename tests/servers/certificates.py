"""A certificate authority for one test run, made with the ``openssl`` program; nothing of it is kept."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.download import MissingError

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its private key, PEM; ``both_file`` holds key and certificate, as a broker wants it."""

    cert_file: Path
    key_file: Path
    both_file: Path


class Authority:
    """Issues certificates for this machine.

    Args:
        folder: existing; keys and certificates go there.
        name: common name of the authority.
    """

    def __init__(self, folder: Path, name: str = "streamer tests") -> None:
        self._folder = folder
        self._key = folder / "authority.key"
        self.ca_file = folder / "authority.pem"
        usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        _openssl(
            "req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}", *usage,
            "-keyout", str(self._key), "-out", str(self.ca_file),
        )  # fmt: skip

    def issue(self, common_name: str, *, expired: bool = False) -> Certificate:
        """A certificate for 127.0.0.1 and localhost, to be used on either side of a connection."""
        stem = self._folder / common_name
        key, request, cert, both = (stem.with_suffix(end) for end in (".key", ".csr", ".pem", ".both.pem"))
        extensions = stem.with_suffix(".ext")
        extensions.write_text(
            "subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n"
            "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        )
        _openssl("req", "-new", *_KEY, "-subj", f"/CN={common_name}", "-keyout", str(key), "-out", str(request))
        _openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.ca_file), "-CAkey", str(self._key), "-CAcreateserial",
            "-days", "-1" if expired else "2", "-extfile", str(extensions), "-out", str(cert),
        )  # fmt: skip
        both.write_text(key.read_text() + cert.read_text())
        return Certificate(cert, key, both)


def _openssl(*arguments: str) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise MissingError(
            "The tests of TLS make their own certificates and found no openssl: install it "
            "(Debian, Ubuntu: apt-get install openssl)."
        )
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]} failed:\n{done.stderr}")
