"""Steps of an owner, on a real Kafka: all of a step or nothing of it, and only from the one who owns the partition."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest
from aiokafka import errors
from aiokafka.protocol.transaction import EndTxnRequest

from streamer.errors import LedgerLost, ServerError
from streamer.kafka.ledger import POINTS
from streamer.kafka.ledger.entries import PROGRESS
from streamer.ports import Message
from tests.kafka.ledger.conftest import Gate, Installation, lost
from tests.servers.kafka import KafkaServer
from tests.servers.topics import headers_of, make_topic, read_committed

STEPS = [point for point in POINTS if point.startswith("step-")]


def lose_answers(ledger: Any, *, times: int = 1) -> list[Any]:
    """Make the client believe that the broker did not answer to the end of a transaction; returns what was sent."""
    client = ledger._producer._producer.client
    send, sent = client.send, []

    async def losing(node_id: int, request: Any, **options: Any) -> Any:
        answer = await send(node_id, request, **options)
        if isinstance(request, EndTxnRequest):
            sent.append(request)
            if len(sent) <= times:
                raise errors.RequestTimedOutError
        return answer

    client.send = losing
    return sent


async def test_a_step_is_visible_as_a_whole_with_keys_and_headers(installation):
    ledger, _ = await installation.owner()
    await ledger.commit(8, {b"k": b"v"}, [installation.alert(b"one"), installation.alert(b"two")])
    one, two = await read_committed(installation.address, installation.alerts)
    assert (one.key, one.value, headers_of(one), one.partition) == (b"key", b"one", {"ce_id": "one"}, 0)
    assert two.value == b"two"
    *_, state, stored = await read_committed(installation.address, installation.changelog)
    assert (state.key, state.value) == (b"k", b"v")
    assert (stored.key, stored.value) == (PROGRESS, b'{"schema":1,"position":8}')


async def test_messages_go_to_the_partition_they_name_or_by_their_key(installation):
    ledger, _ = await installation.owner()
    named = [Message(installation.alerts, number, b"k", b"%d" % number) for number in (0, 1)]
    by_key = [Message(installation.alerts, None, b"%d" % number, b"by key") for number in range(20)]
    await ledger.commit(1, {}, [*named, *by_key])
    records = await read_committed(installation.address, installation.alerts)
    assert {record.partition: record.value for record in records if record.value != b"by key"} == {0: b"0", 1: b"1"}
    assert {record.partition for record in records if record.value == b"by key"} == {0, 1}


async def test_a_partition_that_was_not_taken_over_takes_no_step(installation):
    ledger = installation.ledger()
    assert "has not been taken over" in str(await lost(ledger.commit(1, {}, [])))


async def test_an_entry_cannot_take_a_key_of_the_protocol(installation):
    ledger, _ = await installation.owner()
    with pytest.raises(ValueError, match="key of the protocol"):
        await ledger.commit(1, {PROGRESS: b"{}"}, [])


async def test_transactions_of_one_owner_keep_a_distance_and_many_owners_do_not_wait_for_each_other(installation):
    ledger, _ = await installation.owner()
    await ledger.commit(0, {}, [])
    started = time.monotonic()
    for position in range(10):
        await ledger.commit(position, {}, [])
    assert time.monotonic() - started >= 10 * 0.019


async def test_a_fenced_owner_can_write_nothing(installation):
    older, _ = await installation.owner()
    await older.commit(1, {b"k": b"older"}, [installation.alert(b"1")])
    newer, restored = await installation.owner()
    assert restored.position == 1
    refused = await lost(older.commit(2, {b"k": b"zombie"}, [installation.alert(b"zombie")]))
    assert refused.fenced
    assert refused.culprit is None
    assert "another process took over" in str(refused)
    await newer.commit(2, {b"k": b"newer"}, [installation.alert(b"2")])
    _, restored = await installation.owner()
    assert restored.entries == {b"k": b"newer"}
    assert await installation.told() == [b"1", b"2"]


async def test_a_dead_ledger_stays_dead(installation):
    older, _ = await installation.owner()
    await installation.owner()
    await lost(older.commit(1, {}, []))
    await lost(older.commit(1, {}, []))
    await older.close()
    await lost(older.commit(1, {}, []))
    assert await installation.told() == []


@pytest.mark.parametrize("point", STEPS)
async def test_an_owner_that_stops_at_any_point_leaves_all_or_nothing_and_is_refused_when_it_awakes(
    installation, point
):
    gate = Gate(point)
    stopped, _ = await installation.owner(points=gate)
    messages = [installation.alert(b"%d" % number) for number in range(6)]
    step = asyncio.create_task(stopped.commit(7, {b"k": b"v"}, messages))
    await gate.reached.wait()
    await asyncio.sleep(0.2)  # what was handed over gets to the broker
    heir, restored = await installation.owner()
    done = point == "step-after-commit"
    assert restored.position == (7 if done else None)
    assert restored.entries == ({b"k": b"v"} if done else {})
    assert await installation.told() == ([message.value for message in messages] if done else [])
    gate.opened.set()
    if done:
        await step
        await lost(stopped.commit(8, {}, [installation.alert(b"zombie")]))
    else:
        assert (await lost(step)).fenced
    await heir.commit(9, {}, [installation.alert(b"heir")])
    assert b"zombie" not in (told := await installation.told())
    assert told[-1] == b"heir"
    assert len(told) == (7 if done else 1)


@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("takeover-")])
async def test_a_takeover_that_dies_at_any_point_loses_nothing(installation, point):
    owner, _ = await installation.owner()
    await owner.commit(3, {b"k": b"v"}, [installation.alert(b"1")])

    async def die(passed: str) -> None:
        if passed == point:
            raise RuntimeError("died")

    with pytest.raises(RuntimeError, match="died"):
        await installation.owner(points=die)
    heir, restored = await installation.owner()
    assert (restored.entries, restored.position) == ({b"k": b"v"}, 3)
    await heir.commit(4, {}, [installation.alert(b"2")])
    assert await installation.told() == [b"1", b"2"]


async def test_a_cancelled_step_is_a_lost_one(installation):
    gate = Gate("step-sends-done")
    owner, _ = await installation.owner(points=gate)
    step = asyncio.create_task(owner.commit(1, {}, [installation.alert(b"1")]))
    await gate.reached.wait()
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    await lost(owner.commit(1, {}, []))
    _, restored = await installation.owner()
    assert restored.position is None
    assert await installation.told() == []


async def test_owners_who_wrest_a_partition_from_each_other_tell_everything_once_and_in_order(installation):
    """Each goes on where the changelog says, as a process would that the group has given the partition wrongly."""
    wanted = 40
    dice = random.Random(11)

    async def insist() -> None:
        while True:
            ledger = installation.ledger()
            try:
                restored = await ledger.take_over(lambda _read, _end: None)
                position = restored.position or 0
                assert restored.entries.get(b"sum", b"0") == b"%d" % sum(range(position))
                for _ in range(dice.randrange(1, 6)):
                    if position == wanted:
                        return
                    total = b"%d" % sum(range(position + 1))
                    await ledger.commit(position + 1, {b"sum": total}, [installation.alert(b"%d" % position)])
                    position += 1
            except ServerError:
                await asyncio.sleep(dice.random())  # who never lets the others finish gets nowhere
            finally:
                await ledger.close()

    async with asyncio.timeout(90):
        await asyncio.gather(*(insist() for _ in range(3)))
    assert await installation.told() == [b"%d" % number for number in range(wanted)]


async def test_a_message_that_the_topic_finds_too_large_is_named_and_nothing_of_its_step_is_visible(
    installation, unique
):
    small = f"{unique}.small"
    await make_topic(installation.address, small, 1, max_message_bytes="20000")
    ledger, _ = await installation.owner()
    await ledger.commit(1, {b"k": b"before"}, [])
    large = Message(small, 0, b"large", random.Random(1).randbytes(300_000))
    others = [Message(small, 0, b"%d" % number, b"small") for number in range(50)]
    refused = await lost(ledger.commit(2, {b"k": b"after"}, [*others[:25], large, *others[25:]]))
    assert refused.culprit == large
    assert not refused.fenced
    assert "300005 bytes" in str(refused)
    heir, restored = await installation.owner()
    assert (restored.entries, restored.position) == ({b"k": b"before"}, 1)
    await heir.commit(2, {}, others)
    assert len(await read_committed(installation.address, small)) == 50


async def test_a_message_that_no_request_can_hold_is_named(installation):
    ledger, _ = await installation.owner()
    huge = Message(installation.alerts, 0, b"huge", bytes(9 * 1024 * 1024))
    refused = await lost(ledger.commit(1, {}, [installation.alert(b"1"), huge, installation.alert(b"2")]))
    assert refused.culprit == huge
    _, restored = await installation.owner()
    assert restored.position is None
    assert await installation.told() == []


async def test_a_topic_that_is_missing_has_no_culprit(installation):
    ledger, _ = await installation.owner(timeout_s=2)
    refused = await lost(ledger.commit(1, {}, [Message(f"{installation.prefix}nowhere", 0, b"k", b"v")]))
    assert refused.culprit is None
    assert not refused.fenced


async def test_an_answer_that_was_lost_makes_a_new_producer_before_the_next_step(installation):
    ledger, _ = await installation.owner()
    ends = lose_answers(ledger)
    first = ledger._producer._producer
    await ledger.commit(1, {b"k": b"1"}, [installation.alert(b"1")])
    assert len(ends) == 2
    await ledger.commit(2, {b"k": b"2"}, [installation.alert(b"2")])
    second = ledger._producer._producer
    assert second is not first
    await ledger.commit(3, {}, [installation.alert(b"3")])
    assert ledger._producer._producer is second
    assert await installation.told() == [b"1", b"2", b"3"]
    _, restored = await installation.owner()
    assert (restored.entries, restored.position) == ({b"k": b"2"}, 3)


async def test_a_new_producer_is_not_a_way_back_for_an_owner_that_was_replaced_meanwhile(installation):
    """The new epoch shuts the heir out as well; but the heir has stepped: the old owner's memory is worth nothing."""
    ledger, _ = await installation.owner()
    lose_answers(ledger)
    await ledger.commit(1, {}, [installation.alert(b"1")])
    heir, _ = await installation.owner()
    await heir.commit(2, {}, [installation.alert(b"heir")])
    refused = await lost(ledger.commit(2, {}, [installation.alert(b"zombie")]))
    assert refused.fenced
    assert await installation.told() == [b"1", b"heir"]
    await lost(heir.commit(3, {}, [installation.alert(b"shut out")]))
    again, restored = await installation.owner()
    assert restored.position == 2
    await again.commit(3, {}, [installation.alert(b"2")])
    assert await installation.told() == [b"1", b"heir", b"2"]


async def test_an_owner_replaced_by_somebody_who_only_took_over_is_refused_too(installation):
    ledger, _ = await installation.owner()
    lose_answers(ledger)
    await ledger.commit(1, {}, [])
    await installation.owner()
    assert (await lost(ledger.commit(2, {}, [installation.alert(b"zombie")]))).fenced
    assert await installation.told() == []


async def test_a_frozen_broker_ends_a_step_in_time_and_leaves_all_or_nothing(kafka_server: KafkaServer, unique):
    frozen = Installation(kafka_server.address, f"{unique}.")
    await frozen.make_topics()
    position = 0
    for point in ("step-after-begin", "step-sends-done", "step-before-commit"):
        gate = Gate(point)
        ledger, _ = await frozen.owner(points=gate, timeout_s=2)
        step = asyncio.create_task(ledger.commit(position + 1, {}, [frozen.alert(b"%d" % position)]))
        await gate.reached.wait()
        kafka_server.freeze()
        started = time.monotonic()
        gate.opened.set()
        await lost(step)
        assert time.monotonic() - started < 4
        await ledger.close()
        assert time.monotonic() - started < 20
        kafka_server.thaw()
        heir, restored = await owner_at_last(frozen)
        position = restored.position or 0
        assert await frozen.told() == [b"%d" % number for number in range(position)]
        await heir.commit(position + 1, {}, [frozen.alert(b"%d" % position)])
        position += 1
    assert position >= 3
    await frozen.close()


async def owner_at_last(installation: Installation) -> Any:
    """Take over as the service does: again, while a broker that was away for a moment does not answer yet."""
    for _ in range(10):
        try:
            return await installation.owner()
        except ServerError:
            await asyncio.sleep(1)
    return await installation.owner()


async def test_a_killed_broker_leaves_all_or_nothing(kafka_server: KafkaServer, unique):
    killed = Installation(kafka_server.address, f"{unique}.")
    await killed.make_topics()
    ledger, _ = await killed.owner()
    position = 0

    warm = asyncio.Event()

    async def work() -> None:
        nonlocal ledger, position
        while position < 60:
            if position == 15:
                warm.set()
            try:
                await ledger.commit(position + 1, {b"k": b"%d" % position}, [killed.alert(b"%d" % position)])
                position += 1
            except LedgerLost:
                while True:
                    try:
                        ledger, restored = await killed.owner()
                    except ServerError:
                        await asyncio.sleep(0.2)
                    else:
                        position = restored.position or 0
                        break

    working = asyncio.create_task(work())
    await warm.wait()
    kafka_server.kill()
    await asyncio.to_thread(time.sleep, 0.5)
    kafka_server.start()
    async with asyncio.timeout(60):
        await working
    assert await killed.told() == [b"%d" % number for number in range(60)]
    await killed.close()
