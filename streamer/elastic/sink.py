"""Documents into Elasticsearch, each once: ``create`` with the document's own id, so that a second copy is refused.

One bulk request at a time, encoded once, compressed. The client retries nothing: which documents go again, and when,
is decided here and by whoever calls, from :mod:`streamer.elastic.verdicts`. After a time-out the request may have
been applied; sending it again is harmless, because every document in it then answers 409.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
from elasticsearch import ApiError, SerializationError, TransportError, UnsupportedProductError

from streamer.elastic.connection import Elastic, ElasticConnection
from streamer.elastic.verdicts import Verdict, as_server_error, kind_of, verdict_of
from streamer.errors import ServerError
from streamer.model import Document

_MOST_DOCUMENTS: Final = 500
_MOST_BYTES: Final = 5 * 1024 * 1024
_LEAST_BYTES: Final = 256 * 1024
"""A server or proxy that finds a request too large may hang up instead of answering 413: after every request without
an answer the next one is half as large, down to this, and after every answer twice as large again."""
_ANSWER: Final = "errors,items.*.status,items.*._id,items.*.error,items.*.failure_store"


class ElasticSink:
    """A :class:`~streamer.ports.Sink` that writes to the index each document names.

    Args:
        connection: which cluster.
        template: index template that must exist: without it the server would guess the types of the first alert.
            ``None`` does not look.
    """

    name = "elasticsearch"

    def __init__(self, connection: ElasticConnection, *, template: str | None = None) -> None:
        self._elastic = Elastic(connection)
        self._template = template
        self._open = False
        self._most_bytes = _MOST_BYTES
        self.verdicts: Counter[Verdict] = Counter()
        """How many documents came to which end."""
        self.set_aside: dict[str, str] = {}
        """Documents that the server will never take: id and its words. They count as delivered."""

    async def start(self) -> None:
        """See :meth:`streamer.ports.Sink.start`. Credential files are read anew."""
        self._open = False
        await self._elastic.open()
        try:
            await self._look_for_template()
        except BaseException:
            await self._elastic.close()
            raise
        self._open = True

    async def deliver(self, documents: Sequence[Document]) -> Sequence[str]:
        """See :meth:`streamer.ports.Sink.deliver`.

        Returns what is done; raises only when nothing is, so that a note of what is done is never lost with an error.
        """
        done: list[str] = []
        trouble: ServerError | None = None
        for batch in _batches(documents, self._most_bytes):
            try:
                if not self._open:
                    await self.start()
                finished, trouble = await self._bulk(batch)
            except ServerError as error:
                finished, trouble = [], error
            done += finished
            if trouble is not None:
                break
        if trouble is not None and not done:
            raise trouble
        return tuple(done)

    async def stop(self) -> None:
        """See :meth:`streamer.ports.Sink.stop`."""
        self._open = False
        await self._elastic.close()

    async def _bulk(self, documents: Sequence[Document]) -> tuple[list[str], ServerError | None]:
        """One request; the ids that are done, and why the others are not."""
        try:
            answer = await self._elastic.client.bulk(operations=_lines(documents), filter_path=_ANSWER)
        except (ApiError, TransportError, UnsupportedProductError, SerializationError) as error:
            if isinstance(error, ApiError) and error.status_code == 413:
                return await self._halves(documents)
            raise self._failure(error) from error
        items = answer.get("items") or ()
        if len(items) != len(documents):
            raise ServerError(
                f"{self._elastic.connection.where} answered for {len(items)} of {len(documents)} documents"
            )
        return self._judge(documents, items)

    def _judge(
        self, documents: Sequence[Document], items: Sequence[dict[str, Any]]
    ) -> tuple[list[str], ServerError | None]:
        self._most_bytes = min(_MOST_BYTES, self._most_bytes * 2)
        done: list[str] = []
        trouble: ServerError | None = None
        for document, item in zip(documents, items, strict=True):
            verdict, told = verdict_of(next(iter(item.values())))
            self.verdicts[verdict] += 1
            if verdict.is_done:
                done.append(document.id)
            if verdict is Verdict.REFUSED:
                self.set_aside[document.id] = told
            elif not verdict.is_done and trouble is None:
                trouble = self._waiting(document, verdict, told)
        return done, trouble

    def _waiting(self, document: Document, verdict: Verdict, told: str) -> ServerError:
        where = f"{self._elastic.connection.where} does not take documents for {document.index}: {told}"
        if verdict is Verdict.WAITS:
            return ServerError(where)
        self._open = False  # the next attempt reads the credentials anew
        return ServerError(where, hint="Somebody must open or allow it; nothing is lost meanwhile.", retriable=False)

    async def _halves(self, documents: Sequence[Document]) -> tuple[list[str], ServerError | None]:
        """The request was too large: try its halves; a document too large on its own is set aside."""
        if len(documents) == 1:
            self.verdicts[Verdict.REFUSED] += 1
            self.set_aside[documents[0].id] = f"413: {len(documents[0].body)} bytes are more than a request may have"
            return [documents[0].id], None
        half = len(documents) // 2
        done, trouble = await self._bulk(documents[:half])
        if trouble is not None:
            return done, trouble
        try:
            more, trouble = await self._bulk(documents[half:])
        except ServerError as error:
            return done, error
        return done + more, trouble

    def _failure(self, error: Exception) -> ServerError:
        if isinstance(error, TransportError):
            self._most_bytes = max(_LEAST_BYTES, self._most_bytes // 2)
        failure = as_server_error(error, self._elastic.connection.where)
        if not failure.retriable:
            self._open = False
        return failure

    async def _look_for_template(self) -> None:
        if self._template is None:
            return
        try:
            there = await self._elastic.client.indices.exists_index_template(name=self._template)
        except ApiError as error:
            if error.status_code == 403 and kind_of(error)[0] in {"security_exception", ""}:
                return  # a writer's key need not be able to look
            raise as_server_error(error, self._elastic.connection.where) from error
        except TransportError as error:
            raise as_server_error(error, self._elastic.connection.where) from error
        if not there:
            raise ServerError(
                f"{self._elastic.connection.where} has no index template {self._template}",
                hint="Run `streamer setup`.",
            )


def _batches(documents: Sequence[Document], most_bytes: int) -> Iterator[Sequence[Document]]:
    """Bounded in number and bytes; a document larger than the bound stands alone."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        if batch and (len(batch) >= _MOST_DOCUMENTS or size + len(document.body) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += len(document.body)
    if batch:
        yield batch


def _lines(documents: Sequence[Document]) -> list[Any]:
    lines: list[Any] = []  # the client sends bytes as they are, which its annotations do not say
    for document in documents:
        lines.append(orjson.dumps({"create": {"_index": document.index, "_id": document.id}}))
        lines.append(document.body)
    return lines
