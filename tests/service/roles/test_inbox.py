from __future__ import annotations

import asyncio

from streamer.kafka.records import Fetched
from streamer.service.roles.inbox import FULL, ROOM, Inbox


def fetched(count: int) -> list[Fetched]:
    return [Fetched(offset, b"", b"", 0) for offset in range(count)]


def test_records_come_out_in_order_and_no_more_than_asked_for():
    inbox = Inbox()
    inbox.put(fetched(5))
    assert [record.offset for record in inbox.take(3)] == [0, 1, 2]
    assert [record.offset for record in inbox.take(3)] == [3, 4]
    assert inbox.take(3) == []


def test_it_is_full_before_it_has_room_again():
    inbox = Inbox()
    inbox.put(fetched(FULL))
    assert inbox.is_full
    inbox.take(FULL - ROOM - 1)
    assert not inbox.is_full
    assert not inbox.has_room
    inbox.take(1)
    assert inbox.has_room


async def test_a_wait_ends_with_a_record_with_a_wake_or_with_the_time():
    inbox = Inbox()
    for act in (lambda: inbox.put(fetched(1)), inbox.wake):
        waiting = asyncio.create_task(inbox.wait(60))
        await asyncio.sleep(0)
        act()
        await asyncio.wait_for(waiting, 5)
        inbox.clear()
    await inbox.wait(0.01)


async def test_a_wake_before_the_wait_is_not_lost():
    inbox = Inbox()
    inbox.wake()
    await asyncio.wait_for(inbox.wait(60), 5)
