"""Bulk requests side by side, and the rows of the failure table that are about the request as a whole."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from typing import Any

import pytest

from streamer.ecs.bodies import SHORTENED, shortened
from streamer.elastic import Bulk, ElasticConnection, Verdict
from streamer.errors import ServerError
from tests.elastic.test_connection import PRODUCT, answering
from tests.elastic.test_sink import document, documents_for
from tests.servers.elasticsearch import ElasticsearchServer, request
from tests.servers.gateway import gateway_to
from tests.servers.indices import ids_in, search


@pytest.fixture
async def bulk(elasticsearch_url):
    bulk = Bulk(ElasticConnection((elasticsearch_url,), request_timeout_s=10), shorten=shortened)
    yield bulk
    await bulk.close()


def verdicts(outcomes) -> list[Verdict]:
    return [outcome.verdict for outcome in outcomes]


async def test_requests_side_by_side_over_the_same_documents_store_each_once(bulk, elasticsearch_url, unique):
    documents = documents_for(unique, 400)
    shares = [documents[start : start + 100] for start in range(0, 301, 50)]
    answers = await asyncio.gather(*(bulk.send(share) for share in shares))
    assert {verdict for answer in answers for verdict in verdicts(answer)} == {Verdict.STORED, Verdict.DUPLICATE}
    assert bulk.verdicts[Verdict.STORED] == 400
    assert (bulk.in_flight, bulk.requests) == (0, 7)
    assert len(ids_in(elasticsearch_url, unique)) == 400


async def test_fresh_credentials_wait_for_requests_that_still_use_the_old_ones(
    secured_elasticsearch: ElasticsearchServer, tmp_path, unique
):
    file = tmp_path / "password"
    file.write_text(secured_elasticsearch.password or "")
    connection = ElasticConnection((secured_elasticsearch.url,), username="elastic", password_file=str(file))
    bulk = Bulk(connection)
    await bulk.open()
    running = [asyncio.create_task(bulk.send(documents_for(f"{unique}-{number}", 300))) for number in range(4)]
    await asyncio.sleep(0)
    await bulk.reopen()
    assert [set(verdicts(answer)) for answer in await asyncio.gather(*running)] == [{Verdict.STORED}] * 4
    await bulk.close()


async def test_an_invalid_api_key_is_a_configuration_error_that_names_no_secret(
    secured_elasticsearch: ElasticsearchServer, tmp_path, unique
):
    file = tmp_path / "key"
    file.write_text("bm9ib2R5OmtleQ==")
    bulk = Bulk(ElasticConnection((secured_elasticsearch.url,), api_key_file=str(file)))
    with pytest.raises(ServerError, match="refuses the credentials") as refused:
        await bulk.send(documents_for(unique, 1))
    assert not refused.value.retriable
    assert "bm9ib2R5OmtleQ==" not in f"{refused.value} {refused.value.hint}"
    await bulk.close()


async def test_a_password_that_stops_working_in_the_middle_is_read_again(
    secured_elasticsearch: ElasticsearchServer, tmp_path, unique
):
    may: dict[str, Any] = {"names": [f"{unique}*"], "privileges": ["create_doc", "auto_configure"]}
    secured_elasticsearch.define_role(unique, {"cluster": ["monitor"], "indices": [may]})
    for name in ("first", "second"):
        secured_elasticsearch.add_user(f"{unique}-{name}", "long enough", unique)
    await asyncio.sleep(2.5)  # until the server has read both files
    file = tmp_path / "password"
    file.write_text("long enough")
    connection = ElasticConnection((secured_elasticsearch.url,), username=f"{unique}-first", password_file=str(file))
    bulk = Bulk(connection)
    assert verdicts(await bulk.send(documents_for(unique, 1))) == [Verdict.STORED]
    file.write_text("not the one")
    await bulk.close()
    for _ in range(2):
        with pytest.raises(ServerError, match="refuses the credentials"):
            await bulk.send(documents_for(unique, 2))
    file.write_text("long enough\n")
    assert verdicts(await bulk.send(documents_for(unique, 2))) == [Verdict.DUPLICATE, Verdict.STORED]
    await bulk.close()


# The client would rather have large bodies as streams; ours is large only here, because noise does not compress.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_document_too_large_alone_loses_evidence_from_the_end_and_is_marked(bulk, elasticsearch_url, unique):
    dice = random.Random(9)
    evidence = [{"summary": dice.randbytes(500_000).hex()} for _ in range(8)]
    body = json.dumps({"streamer": {"evidence": evidence, "marks": ["cut"]}}).encode()
    request(elasticsearch_url, "PUT", f"/{unique}", {"mappings": {"dynamic": False}})
    large, small = document(unique, 1, body), document(unique, 2)
    assert verdicts(await bulk.send([small, large])) == [Verdict.STORED, Verdict.STORED]
    assert bulk.shortened > 0
    (hit,) = search(elasticsearch_url, unique, {"term": {"_id": large.id}})
    kept = hit["_source"]["streamer"]["evidence"]
    assert kept == evidence[: len(kept)]
    assert 0 < len(kept) < 8
    assert hit["_source"]["streamer"]["marks"] == ["cut", SHORTENED]


async def test_one_document_for_which_the_whole_request_is_refused_is_found_and_the_others_are_stored(
    bulk, elasticsearch_url, unique
):
    documents = documents_for(unique, 9)
    documents[4] = replace(documents[4], id="x" * 600)
    outcomes = await bulk.send(documents)
    assert verdicts(outcomes) == [Verdict.STORED] * 4 + [Verdict.REFUSED] + [Verdict.STORED] * 4
    assert "id [xxx" in outcomes[4].told
    assert len(ids_in(elasticsearch_url, unique)) == 8


async def test_no_room_for_the_index_of_a_new_day_is_the_operators_state_and_loses_no_alert(
    bulk, elasticsearch_url, unique
):
    assert verdicts(await bulk.send(documents_for(unique, 1))) == [Verdict.STORED]
    setting = "cluster.max_shards_per_node"
    request(elasticsearch_url, "PUT", "/_cluster/settings", {"transient": {setting: 1}})
    try:
        (old, new) = await bulk.send([document(unique, 2), document(f"{unique}-new", 3)])
        assert old.verdict is Verdict.STORED
        assert new.verdict is Verdict.OPERATOR
        assert new.error is not None
        assert "maximum normal shards open" in str(new.error)
    finally:
        request(elasticsearch_url, "PUT", "/_cluster/settings", {"transient": {setting: None}})
    assert verdicts(await bulk.send([document(f"{unique}-new", 3)])) == [Verdict.STORED]


async def test_a_pipeline_that_somebody_configured_and_nobody_made_is_the_operators_state(
    bulk, elasticsearch_url, unique
):
    request(elasticsearch_url, "PUT", f"/{unique}", {"settings": {"index.final_pipeline": "nowhere"}})
    (outcome,) = await bulk.send([document(unique, 1)])
    assert outcome.verdict is Verdict.OPERATOR, outcome
    request(elasticsearch_url, "PUT", f"/{unique}/_settings", {"index.final_pipeline": None})
    assert verdicts(await bulk.send([document(unique, 1)])) == [Verdict.STORED]


@pytest.mark.parametrize("mode", ["unavailable", "page", "refuse", "lose-answer"])
async def test_what_a_proxy_does_to_a_request_is_waited_for_and_nothing_is_stored_twice(
    elasticsearch_url, unique, mode
):
    async with gateway_to(elasticsearch_url) as gateway:
        bulk = Bulk(ElasticConnection((gateway.url,), request_timeout_s=10))
        await bulk.open()
        gateway.mode = mode
        with pytest.raises(ServerError) as failed:
            await bulk.send(documents_for(unique, 20))
        assert failed.value.retriable
        gateway.mode = "pass"
        again = set(verdicts(await bulk.send(documents_for(unique, 20))))
        await bulk.close()
    assert again == {Verdict.DUPLICATE if mode == "lose-answer" else Verdict.STORED}
    assert len(ids_in(elasticsearch_url, unique)) == 20


async def test_an_alert_in_the_failure_store_is_done_counted_and_said(unique, capsys):
    """The small distribution has no data streams, so that an answer of this kind is played."""
    items = [{"create": {"status": 201, "_id": "1", "failure_store": "used"}}]
    answer = json.dumps({"version": {"number": "8.19.0"}, "errors": False, "items": items})
    async with answering("200 OK", answer, *PRODUCT) as url:
        bulk = Bulk(ElasticConnection((url,)))
        assert verdicts(await bulk.send([document(unique, 1)])) == [Verdict.FAILURE_STORE]
        await bulk.close()
    assert bulk.verdicts[Verdict.FAILURE_STORE] == 1
    assert "failure store" in capsys.readouterr().out


async def test_an_answer_for_fewer_documents_than_were_sent_decides_none(unique):
    answer = json.dumps({"version": {"number": "8.19.0"}, "items": [{"create": {"status": 201}}]})
    async with answering("200 OK", answer, *PRODUCT) as url:
        bulk = Bulk(ElasticConnection((url,)))
        with pytest.raises(ServerError, match="answered for 1 of 2 documents") as failed:
            await bulk.send(documents_for(unique, 2))
        assert failed.value.retriable
        await bulk.close()


@pytest.fixture(scope="module")
def narrow_elasticsearch():
    """A server that has room for hardly anything at once, and believes its disk to be nearly full when told."""
    server = ElasticsearchServer(
        settings={
            "thread_pool.write.size": 1,
            "thread_pool.write.queue_size": 1,
            "indexing_pressure.memory.limit": "300kb",
            "cluster.info.update.interval": "10s",
        }
    )
    try:
        server.start()
        yield server
    finally:
        server.close()


async def insist(bulk: Bulk, documents, within_s: float = 90) -> None:
    """Send what is not done again, as the index role does."""
    waiting = list(documents)
    async with asyncio.timeout(within_s):
        while waiting:
            try:
                outcomes = await bulk.send(waiting)
            except ServerError:
                await asyncio.sleep(random.uniform(0, 0.3))
                continue
            waiting = [each for each, outcome in zip(waiting, outcomes, strict=True) if outcome.error is not None]


async def test_a_server_with_too_much_to_do_refuses_documents_or_requests_and_gets_all_of_them_in_the_end(
    narrow_elasticsearch: ElasticsearchServer, unique
):
    url = narrow_elasticsearch.url
    bulk = Bulk(ElasticConnection((url,)))
    noise = random.Random(3).randbytes(500).hex().encode()
    indices = [f"{unique}-{number}" for number in range(8)]
    for index in indices:
        request(url, "PUT", f"/{index}", {"settings": {"number_of_replicas": 0}, "mappings": {"dynamic": False}})
    shares = [
        [document(indices[number % 8], 1000 * share + number, b'{"pad": "%s"}' % noise) for number in range(100)]
        for share in range(12)
    ]
    await asyncio.gather(*(insist(bulk, share) for share in shares))
    assert bulk.verdicts[Verdict.BUSY] > 0
    assert sum(len(ids_in(url, index)) for index in indices) == 1200
    await bulk.close()


async def test_indexing_pressure_refuses_the_whole_request_and_it_goes_again(
    narrow_elasticsearch: ElasticsearchServer, unique
):
    bulk = Bulk(ElasticConnection((narrow_elasticsearch.url,)))
    pad = b"a" * 1_500
    documents = [document(unique, number, b'{"pad": "%s"}' % pad) for number in range(400)]
    with pytest.raises(ServerError, match="es_rejected_execution_exception") as refused:
        await bulk.send(documents)
    assert refused.value.retriable
    assert verdicts(await bulk.send(documents[:50])) == [Verdict.STORED] * 50
    await bulk.close()


async def test_a_full_disk_makes_documents_wait_and_says_why(narrow_elasticsearch: ElasticsearchServer, unique):
    url = narrow_elasticsearch.url
    bulk = Bulk(ElasticConnection((url,)))
    assert verdicts(await bulk.send([document(unique, 1)])) == [Verdict.STORED]
    disk = "cluster.routing.allocation.disk"
    full = {
        f"{disk}.threshold_enabled": True,
        f"{disk}.watermark.low": "9000tb",
        f"{disk}.watermark.high": "8000tb",
        f"{disk}.watermark.flood_stage": "7000tb",
    }
    request(url, "PUT", "/_cluster/settings", {"transient": full})
    try:
        for _ in range(300):
            (outcome,) = await bulk.send([document(unique, 2)])
            if outcome.error is not None:
                break
            await asyncio.sleep(0.1)
        assert outcome.verdict is Verdict.WAITS
        assert "flood" in str(outcome.error)
        assert outcome.error is not None
        assert outcome.error.retriable
    finally:
        request(url, "PUT", "/_cluster/settings", {"transient": dict.fromkeys(full)})
    request(url, "PUT", f"/{unique}/_settings", {"index.blocks.read_only_allow_delete": None})
    await insist(bulk, [document(unique, 3)])
    await bulk.close()
