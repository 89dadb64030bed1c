"""Who answers, in which version, and with which credentials."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streamer.elastic import Elastic, ElasticConnection, ElasticSink
from streamer.elastic.verdicts import Verdict
from streamer.errors import ServerError, SettingsError
from tests.elastic.test_sink import document, insist
from tests.servers.elasticsearch import ElasticsearchServer


@asynccontextmanager
async def answering(status: str, body: str, *headers: str) -> AsyncIterator[str]:
    """An HTTP server that gives every request the same answer."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
        writer.write(("\r\n".join(head) + "\r\n\r\n" + body).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def refusal(url: str, **options: str) -> ServerError:
    elastic = Elastic(ElasticConnection((url,), **options))
    with pytest.raises(ServerError) as refused:
        await elastic.open()
    return refused.value


PRODUCT = ("x-elastic-product: Elasticsearch", "content-type: application/json")


async def test_the_version_is_known_without_the_root_page(elasticsearch_url):
    elastic = Elastic(ElasticConnection((elasticsearch_url,)))
    await elastic.open()
    assert elastic.version.split(".")[0] in {"8", "9"}
    await elastic.close()


async def test_a_server_too_old_is_said_with_its_version():
    async with answering("200 OK", json.dumps({"version": {"number": "7.17.9"}}), *PRODUCT) as url:
        error = await refusal(url)
    assert "has version 7.17.9" in str(error)
    assert not error.retriable


async def test_another_product_is_said():
    body = json.dumps({"version": {"number": "2.11.0", "distribution": "opensearch"}})
    async with answering("200 OK", body, "content-type: application/json") as url:
        error = await refusal(url)
    assert "is not Elasticsearch" in str(error)
    assert not error.retriable


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
async def test_a_proxys_page_is_waited_for(status):
    async with answering(status, "<html>sorry</html>", "content-type: text/html") as url:
        error = await refusal(url)
    assert error.retriable


async def test_json_cut_off_is_waited_for():
    async with answering("200 OK", '{"version": ', *PRODUCT) as url:
        error = await refusal(url)
    assert error.retriable


async def test_a_client_the_server_does_not_understand_is_said():
    body = json.dumps({"error": {"type": "media_type_header_exception", "reason": "Accept version"}, "status": 400})
    async with answering("400 Bad Request", body, *PRODUCT) as url:
        error = await refusal(url)
    assert "does not understand this client" in str(error)
    assert not error.retriable


async def test_a_missing_secret_file_is_a_settings_error(tmp_path):
    connection = ElasticConnection(("http://127.0.0.1:1",), api_key_file=str(tmp_path / "nowhere"))
    with pytest.raises(SettingsError, match="nowhere cannot be read"):
        await Elastic(connection).open()


async def test_an_address_that_is_none_is_a_settings_error():
    with pytest.raises(SettingsError, match="elasticsearch:"):
        await Elastic(ElasticConnection(("not a url",))).open()


def test_secrets_are_not_in_the_representation():
    assert "hush" not in repr(ElasticConnection(("http://x",), api_key="hush", password="hush"))


async def test_a_rotated_password_is_read_again_without_a_restart(
    secured_elasticsearch: ElasticsearchServer, tmp_path, unique
):
    file = tmp_path / "password"
    file.write_text("wrong\n")
    sink = ElasticSink(ElasticConnection((secured_elasticsearch.url,), username="elastic", password_file=str(file)))
    with pytest.raises(ServerError, match="refuses the credentials") as refused:
        await sink.start()
    assert not refused.value.retriable
    file.write_text(f"{secured_elasticsearch.password}\n")
    assert len(await sink.deliver([document(unique, 1)])) == 1
    await sink.stop()


async def test_a_user_without_the_privilege_is_a_configuration_error_that_can_be_repaired(
    secured_elasticsearch: ElasticsearchServer, unique
):
    may: dict[str, Any] = {"names": ["elsewhere-*"], "privileges": ["create_doc"]}
    secured_elasticsearch.define_role(unique, {"cluster": ["monitor"], "indices": [may]})
    secured_elasticsearch.add_user(unique, "long enough", unique)
    await asyncio.sleep(2.5)  # until the server has read both files
    connection = ElasticConnection((secured_elasticsearch.url,), username=unique, password="long enough")
    sink = ElasticSink(connection)
    with pytest.raises(ServerError, match="security_exception") as refused:
        await sink.deliver([document(unique, 1)])
    assert not refused.value.retriable
    may |= {"names": [f"{unique}*"], "privileges": ["create_doc", "auto_configure"]}
    secured_elasticsearch.define_role(unique, {"cluster": ["monitor"], "indices": [may]})
    await insist(sink, [document(unique, 1)])
    assert sink.verdicts[Verdict.STORED] == 1
    await sink.stop()
