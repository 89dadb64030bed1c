"""A server process that cannot outlive the test run: free ports, logs, signals, and an end with its parent."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

NOBODY = 65534
"""The user that Elasticsearch runs as when the tests run as root."""


def temporary_folder(name: str, parent: Path | None = None) -> Path:
    """A new folder of this process; what killed test runs left behind goes."""
    parent = parent or Path(tempfile.gettempdir())
    for leftover in parent.glob(f"streamer-{name}-*-*"):
        owner = leftover.name.split("-")[2]
        if owner.isdigit() and not _runs(int(owner)):
            shutil.rmtree(leftover, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"streamer-{name}-{os.getpid()}-", dir=parent))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different; chosen before the start so that a restart keeps the address."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class ServerProcess(ABC):
    """One server of the test run.

    Start it from the main thread: the kernel ends the server when the *thread* that started it ends.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the process said on both outputs."""
        return self.folder / "output.log"

    @property
    def pid(self) -> int:
        """The process that signals are for."""
        assert self.process is not None
        return self.process.pid

    @abstractmethod
    def spawn(self) -> None:
        """Start without waiting."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server answers a real request."""

    def start(self) -> None:
        """Start and wait until ready."""
        self.spawn()
        self.wait_ready()

    def wait_ready(self, timeout_s: float = 180) -> None:
        """Wait until the server answers; raises with the tail of its log."""
        end = time.monotonic() + timeout_s
        while not self.is_ready():
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > end:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
                raise RuntimeError(f"{type(self).__name__} did not start:\n{tail}")
            time.sleep(0.05)

    def freeze(self) -> None:
        """Stop answering without closing a connection (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after :meth:`freeze`."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """``kill -9``: no chance to tidy up; the data stays for the next :meth:`start`."""
        os.kill(self.pid, signal.SIGKILL)
        self._reap(30)

    def revive(self) -> None:
        """Whatever was done to it: it runs and answers again."""
        assert self.process is not None
        if self.process.poll() is None:
            self.thaw()
            self.wait_ready()
        else:
            self.start()

    def stop(self) -> None:
        """End politely, forcefully after 20 seconds; may be called twice."""
        if self.process is None or self.process.poll() is not None:
            return
        for sign in (signal.SIGCONT, signal.SIGTERM):
            try:
                os.kill(self.pid, sign)
            except (OSError, ValueError):
                self.process.terminate()
        self._reap(20)

    def close(self) -> None:
        """Stop, and remove the data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _reap(self, timeout_s: float) -> None:
        assert self.process is not None
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)

    def _launch(self, command: Sequence[str], *, env: Mapping[str, str] | None = None, drop_root: bool = False) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                mortal(command, drop_root=drop_root),
                env=None if env is None else dict(env),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def mortal(command: Sequence[str], *, drop_root: bool = False) -> list[str]:
    """The command, ended by the kernel when the thread that starts it ends; as :data:`NOBODY` instead of root."""
    if not shutil.which("setpriv"):
        return list(command)
    identity = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    dropped = identity if drop_root and os.getuid() == 0 else []
    return ["setpriv", "--pdeathsig", "KILL", *dropped, "--", *command]
