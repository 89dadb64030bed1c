"""Alerts out: every document stands on the alerts topic once for whoever reads ``read_committed``.

A batch is one transaction. What is not known to be there is looked up before it is sent: after a start (the process
may have been killed between the commit and its own note of it) and after every unclear transaction. Looking up is
exact, however long we were away: a document cannot have been appended before its own event happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from streamer.errors import ServerError
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.tail import ids_on_topic
from streamer.kafka.transactions import TOO_LARGE, TransactionalProducer
from streamer.model import Document
from streamer.ports import Message

_CLOCKS_APART_MS: Final = 600_000
"""How far an event's clock may run ahead of ours and still be found; far above what T3 lets through."""
_REMEMBERED: Final = 10_000
_LOOK_BACK_S: Final = 120.0
_LARGEST: Final = 1024 * 1024
"""Kafka's own default for the largest message; a topic may allow less."""


class AlertsTopicSink:
    """A :class:`~streamer.ports.Sink` that writes to one topic.

    Args:
        connection: which Kafka.
        topic: full name, prefix included.
        writer: stable name of this writer, ``<prefix>alerts-<store id>``; two writers with one name fence each other.
    """

    name = "kafka"

    def __init__(self, connection: KafkaConnection, topic: str, *, writer: str) -> None:
        self._connection = connection
        self._topic = topic
        self._producer = TransactionalProducer(connection, writer, largest=_LARGEST)
        self._in_doubt = True
        self._told: dict[str, None] = {}
        self.set_aside: dict[str, str] = {}
        """Documents that no transaction can carry: id and reason. They count as delivered."""
        self.already_there = 0
        """Documents that a look at the topic found there."""

    async def start(self) -> None:
        """See :meth:`streamer.ports.Sink.start`; the topic must exist."""
        self._in_doubt = True
        await self._producer.start()

    async def deliver(self, documents: Sequence[Document]) -> Sequence[str]:
        """See :meth:`streamer.ports.Sink.deliver`; all of them are done when this returns."""
        if not documents:
            return ()
        if not self._producer.open or self._producer.suspect:
            self._in_doubt = self._in_doubt or not self._producer.open
            await self._producer.start()
        untold = [document for document in documents if document.id not in self._told]
        if not untold:
            return tuple(document.id for document in documents)
        there = await self._known(untold) if self._in_doubt else frozenset()
        await self._write([each for each in untold if each.id not in there and self._fits(each)])
        # A batch of which nothing was there proves that nothing is in doubt any more: delivery goes in order.
        self._in_doubt = self._in_doubt and bool(there)
        self._remember(documents)
        return tuple(document.id for document in documents)

    async def stop(self) -> None:
        """See :meth:`streamer.ports.Sink.stop`."""
        await self._producer.close()

    async def _known(self, documents: Sequence[Document]) -> frozenset[str]:
        since_ms = min(document.time_us for document in documents) // 1000 - _CLOCKS_APART_MS
        wanted = {document.id for document in documents}
        there = await ids_on_topic(self._connection, self._topic, wanted, since_ms=since_ms, within_s=_LOOK_BACK_S)
        self.already_there += len(there)
        return there

    def _remember(self, documents: Sequence[Document]) -> None:
        """Keep the latest ids, for a caller whose own note of them failed."""
        self._told |= dict.fromkeys(document.id for document in documents)
        while len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]

    def _fits(self, document: Document) -> bool:
        if self._producer.fits(self._message(document)):
            return True
        self.set_aside[document.id] = f"{len(document.body)} bytes are more than a message may have ({_LARGEST})"
        return False

    async def _write(self, documents: Sequence[Document]) -> None:
        """Write them in one transaction; if the broker finds one too large, in halves until it stands alone."""
        if not documents:
            return
        try:
            await self._producer.write([self._message(document) for document in documents])
        except ServerError as error:
            self._in_doubt = True
            if not isinstance(error.__cause__, TOO_LARGE):
                raise
        else:
            return
        await self._producer.start()
        if len(documents) == 1:
            self.set_aside[documents[0].id] = f"{self._topic} allows no message of {len(documents[0].body)} bytes"
            return
        half = len(documents) // 2
        await self._write(documents[:half])
        await self._write(documents[half:])

    def _message(self, document: Document) -> Message:
        return Message(self._topic, None, document.key, document.body, document.headers)
