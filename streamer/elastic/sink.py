"""The :class:`~streamer.ports.Sink` of the embedded mode: one bulk request after the other, noting what is done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from streamer.elastic.bulk import Bulk, Shorten, batches
from streamer.elastic.connection import ElasticConnection
from streamer.elastic.verdicts import Verdict
from streamer.errors import ServerError
from streamer.model import Document


class ElasticSink:
    """Writes each document to the index it names.

    Args:
        connection: which cluster.
        template: see :class:`~streamer.elastic.bulk.Bulk`.
        shorten: likewise.
    """

    name = "elasticsearch"

    def __init__(
        self,
        connection: ElasticConnection,
        *,
        template: str | None = None,
        shorten: Shorten = lambda document: None,
    ) -> None:
        self._bulk = Bulk(connection, template=template, shorten=shorten)
        self.set_aside: dict[str, str] = {}
        """Documents that the server will never take: id and its words. They count as delivered."""

    @property
    def verdicts(self) -> Counter[Verdict]:
        """How many documents came to which end."""
        return self._bulk.verdicts

    async def start(self) -> None:
        """See :meth:`streamer.ports.Sink.start`. Credential files are read anew."""
        await self._bulk.reopen()

    async def deliver(self, documents: Sequence[Document]) -> Sequence[str]:
        """See :meth:`streamer.ports.Sink.deliver`.

        Returns what is done; raises only when nothing is, so that a note of what is done is never lost with an error.
        """
        done: list[str] = []
        trouble: ServerError | None = None
        for batch in batches(documents, self._bulk.most_bytes):
            try:
                outcomes = await self._bulk.send(batch)
            except ServerError as error:
                trouble = error
                break
            for document, outcome in zip(batch, outcomes, strict=True):
                if outcome.verdict is Verdict.REFUSED:
                    self.set_aside[document.id] = outcome.told
                if outcome.verdict.is_done:
                    done.append(document.id)
                trouble = trouble or outcome.error
            if trouble is not None:
                break
        if trouble is not None and not done:
            raise trouble
        return tuple(done)

    async def stop(self) -> None:
        """See :meth:`streamer.ports.Sink.stop`."""
        await self._bulk.close()
