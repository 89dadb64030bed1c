"""The sink against a real Elasticsearch: every document once, whatever the server does."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streamer.elastic import ElasticConnection, ElasticSink
from streamer.elastic.verdicts import Verdict
from streamer.errors import ServerError
from streamer.model import Document
from tests.servers.elasticsearch import ElasticsearchServer, request
from tests.servers.indices import ids_in, search


def document(index: str, number: int, body: bytes | None = None) -> Document:
    identity = f"{number:032x}"
    body = body or b'{"n": %d, "message": "alert %d"}' % (number, number)
    return Document(id=identity, index=index, key=b"k", body=body, headers=(), time_us=1)


def documents_for(index: str, count: int) -> list[Document]:
    return [document(index, number) for number in range(count)]


@asynccontextmanager
async def sink_of(url: str, *, timeout_s: float = 10, **options: Any) -> AsyncIterator[ElasticSink]:
    sink = ElasticSink(ElasticConnection((url,), request_timeout_s=timeout_s, **options))
    await sink.start()
    try:
        yield sink
    finally:
        await sink.stop()


async def insist(sink: ElasticSink, documents: Sequence[Document], within_s: float = 90) -> None:
    """Deliver as the service does: what is done is noted, the rest goes again."""
    waiting = list(documents)
    async with asyncio.timeout(within_s):
        while waiting:
            try:
                done = set(await sink.deliver(waiting))
            except ServerError:
                await asyncio.sleep(0.2)
                continue
            waiting = [each for each in waiting if each.id not in done]


async def test_documents_stand_in_the_index_they_name_under_their_own_id(elasticsearch_url, unique):
    first, second = document(f"{unique}-2026.01.01", 1), document(f"{unique}-2026.01.02", 2)
    async with sink_of(elasticsearch_url) as sink:
        assert await sink.deliver([first, second]) == (first.id, second.id)
    (hit,) = search(elasticsearch_url, first.index)
    assert (hit["_id"], hit["_source"]) == (first.id, {"n": 1, "message": "alert 1"})
    assert ids_in(elasticsearch_url, second.index) == [second.id]


async def test_delivering_again_stores_nothing_twice_and_changes_nothing(elasticsearch_url, unique):
    documents = documents_for(unique, 5)
    async with sink_of(elasticsearch_url) as sink:
        await sink.deliver(documents)
        changed = [document(unique, number, b'{"n": 99}') for number in range(5)]
        assert len(await sink.deliver([*changed, document(unique, 5)])) == 6
        assert sink.verdicts[Verdict.DUPLICATE] == 5
    assert len(ids_in(elasticsearch_url, unique)) == 6
    assert {hit["_source"]["n"] for hit in search(elasticsearch_url, unique)} == set(range(6))


async def test_many_documents_go_in_several_requests(elasticsearch_url, unique):
    documents = documents_for(unique, 1201)
    async with sink_of(elasticsearch_url) as sink:
        assert len(await sink.deliver(documents)) == 1201
    assert len(ids_in(elasticsearch_url, unique)) == 1201


async def test_a_document_the_mapping_refuses_is_set_aside_and_the_others_are_stored(elasticsearch_url, unique):
    request(elasticsearch_url, "PUT", f"/{unique}", {"mappings": {"properties": {"at": {"type": "date"}}}})
    documents = [document(unique, 1), document(unique, 2, b'{"at": "never"}'), document(unique, 3)]
    async with sink_of(elasticsearch_url) as sink:
        assert len(await sink.deliver(documents)) == 3
        assert list(sink.set_aside) == [documents[1].id]
        assert "document_parsing_exception" in sink.set_aside[documents[1].id]
    assert ids_in(elasticsearch_url, unique) == [documents[0].id, documents[2].id]


# The client would rather have large bodies as streams; ours are large only here, because noise does not compress.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_request_too_large_goes_in_halves_and_a_document_too_large_is_set_aside(elasticsearch_url, unique):
    request(elasticsearch_url, "PUT", f"/{unique}", {"mappings": {"dynamic": False}})
    dice = random.Random(7)
    noise = [b'{"pad": "%s"}' % dice.randbytes(size).hex().encode() for size in (700_000, 700_000, 3_000_000, 100)]
    documents = [document(unique, number, body) for number, body in enumerate(noise)]
    async with sink_of(elasticsearch_url) as sink:
        assert len(await sink.deliver(documents)) == 4
        assert list(sink.set_aside) == [documents[2].id]
        # One request with several documents that only together are too large.
        wide = [document(unique, 10 + number, noise[0]) for number in range(3)]
        outcomes = await sink._bulk.send([*wide, document(unique, 20, noise[0]), document(unique, 21, noise[0])])
        assert [outcome.verdict for outcome in outcomes] == [Verdict.STORED] * 5
    assert len(ids_in(elasticsearch_url, unique)) == 8


async def test_a_proxy_that_hangs_up_on_large_requests_is_given_smaller_ones(elasticsearch_url, unique):
    """nginx takes 1 MB by default and closes the connection while the client is still sending."""
    dice = random.Random(8)
    noise = b'{"pad": "%s"}' % dice.randbytes(100_000).hex().encode()
    async with _hanging_up_above(600_000, elasticsearch_url) as proxy, sink_of(proxy) as sink:
        await insist(sink, [document(unique, number, noise) for number in range(12)])
    assert len(ids_in(elasticsearch_url, unique)) == 12


async def test_a_blocked_index_makes_documents_wait_and_says_why(elasticsearch_url, unique):
    request(elasticsearch_url, "PUT", f"/{unique}")
    async with sink_of(elasticsearch_url) as sink:
        for block in ("index.blocks.write", "index.blocks.read_only_allow_delete"):
            request(elasticsearch_url, "PUT", f"/{unique}/_settings", {block: True})
            with pytest.raises(ServerError, match="cluster_block_exception") as blocked:
                await sink.deliver(documents_for(unique, 3))
            assert blocked.value.retriable
            assert unique in str(blocked.value)
            request(elasticsearch_url, "PUT", f"/{unique}/_settings", {block: None})
        assert len(await sink.deliver(documents_for(unique, 3))) == 3


async def test_a_blocked_cluster_is_no_credential_error(elasticsearch_url, unique):
    async with sink_of(elasticsearch_url) as sink:
        await sink.deliver(documents_for(unique, 1))
        request(elasticsearch_url, "PUT", "/_cluster/settings", {"transient": {"cluster.blocks.read_only": True}})
        try:
            with pytest.raises(ServerError, match="cluster_block_exception") as blocked:
                await sink.deliver(documents_for(unique, 3))
            assert blocked.value.retriable
        finally:
            request(elasticsearch_url, "PUT", "/_cluster/settings", {"transient": {"cluster.blocks.read_only": None}})
        assert len(await sink.deliver(documents_for(unique, 3))) == 3


async def test_a_closed_index_waits_for_a_person_while_other_indices_go_on(elasticsearch_url, unique):
    closed, open_ = f"{unique}-closed", f"{unique}-open"
    request(elasticsearch_url, "PUT", f"/{closed}")
    request(elasticsearch_url, "POST", f"/{closed}/_close")
    async with sink_of(elasticsearch_url) as sink:
        mixed = [document(closed, 1), document(open_, 2)]
        assert await sink.deliver(mixed) == (mixed[1].id,)
        with pytest.raises(ServerError, match="index_closed_exception") as waiting:
            await sink.deliver(mixed[:1])
        assert not waiting.value.retriable
        assert closed in str(waiting.value)
        request(elasticsearch_url, "POST", f"/{closed}/_open")
        await insist(sink, mixed)


async def test_an_index_that_may_not_be_made_is_the_operators_state(elasticsearch_url, unique):
    setting = "action.auto_create_index"
    async with sink_of(elasticsearch_url) as sink:
        request(elasticsearch_url, "PUT", "/_cluster/settings", {"transient": {setting: False}})
        try:
            with pytest.raises(ServerError, match="index_not_found_exception") as missing:
                await sink.deliver(documents_for(unique, 1))
            assert not missing.value.retriable
        finally:
            request(elasticsearch_url, "PUT", "/_cluster/settings", {"transient": {setting: None}})
        await insist(sink, documents_for(unique, 1))


async def test_a_missing_template_is_said_at_the_start(elasticsearch_url, unique):
    sink = ElasticSink(ElasticConnection((elasticsearch_url,)), template=unique)
    with pytest.raises(ServerError, match=f"no index template {unique}") as missing:
        await sink.start()
    assert missing.value.hint == "Run `streamer setup`."


async def test_nobody_listening_is_a_retriable_sentence():
    sink = ElasticSink(ElasticConnection(("http://127.0.0.1:1",)))
    with pytest.raises(ServerError, match="does not answer") as away:
        await sink.start()
    assert away.value.retriable


async def test_a_frozen_server_may_have_applied_the_request_and_nothing_is_stored_twice(
    elasticsearch_server: ElasticsearchServer, unique
):
    async with sink_of(elasticsearch_server.url, timeout_s=3) as sink:
        await insist(sink, documents_for(unique, 1))
        elasticsearch_server.freeze()
        with pytest.raises(ServerError, match="does not answer"):
            await sink.deliver(documents_for(unique, 50))
        elasticsearch_server.thaw()
        await insist(sink, documents_for(unique, 50))
    assert len(ids_in(elasticsearch_server.url, unique)) == 50


async def test_a_server_killed_under_load_and_started_again_has_every_document_once(
    elasticsearch_server: ElasticsearchServer, unique
):
    documents = documents_for(unique, 3000)
    async with sink_of(elasticsearch_server.url, timeout_s=5) as sink:
        delivering = asyncio.create_task(_in_batches(sink, documents))
        await asyncio.sleep(0.5)
        elasticsearch_server.kill()
        elasticsearch_server.spawn()
        await delivering
    elasticsearch_server.wait_ready()
    assert len(ids_in(elasticsearch_server.url, unique)) == 3000


async def test_a_server_that_comes_later_is_used_when_it_comes(elasticsearch_server: ElasticsearchServer, unique):
    elasticsearch_server.kill()
    sink = ElasticSink(ElasticConnection((elasticsearch_server.url,)))
    with pytest.raises(ServerError):
        await sink.start()
    elasticsearch_server.spawn()
    started = time.monotonic()
    await insist(sink, documents_for(unique, 3))
    await sink.stop()
    assert time.monotonic() - started < 60
    elasticsearch_server.wait_ready()
    assert len(ids_in(elasticsearch_server.url, unique)) == 3


@asynccontextmanager
async def _hanging_up_above(most_bytes: int, url: str) -> AsyncIterator[str]:
    """A proxy in front of ``url`` that closes a connection as soon as one request is larger."""
    host, _, port = url.removeprefix("http://").partition(":")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        if size <= most_bytes:
            head = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", head)[:-2] + b"connection: close\r\n\r\n"
            up, down = await asyncio.open_connection(host, int(port))
            down.write(head + (await reader.readexactly(size)))
            writer.write(await up.read())
            down.close()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _in_batches(sink: ElasticSink, documents: Sequence[Document]) -> None:
    for start in range(0, len(documents), 100):
        await insist(sink, documents[start : start + 100])
