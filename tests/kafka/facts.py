"""The client library as it is: made, started, watched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streamer.kafka.complaints import let_go


def transactional(address: str, name: str, **options: Any) -> Any:
    return AIOKafkaProducer(bootstrap_servers=address, transactional_id=name, **options)


@asynccontextmanager
async def started(client: Any) -> AsyncIterator[Any]:
    await client.start()
    try:
        yield client
    finally:
        await let_go(client.stop(), (client.client if hasattr(client, "client") else client._client).close())


def watch(client: Any, kind: type, answer: Callable[[Any, int], Awaitable[Any]] | None = None) -> list[Any]:
    """Note every request of one kind; ``answer`` may replace the answer to the request of that number."""
    send, seen = client.send, []

    async def watched(node_id: int, request: Any, **options: Any) -> Any:
        if not isinstance(request, kind):
            return await send(node_id, request, **options)
        seen.append(request)
        number, got = len(seen), await send(node_id, request, **options)
        return await answer(got, number) if answer else got

    client.send = watched
    return seen


def group_consumer(address: str, group: str, **options: Any) -> Any:
    return AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False, **options)
