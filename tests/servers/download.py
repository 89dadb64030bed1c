"""Fetches the real servers, once per machine: from Maven Central by coordinates, into a cache outside the checkout.

Java and Maven are the only prerequisites; whatever is missing is said in one sentence (:class:`MissingError`).
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KAFKA_VERSION = "4.4.0"
ELASTICSEARCH_VERSION = "8.19.21"
JAVA_NEEDED = 17

_HERE = Path(__file__).resolve().parent
_ADDRESSES = "or give running servers in STREAMER_TEST_KAFKA and STREAMER_TEST_ELASTICSEARCH"


class MissingError(RuntimeError):
    """Something that the tests need is not installed; the message is one sentence that says what to do."""


def cache_folder() -> Path:
    """Where downloads live: ``$STREAMER_TEST_CACHE``, else ``~/.cache/streamer``.

    Elasticsearch refuses to run as root, and root's home is closed to the user it then runs as: root caches under
    ``/var/tmp``.
    """
    if chosen := os.environ.get("STREAMER_TEST_CACHE"):
        folder = Path(chosen).expanduser().resolve()
    elif os.getuid() == 0:
        folder = Path("/var/tmp/streamer-tests-0")
    else:
        folder = Path.home() / ".cache" / "streamer"
    folder.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0 and not open_to_all(folder):
        raise MissingError(
            f"{folder} cannot be entered by other users, which Elasticsearch needs: set STREAMER_TEST_CACHE."
        )
    if folder.stat().st_uid != os.getuid():
        raise MissingError(f"{folder} belongs to somebody else: set STREAMER_TEST_CACHE to a folder of your own.")
    return folder


def open_to_all(folder: Path) -> bool:
    """Whether any user may enter the folder and all folders above it."""
    return all(place.stat().st_mode & stat.S_IXOTH for place in (folder, *folder.parents))


def java_home(at_least: int = JAVA_NEEDED) -> Path:
    """The oldest Java that serves; raises :class:`MissingError`."""
    places = [Path(home) for home in (os.environ.get("JAVA_HOME"),) if home]
    if found := shutil.which("java"):
        places.append(Path(found).resolve().parent.parent)
    places += sorted(Path("/usr/lib/jvm").glob("*"))
    versions = {home: _java_version(home) for home in places if (home / "bin/java").exists()}
    fitting = [home for home, version in versions.items() if version >= at_least]
    if not fitting:
        raise MissingError(
            f"The tests run a real Kafka and a real Elasticsearch and found no Java {at_least} or newer: install one "
            f"(Debian, Ubuntu: apt-get install default-jdk-headless maven), {_ADDRESSES}."
        )
    return min(fitting, key=lambda home: versions[home])


def kafka_jars() -> list[Path]:
    """The broker's class path, downloaded if it is not there yet."""
    with _exclusive("kafka") as cache:
        libs = cache / f"kafka-{KAFKA_VERSION}"
        if not (libs / ".complete").exists():
            shutil.rmtree(libs, ignore_errors=True)
            _maven(
                "kafka.pom.xml",
                "dependency:copy-dependencies",
                {"kafka.version": KAFKA_VERSION, "destination": str(libs)},
            )
            (libs / ".complete").touch()
    return sorted(libs.glob("*.jar"))


def elasticsearch_home() -> Path:
    """The unpacked Elasticsearch, downloaded if it is not there yet; readable by everybody."""
    with _exclusive("elasticsearch") as cache:
        home = cache / f"elasticsearch-{ELASTICSEARCH_VERSION}"
        if not (home / ".complete").exists():
            unpacked = cache / "elasticsearch-unpacked"
            for leftover in (home, unpacked):
                shutil.rmtree(leftover, ignore_errors=True)
            _maven(
                "elasticsearch.pom.xml",
                "generate-resources",
                {"elasticsearch.version": ELASTICSEARCH_VERSION, "destination": str(unpacked)},
            )
            (unpacked / home.name).rename(home)
            shutil.rmtree(unpacked, ignore_errors=True)
            for script in (home / "bin").iterdir():
                script.chmod(0o755)  # unpacking lost the executable bits
            for folder in ("plugins", "logs"):
                (home / folder).mkdir(exist_ok=True)
            (home / ".complete").touch()
    return home


def elasticsearch_home_with_keys() -> Path:
    """The same with a plugin of ours, without which that distribution can keep no API keys; needs ``javac``."""
    plain = elasticsearch_home()
    compiler = java_home() / "bin/javac"
    if not compiler.exists():
        raise MissingError(
            f"The tests of API keys compile a plugin, and {compiler.parent} has no javac: install a JDK."
        )
    with _exclusive("elasticsearch") as cache:
        home = cache / f"{plain.name}-keys"
        source = _HERE / "elasticsearch_keys/KeysPlugin.java"
        made = home / ".complete"
        if not made.exists() or made.stat().st_mtime < source.stat().st_mtime:
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(plain, home, copy_function=os.link)
            made.unlink()
            _build_plugin(home, compiler, source)
            made.touch()
    return home


def _build_plugin(home: Path, compiler: Path, source: Path) -> None:
    folder = home / "plugins/streamer-tests-keys"
    classes = folder / "classes"
    classes.mkdir(parents=True)
    options = ["-nowarn", "-proc:none", "--release", str(JAVA_NEEDED)]
    subprocess.run(
        [compiler, *options, "-cp", f"{home}/lib/*", "-d", classes, source], check=True, capture_output=True, text=True
    )
    subprocess.run([compiler.with_name("jar"), "cf", folder / "keys.jar", "-C", classes, "streamer"], check=True)
    shutil.rmtree(classes)
    (folder / "plugin-descriptor.properties").write_text(
        "description=For tests: what API keys need\nversion=1\nname=streamer-tests-keys\n"
        f"classname=streamer.tests.KeysPlugin\njava.version={JAVA_NEEDED}\nelasticsearch.version={ELASTICSEARCH_VERSION}\n"
    )


@contextmanager
def _exclusive(name: str) -> Iterator[Path]:
    """The cache, while no other test run downloads the same thing."""
    cache = cache_folder()
    with (cache / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache


def _maven(pom: str, goal: str, properties: dict[str, str]) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingError(
            "The tests download a real Kafka and a real Elasticsearch with Maven, which is not installed: install it "
            f"(Debian, Ubuntu: apt-get install maven), {_ADDRESSES}."
        )
    java_home()
    definitions = [f"-D{name}={value}" for name, value in properties.items()]
    command = [maven, "-B", "-ntp", "-q", "-f", str(_HERE / pom), *definitions, goal]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise MissingError(f"Maven could not download what {pom} names; its last words were:\n{said}")


def _java_version(home: Path) -> int:
    told = ""
    if (home / "release").exists():
        told = (home / "release").read_text(errors="replace")
    found = re.search(r'JAVA_VERSION="(\d+)', told)
    if not found:
        run = subprocess.run([home / "bin/java", "-version"], capture_output=True, text=True, check=False)
        found = re.search(r'version "(\d+)', run.stderr)
    return int(found[1]) if found else 0
