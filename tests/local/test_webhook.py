"""The audit webhook over real TLS connections: who may come in, what is bounded, and when 200 is said."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from streamer.errors import SettingsError
from streamer.local.files import ReadLimits
from streamer.local.https import HttpsLimits, ServerFiles
from streamer.local.webhook import WebhookLimits, WebhookReader
from streamer.model import Position
from tests.servers.certificates import Authority, Certificate

TOKEN = "shown-by-the-api-server"


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server_certificate(authority: Authority) -> Certificate:
    return authority.issue("webhook")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]


class Client:
    """One connection of an API server, written by hand so that it can misbehave."""

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self._port = port
        self._context = context

    async def __aenter__(self) -> Self:
        name = "127.0.0.1" if self._context else None
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._context, server_hostname=name
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()

    async def send(self, text: bytes) -> None:
        self.writer.write(text)
        await self.writer.drain()

    async def post(self, body: bytes, *headers: str, token: str | None = TOKEN, method: str = "POST") -> Answer:
        lines = [f"{method} /k8s-audit?timeout=30s HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers]
        if token is not None:
            lines.append(f"authorization: Bearer {token}")
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        return await self.answer()

    async def answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        return Answer(int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines))


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    """What an API server's kubeconfig says of the webhook's certificate."""
    return ssl.create_default_context(cafile=str(authority.ca_file))


Open = Callable[..., contextlib.AbstractAsyncContextManager[WebhookReader]]


@pytest.fixture
def opened(server_certificate: Certificate, tmp_path: Path) -> Open:
    """Opens a webhook with a token; ``options`` are the reader's."""
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")

    @contextlib.asynccontextmanager
    async def open_(*, client_ca: Path | None = None, files: ServerFiles | None = None, **options: object):
        files = files or ServerFiles(server_certificate.cert_file, server_certificate.key_file, client_ca)
        reader = WebhookReader("127.0.0.1:0", files, **{"token_file": token_file} | options)
        await reader.start({})
        try:
            yield reader
        finally:
            await reader.stop()

    return open_


@pytest.fixture
async def reader(opened: Open) -> AsyncIterator[WebhookReader]:
    async with opened() as reader:
        yield reader


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("waited in vain")


async def still_waiting(post: asyncio.Task[Answer]) -> bool:
    await asyncio.sleep(0.1)
    return not post.done()


async def test_it_answers_only_after_the_step_was_stored(reader: WebhookReader, trusting):
    async with Client(reader.port, trusting) as client:
        post = asyncio.create_task(client.post(b'{"kind":"EventList"}'))
        batch = await reader.read(5)
        (record,) = batch.records
        assert record.value == b'{"kind":"EventList"}'
        assert record.position == Position("127.0.0.1:0", 0, 0, is_file=False)
        assert record.append_time_us is not None
        assert await still_waiting(post)
        reader.acknowledge({("elsewhere", 0): {"offset": 9}})
        assert await still_waiting(post)
        reader.acknowledge(batch.positions)
        assert (await post).status == 200


async def test_a_step_answers_only_for_the_records_it_holds(reader: WebhookReader, trusting):
    async with Client(reader.port, trusting) as first, Client(reader.port, trusting) as second:
        posts = [asyncio.create_task(first.post(b"1"))]
        one = await reader.read(5)
        posts.append(asyncio.create_task(second.post(b"2")))
        two = await reader.read(5)
        reader.acknowledge(one.positions)
        assert (await posts[0]).status == 200
        assert await still_waiting(posts[1])
        reader.acknowledge(two.positions)
        assert (await posts[1]).status == 200


async def test_a_connection_is_used_again(reader: WebhookReader, trusting):
    async with Client(reader.port, trusting) as client:
        for body in (b"1", b"2", b"3"):
            post = asyncio.create_task(client.post(body))
            reader.acknowledge((await reader.read(5)).positions)
            assert (await post).status == 200


async def test_the_position_goes_on_where_the_store_stands(opened: Open, server_certificate):
    files = ServerFiles(server_certificate.cert_file, server_certificate.key_file)
    reader = WebhookReader("127.0.0.1:0", files)
    await reader.start({("127.0.0.1:0", 0): {"offset": 41}})
    await reader.stop()
    assert reader._offset == 41


@pytest.mark.parametrize("token", [None, "wrong", "", TOKEN + "x"])
async def test_without_the_right_token_nobody_comes_in(reader: WebhookReader, trusting, token):
    async with Client(reader.port, trusting) as client:
        assert (await client.post(b"{}", token=token)).status == 401
    assert (await reader.read(0.1)).records == ()


async def test_a_rotated_token_is_taken_up_without_a_restart(reader: WebhookReader, trusting, tmp_path):
    (tmp_path / "token").write_text("another")
    async with Client(reader.port, trusting) as client:
        assert (await client.post(b"{}")).status == 401
    async with Client(reader.port, trusting) as client:
        post = asyncio.create_task(client.post(b"{}", token="another"))
        reader.acknowledge((await reader.read(5)).positions)
        assert (await post).status == 200


async def test_an_empty_token_lets_nobody_in(opened: Open, tmp_path):
    (tmp_path / "token").write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        async with opened():
            pass


async def test_plain_http_is_refused(reader: WebhookReader):
    async with Client(reader.port, None) as client:
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.post(b"{}")
    assert (await reader.read(0.1)).records == ()


async def test_with_a_client_authority_only_its_certificates_come_in(opened: Open, authority, trusting):
    certificate = authority.issue("api-server")
    async with opened(client_ca=authority.ca_file, token_file=None) as reader:
        with pytest.raises((ssl.SSLError, asyncio.IncompleteReadError, ConnectionError)):
            async with Client(reader.port, trusting) as client:
                await client.post(b"{}", token=None)
        assert (await reader.read(0.1)).records == ()
        trusting.load_cert_chain(certificate.cert_file, certificate.key_file)
        async with Client(reader.port, trusting) as client:
            post = asyncio.create_task(client.post(b"{}", token=None))
            reader.acknowledge((await reader.read(5)).positions)
            assert (await post).status == 200


async def test_a_certificate_of_somebody_elses_authority_stays_outside(opened: Open, trusting, tmp_path):
    (tmp_path / "other").mkdir()
    certificate = Authority(tmp_path / "other", "another").issue("stranger")
    trusting.load_cert_chain(certificate.cert_file, certificate.key_file)
    first = tmp_path / "first"
    first.mkdir()
    async with opened(client_ca=Authority(first).ca_file) as reader:
        with pytest.raises((ssl.SSLError, asyncio.IncompleteReadError, ConnectionError)):
            async with Client(reader.port, trusting) as client:
                await client.post(b"{}")


async def test_a_renewed_certificate_is_shown_without_a_restart(opened: Open, tmp_path, trusting):
    (tmp_path / "new").mkdir()
    old, new = tmp_path, Authority(tmp_path / "new", "new")
    first = Authority(old, "old").issue("server")
    files = ServerFiles(first.cert_file, first.key_file)
    async with opened(files=files) as reader:
        renewed = new.issue("server")
        files.cert_file.write_bytes(renewed.cert_file.read_bytes())
        reader._renewed_s = 0.0
        await reader.read(0.01)  # half replaced: certificate and key do not fit
        files.key_file.write_bytes(renewed.key_file.read_bytes())
        reader._renewed_s = 0.0
        await reader.read(0.01)
        async with Client(reader.port, ssl.create_default_context(cafile=str(new.ca_file))) as client:
            assert (await client.post(b"{}", token="wrong")).status == 401


async def test_a_body_too_large_is_refused_and_said(opened: Open, trusting):
    async with opened(limits=WebhookLimits(body=1000)) as reader:
        async with Client(reader.port, trusting) as client:
            assert (await client.post(b"x" * 1001)).status == 413
        async with Client(reader.port, trusting) as client:
            await client.send(
                b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nauthorization: Bearer "
                + TOKEN.encode()
                + b"\r\n\r\n"
                + b"400\r\n"
                + b"x" * 1024
                + b"\r\n0\r\n\r\n"
            )
            assert (await client.answer()).status == 413
        assert len(reader.take_gaps()) == 2
        assert reader.take_gaps() == ()


async def test_a_full_queue_says_when_to_come_again_and_empties(opened: Open, trusting):
    async with opened(limits=WebhookLimits(queued=1000)) as reader:
        async with Client(reader.port, trusting) as first, Client(reader.port, trusting) as second:
            post = asyncio.create_task(first.post(b"x" * 600))
            batch = await reader.read(5)
            refused = await second.post(b"x" * 600)
            assert (refused.status, refused.headers["retry-after"]) == (429, "2")
            reader.acknowledge(batch.positions)
            assert (await post).status == 200
        async with Client(reader.port, trusting) as third:
            post = asyncio.create_task(third.post(b"x" * 600))
            reader.acknowledge((await reader.read(5)).positions)
            assert (await post).status == 200


async def test_a_store_that_cannot_be_written_makes_the_api_server_come_again(opened: Open, trusting):
    async with opened(limits=WebhookLimits(answer_s=0.2)) as reader:
        async with Client(reader.port, trusting) as client:
            post = asyncio.create_task(client.post(b"handed over, not stored"))
            handed = await reader.read(5)
            assert ((await post).status, (await post).headers["retry-after"]) == (503, "2")
            assert (await client.post(b"not even read")).status == 503
        assert (await reader.read(0.1)).records == ()  # it comes again by itself
        reader.acknowledge(handed.positions)
        assert reader._held == 0


async def test_what_is_not_stored_when_it_stops_is_answered_503(opened: Open, trusting):
    async with opened() as reader, Client(reader.port, trusting) as client:
        post = asyncio.create_task(client.post(b"{}"))
        await reader.read(5)
        await reader.stop()
        assert (await post).status == 503


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [("GET", (), 405), ("PUT", (), 405), ("POST", ("content-encoding: gzip",), 415)],
)
async def test_what_is_no_batch_of_events_is_refused(reader: WebhookReader, trusting, method, headers, status):
    async with Client(reader.port, trusting) as client:
        assert (await client.post(b"{}", *headers, method=method)).status == status


@pytest.mark.parametrize("drip", [b"", b"POST / HTTP/1.1\r\nx: "])
async def test_who_does_not_say_what_they_want_is_hung_up_on(opened: Open, trusting, drip):
    limits = WebhookLimits(https=HttpsLimits(headers_s=0.5))
    async with opened(limits=limits) as reader, Client(reader.port, trusting) as client:
        began = asyncio.get_running_loop().time()
        with contextlib.suppress(ConnectionError):
            await client.send(drip)
            while not client.reader.at_eof() and asyncio.get_running_loop().time() - began < 10:
                if drip:
                    await client.send(b"a")
                await asyncio.wait({asyncio.ensure_future(client.reader.read(1))}, timeout=0.1)
        assert asyncio.get_running_loop().time() - began < 5


async def test_a_body_that_drips_is_given_up(opened: Open, trusting):
    async with opened(limits=WebhookLimits(body_s=0.3)) as reader, Client(reader.port, trusting) as client:
        head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        await client.send(head.encode() + b"begun")
        assert (await client.answer()).status == 408
        assert reader._held == 0


async def test_one_connection_too_many_is_hung_up_on(opened: Open, trusting):
    limits = WebhookLimits(https=HttpsLimits(connections=2))
    async with opened(limits=limits) as reader, Client(reader.port, trusting) as one, Client(reader.port, trusting):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            async with Client(reader.port, trusting) as three:
                await three.post(b"{}")
        post = asyncio.create_task(one.post(b"{}"))
        reader.acknowledge((await reader.read(5)).positions)
        assert (await post).status == 200


async def test_batches_are_bounded_and_keep_the_order(opened: Open, trusting):
    async with opened(reading=ReadLimits(records=2)) as reader, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(reader.port, trusting)) for _ in range(3)]
        posts = []
        for number, client in enumerate(clients):
            posts.append(asyncio.create_task(client.post(b"%d" % number)))
            await until(lambda queued=number + 1: len(reader._queue) == queued)
        one, two = await reader.read(5), await reader.read(5)
        assert [record.value for record in (*one.records, *two.records)] == [b"0", b"1", b"2"]
        assert (len(one.records), one.at_end, two.at_end) == (2, frozenset(), reader.partitions())
        reader.acknowledge(two.positions)
        assert [(await post).status for post in posts] == [200, 200, 200]


async def test_an_address_that_is_taken_is_a_sentence(reader: WebhookReader, server_certificate):
    files = ServerFiles(server_certificate.cert_file, server_certificate.key_file)
    with pytest.raises(SettingsError, match="cannot listen"):
        await WebhookReader(f"127.0.0.1:{reader.port}", files).start({})


async def test_a_certificate_that_is_missing_is_a_sentence(tmp_path):
    files = ServerFiles(tmp_path / "no.pem", tmp_path / "no.key")
    with pytest.raises(SettingsError, match=r"no\.pem"):
        await WebhookReader("127.0.0.1:0", files).start({})
