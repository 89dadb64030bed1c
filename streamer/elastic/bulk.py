"""Documents into Elasticsearch, each once: ``create`` with the document's own id, so that a second copy is refused.

Requests are encoded once, compressed, and may run side by side. The client retries nothing: which documents go again,
and when, is decided by whoever calls, from the verdict of each (:mod:`streamer.elastic.verdicts`). After a time-out a
request may have been applied; sending it again is harmless, because every document in it then answers 409.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog
from elasticsearch import ApiError, SerializationError, TransportError, UnsupportedProductError

from streamer.elastic.connection import Elastic, ElasticConnection
from streamer.elastic.verdicts import Verdict, as_server_error, blames_the_request, kind_of, verdict_of
from streamer.errors import ServerError
from streamer.model import Document

_log = structlog.get_logger("streamer.elastic")
MOST_DOCUMENTS: Final = 500
MOST_BYTES: Final = 5 * 1024 * 1024
_LEAST_BYTES: Final = 256 * 1024
"""A server or proxy that finds a request too large may hang up instead of answering 413: after every request without
an answer the next one is half as large, down to this, and after every answer twice as large again."""
_ANSWER: Final = "errors,items.*.status,items.*._id,items.*.error,items.*.failure_store"

Shorten = Callable[[Document], Document | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document.

    Attributes:
        verdict: decided, or why not.
        told: the server's words.
        error: the sentence for a person, where it is not done.
    """

    verdict: Verdict
    told: str
    error: ServerError | None = None


class Bulk:
    """Bulk requests to one cluster.

    Args:
        connection: which cluster.
        template: index template that must exist: without it the server would guess the types of the first alert.
            ``None`` does not look.
        shorten: makes a document smaller that is too large for a request of its own; ``None`` where it cannot.

    Attributes:
        verdicts: how many documents came to which end; one that waits is counted at every attempt.
        requests: how many were sent.
        in_flight: how many have no answer yet.
        shortened: how many documents had to be made smaller.
        most_bytes: how large the next request may be.
    """

    def __init__(
        self,
        connection: ElasticConnection,
        *,
        template: str | None = None,
        shorten: Shorten = lambda document: None,
    ) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self.requests = 0
        self.in_flight = 0
        self.shortened = 0
        self.most_bytes = MOST_BYTES
        self._elastic = Elastic(connection)
        self._template = template
        self._shorten = shorten
        self._is_open = False
        self._opening = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def where(self) -> str:
        """How messages name the server."""
        return self._elastic.connection.where

    async def open(self) -> None:
        """Connect, unless that is done; a refusal before has the credential files read anew.

        Raises:
            ServerError: the server is away, does not fit, or lacks the template.
            SettingsError: a credential file cannot be read.
        """
        async with self._opening:
            if self._is_open:
                return
            await self._idle.wait()  # requests that still use the old client
            await self._elastic.open()
            try:
                await self._look_for_template()
            except BaseException:
                await self._elastic.close()
                raise
            self._is_open = True

    async def reopen(self) -> None:
        """Connect anew with the credentials as they are now; raises as :meth:`open`."""
        self._is_open = False
        await self.open()

    async def close(self) -> None:
        """Let the client go; never raises."""
        self._is_open = False
        await self._elastic.close()

    async def send(self, documents: Sequence[Document]) -> list[Outcome]:
        """One request; one outcome per document, in order. A request too large is sent in halves.

        Raises:
            ServerError: nothing is known of any document.
            SettingsError: as :meth:`open`.
        """
        await self.open()
        try:
            answer = await self._request(documents)
        except (ApiError, TransportError, UnsupportedProductError, SerializationError) as error:
            if isinstance(error, ApiError) and blames_the_request(error):
                return await self._smaller(documents, error)
            raise self._failure(error) from error
        items = answer.get("items") or ()
        if len(items) != len(documents):
            raise ServerError(f"{self.where} answered for {len(items)} of {len(documents)} documents")
        self.most_bytes = min(MOST_BYTES, self.most_bytes * 2)
        outcomes = [
            self._outcome(document, next(iter(item.values()))) for document, item in zip(documents, items, strict=True)
        ]
        self._tell_failure_store(documents, outcomes)
        return outcomes

    async def _request(self, documents: Sequence[Document]) -> Any:
        self.requests += 1
        self.in_flight += 1
        self._idle.clear()
        try:
            return await self._elastic.client.bulk(operations=_lines(documents), filter_path=_ANSWER)
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    def _outcome(self, document: Document, item: dict[str, Any]) -> Outcome:
        verdict, told = verdict_of(item)
        self.verdicts[verdict] += 1
        if verdict.is_done:
            return Outcome(verdict, told)
        sentence = f"{self.where} does not take documents for {document.index}: {told}"
        if verdict is not Verdict.OPERATOR:
            return Outcome(verdict, told, ServerError(sentence))
        if "security_exception" in told:
            self._is_open = False  # the next request goes with the credentials as they are then
        hint = "Somebody must open or allow it; nothing is lost meanwhile."
        return Outcome(verdict, told, ServerError(sentence, hint=hint, retriable=False))

    def _tell_failure_store(self, documents: Sequence[Document], outcomes: Sequence[Outcome]) -> None:
        there = {
            document.index
            for document, outcome in zip(documents, outcomes, strict=True)
            if outcome.verdict is Verdict.FAILURE_STORE
        }
        if there:
            _log.warning("documents went to the failure store instead of their index", indices=sorted(there))

    async def _smaller(self, documents: Sequence[Document], refusal: ApiError) -> list[Outcome]:
        """Send halves of what was refused as a whole; a document alone is shortened, or refused for good."""
        if len(documents) == 1:
            return [await self._alone(documents[0], refusal)]
        half = len(documents) // 2
        outcomes = await self.send(documents[:half])
        try:
            return outcomes + await self.send(documents[half:])
        except ServerError as error:
            return outcomes + [Outcome(Verdict.BUSY, str(error), error)] * (len(documents) - half)

    async def _alone(self, document: Document, refusal: ApiError) -> Outcome:
        kind, reason = kind_of(refusal)
        told = f"{refusal.status_code} {kind}: {reason}" if kind else f"{refusal.status_code}"
        if refusal.status_code == 413:
            told = f"413: {len(document.body)} bytes are more than a request may have"
            if (less := self._shorten(document)) is not None:
                self.shortened += 1
                (outcome,) = await self.send([less])
                return outcome
        self.verdicts[Verdict.REFUSED] += 1
        return Outcome(Verdict.REFUSED, told)

    def _failure(self, error: Exception) -> ServerError:
        if isinstance(error, TransportError):
            self.most_bytes = max(_LEAST_BYTES, self.most_bytes // 2)
        failure = as_server_error(error, self.where)
        if not failure.retriable:
            self._is_open = False
        return failure

    async def _look_for_template(self) -> None:
        if self._template is None:
            return
        try:
            there = await self._elastic.client.indices.exists_index_template(name=self._template)
        except ApiError as error:
            if error.status_code == 403 and kind_of(error)[0] in {"security_exception", ""}:
                return  # a writer's key need not be able to look
            raise as_server_error(error, self.where) from error
        except TransportError as error:
            raise as_server_error(error, self.where) from error
        if not there:
            raise ServerError(f"{self.where} has no index template {self._template}", hint="Run `streamer setup`.")


def batches(documents: Sequence[Document], most_bytes: int) -> Iterator[Sequence[Document]]:
    """Bounded in number and bytes; a document larger than the bound stands alone."""
    batch: list[Document] = []
    size = 0
    for document in documents:
        if batch and (len(batch) >= MOST_DOCUMENTS or size + len(document.body) > most_bytes):
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
