"""The real servers, started once per test run and only if a test asks for them.

Addresses in ``STREAMER_TEST_KAFKA`` (``host:port``) and ``STREAMER_TEST_ELASTICSEARCH`` (``http://host:port``) replace
them; tests that kill a server then have nothing to kill and are the only ones that are left out.
"""

from __future__ import annotations

import gc
import os
import uuid
import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests.correlate.properties.summary import (  # noqa: F401 (hooks)
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from tests.servers.certificates import Authority
from tests.servers.download import MissingError
from tests.servers.elasticsearch import ElasticsearchServer
from tests.servers.kafka import KafkaServer
from tests.servers.process import ServerProcess
from tests.servers.secured_kafka import SecuredKafka

Server = TypeVar("Server", bound=ServerProcess)

# A busy machine must not turn a slow example into a failure, and a failure must be found again by the next run.
settings.register_profile("streamer", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("streamer")

SERVER_FIXTURES = {
    "kafka_address",
    "kafka_server",
    "elasticsearch_url",
    "elasticsearch_server",
    "secured_elasticsearch",
    "secured_kafka",
    "keyed_elasticsearch",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server, so that ``-m 'not servers'`` runs without Java."""
    for item in items:
        if SERVER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.servers)


def _running(make: Callable[[], Server]) -> Iterator[Server]:
    """The server, started, until the fixture's end. What is not installed is a failure with one sentence."""
    try:
        server = make()
    except MissingError as missing:
        pytest.fail(str(missing), pytrace=False)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Collect what the Kafka client leaves behind, here and not in some later test.

    A client that is closed while it opens a connection forgets that connection; there is no reference by which it
    could be closed. Only what is unreachable after such a test is forgiven.
    """
    yield
    if item.get_closest_marker("servers"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture(scope="session")
def _own_kafka() -> Iterator[KafkaServer | None]:
    if os.environ.get("STREAMER_TEST_KAFKA"):
        yield None
        return
    yield from _running(KafkaServer)


@pytest.fixture(scope="session")
def _own_elasticsearch() -> Iterator[ElasticsearchServer | None]:
    if os.environ.get("STREAMER_TEST_ELASTICSEARCH"):
        yield None
        return
    yield from _running(ElasticsearchServer)


@pytest.fixture(scope="session")
def secured_elasticsearch() -> Iterator[ElasticsearchServer]:
    """A second Elasticsearch, with users and keys; always our own."""
    yield from _running(lambda: ElasticsearchServer(security=True))


@pytest.fixture(scope="session")
def keyed_elasticsearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElasticsearchServer]:
    """A third Elasticsearch, which speaks TLS only and keeps API keys; always our own."""
    folder = tmp_path_factory.mktemp("authority")
    yield from _running(lambda: ElasticsearchServer(authority=Authority(folder)))


@pytest.fixture(scope="session")
def secured_kafka() -> Iterator[SecuredKafka]:
    """A second Kafka, with TLS, logins and access lists; always our own."""
    yield from _running(SecuredKafka)


@pytest.fixture(scope="session")
def kafka_address(_own_kafka: KafkaServer | None) -> str:
    """Bootstrap address of a running Kafka."""
    return _own_kafka.address if _own_kafka else os.environ["STREAMER_TEST_KAFKA"]


@pytest.fixture(scope="session")
def elasticsearch_url(_own_elasticsearch: ElasticsearchServer | None) -> str:
    """URL of a running Elasticsearch without security."""
    return _own_elasticsearch.url if _own_elasticsearch else os.environ["STREAMER_TEST_ELASTICSEARCH"]


@pytest.fixture
def kafka_server(_own_kafka: KafkaServer | None) -> Iterator[KafkaServer]:
    """The Kafka of this run, to be killed and frozen; it runs again afterwards, whatever the test did."""
    if _own_kafka is None:
        pytest.skip("the Kafka given by address is not ours to kill")
    yield _own_kafka
    _own_kafka.revive()


@pytest.fixture
def elasticsearch_server(_own_elasticsearch: ElasticsearchServer | None) -> Iterator[ElasticsearchServer]:
    """The Elasticsearch of this run, to be killed and frozen; it runs again afterwards, whatever the test did."""
    if _own_elasticsearch is None:
        pytest.skip("the Elasticsearch given by address is not ours to kill")
    yield _own_elasticsearch
    _own_elasticsearch.revive()


@pytest.fixture
def unique() -> str:
    """A name that no other test uses: for topics, indices and namespaces. Nothing has to be cleaned up then."""
    return f"t{uuid.uuid4().hex[:12]}"
