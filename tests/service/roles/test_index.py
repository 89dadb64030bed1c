"""The index role over a real Kafka and a real Elasticsearch: every alert once, whatever happens to either."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from streamer.elastic import Verdict
from streamer.kafka import Gap
from streamer.kafka.records import Fetched
from tests.servers.elasticsearch import request
from tests.servers.gateway import gateway_to
from tests.servers.topics import delete_topic, drop_records, make_topic
from tests.service.roles.indexing import PARTITIONS, World, alert, ids, running, until


@pytest.fixture
async def world(kafka_address, elasticsearch_url, unique) -> World:
    world = World(kafka_address, elasticsearch_url, unique)
    await world.prepare()
    return world


async def test_every_alert_stands_in_the_index_of_its_day_and_the_offsets_follow(world):
    await world.tell(alert(world.name, number, day=f"2026-11-2{number % 2}") for number in range(300))
    async with running(world.role()) as role:
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 300)
    assert await world.committed() == dict.fromkeys(range(PARTITIONS), 100)
    assert world.indexed() == ids(range(300))
    (hit,) = request(world.elasticsearch, "GET", f"/{world.index('2026.11.21')}/_search?q=_id:{1:032x}")["hits"]["hits"]
    assert hit["_source"]["message"] == "alert 1"
    assert (role.backlog.bytes, role.oldest_age_s(), role.problems()) == (0, 0.0, {})


async def test_what_a_crash_left_uncommitted_is_read_again_and_stored_once(world):
    await world.tell(alert(world.name, number) for number in range(200))
    role = world.role(commit_every_s=3600)
    task = asyncio.create_task(role.run(asyncio.Event()))
    await until(lambda: role.bulk.verdicts[Verdict.STORED] >= 100)
    role._leave = role.bulk.close  # a killed process commits nothing
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await role._reader.stop()
    await role.burial.stop()
    assert await world.committed() == {}
    async with running(world.role()) as second:
        await until(lambda: second.bulk.verdicts[Verdict.STORED] + second.bulk.verdicts[Verdict.DUPLICATE] == 200)
    assert second.bulk.verdicts[Verdict.DUPLICATE] >= 100
    assert world.indexed() == ids(range(200))


async def test_an_alert_told_twice_is_stored_once(world):
    await world.tell([alert(world.name, 1), alert(world.name, 2), alert(world.name, 3), alert(world.name, 1)])
    async with running(world.role()) as role:
        await until(lambda: sum(role.bulk.verdicts.values()) == 4)
    assert role.bulk.verdicts == {Verdict.STORED: 3, Verdict.DUPLICATE: 1}
    assert world.indexed() == ids([1, 2, 3])


async def test_what_no_index_takes_goes_to_the_dead_letters_before_its_offset_moves(world):
    refused = alert(world.name, 1, source={"ip": "nowhere"})
    await world.tell([alert(world.name, 0), refused, b"\xff no json", alert(world.name, 3)])
    async with running(world.role()) as role:
        await until(lambda: role.burial.letters.total() == 2 and role.bulk.verdicts[Verdict.STORED] == 2)
    assert world.indexed() == ids([0, 3])
    letters = {letter["error"]["reason"]: letter for letter in await world.dead_letters()}
    assert letters["not-indexed"]["source"] == {"topic": f"{world.prefix}alerts", "partition": 1, "offset": 0}
    assert "document_parsing_exception" in letters["not-indexed"]["error"]["detail"]
    assert letters["not-indexed"]["stage"] == "index"
    assert letters["no-alert"]["source"]["partition"] == 2
    assert await world.committed() == {0: 2, 1: 1, 2: 1}


async def test_an_offset_does_not_move_over_a_refused_alert_whose_letter_is_not_written(world):
    await world.tell([b"nonsense", alert(world.name, 1), alert(world.name, 2), alert(world.name, 3)])
    async with running(world.role(outlet="127.0.0.1:1", drain_s=0.5)) as role:
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 3 and "writing dead letters" in role.problems())
        await asyncio.sleep(2)
    assert await world.committed() == {1: 1, 2: 1}
    async with running(world.role()) as role:
        # The alert behind it was stored the first time and is offered once more.
        await until(lambda: role.burial.letters.total() == 1 and role.bulk.verdicts[Verdict.DUPLICATE] == 1)
    assert await world.committed() == {0: 2, 1: 1, 2: 1}


async def test_alerts_that_expired_before_they_were_indexed_are_counted(world):
    await world.tell(alert(world.name, number) for number in range(9))
    async with running(world.role()) as role:
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 9)
    await world.tell(alert(world.name, number) for number in range(9, 18))
    await drop_records(world.kafka, f"{world.prefix}alerts", {0: 5})
    async with running(world.role()) as role:
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 7)
    assert role.missed == 2
    assert await world.committed() == dict.fromkeys(range(PARTITIONS), 6)


async def test_an_alerts_topic_that_was_made_anew_under_a_running_role_is_indexed_from_its_beginning(world):
    await world.tell(alert(world.name, number) for number in range(30))
    async with running(world.role()) as role:
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 30)
        await delete_topic(world.kafka, f"{world.prefix}alerts")
        await asyncio.sleep(1)
        await make_topic(world.kafka, f"{world.prefix}alerts", PARTITIONS)
        await world.tell(alert(world.name, number) for number in range(30, 42))
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 42, 90)
    assert world.indexed() == ids(range(42))


async def test_offsets_that_begin_anew_are_not_taken_for_old_ones():
    role = World("127.0.0.1:1", "http://127.0.0.1:1", "x").role()
    record = Fetched(offset=900, key=b"", value=alert("x", 1), append_time_us=0)
    role._assigned(frozenset([0, 1]))
    role._take({0: [record], 1: [record]})
    role._reader.take_gaps = lambda: (Gap(("x.alerts", 0), wanted=901, found=0, recreated=True),)
    role._look_for_gaps()
    again = replace(record, offset=3)
    role._take({0: [again], 1: [again]})
    assert [entry.offset for entry in role.backlog.take(documents=9, most_bytes=10**9)] == [900, 3]


async def test_answers_that_are_lost_pages_and_refusals_lose_and_double_nothing(world):
    async with gateway_to(world.elasticsearch) as gateway:
        async with running(world.role(gateway.url, documents=50)) as role:
            await until(lambda: role.shipping.connected)
            gateway.chances = {"lose-answer": 0.15, "unavailable": 0.1, "page": 0.1, "refuse": 0.1}
            await world.tell(alert(world.name, number) for number in range(1500))
            decided = (Verdict.STORED, Verdict.DUPLICATE)
            await until(lambda: sum(role.bulk.verdicts[verdict] for verdict in decided) == 1500, 120)
        assert min(gateway.seen[mode] for mode in gateway.chances) > 0
    assert role.bulk.verdicts[Verdict.DUPLICATE] > 0
    assert world.indexed() == ids(range(1500))
    assert await world.committed() == dict.fromkeys(range(PARTITIONS), 500)


async def test_while_the_server_is_away_one_request_tries_memory_is_bounded_and_reading_pauses(world):
    most = 300_000
    async with (
        gateway_to(world.elasticsearch) as gateway,
        running(world.role(gateway.url, memory_bytes=most, documents=20)) as role,
    ):
        await until(lambda: role.problems() == {})
        gateway.mode = "unavailable"
        await world.tell(alert(world.name, number, pad=2_000) for number in range(1500))
        await until(lambda: role.shipping.server.is_on and not role.bulk.in_flight)
        gateway.most_at_once = 0
        peak = 0
        for _ in range(60):
            await asyncio.sleep(0.1)
            peak = max(peak, role.backlog.bytes)
        assert most <= peak < most + 500 * 2_600  # one more poll may arrive
        assert gateway.most_at_once == 1
        assert gateway.seen["unavailable"] < 60
        assert "503" in role.problems()["indexing"]
        assert role.oldest_age_s() > 3
        assert await world.committed() == {}
        gateway.mode = "pass"
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 1500)
        assert role.problems() == {}
    assert world.indexed() == ids(range(1500))


async def test_one_blocked_index_holds_up_its_own_alerts_and_no_others(world):
    blocked, day = world.index("2026.11.01"), "2026-11-01"
    request(world.elasticsearch, "PUT", f"/{blocked}")
    request(world.elasticsearch, "PUT", f"/{blocked}/_settings", {"index.blocks.write": True})
    async with running(world.role()) as role:
        await world.tell(alert(world.name, number, day=day) for number in range(30))
        await until(lambda: len(role.backlog.parked.get(blocked, ())) == 30)
        await world.tell(alert(world.name, number) for number in range(30, 900))
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 870)
        await until(lambda: bool(role.problems()))
        assert list(role.problems()) == [f"indexing into {blocked}"]
        assert "cluster_block_exception" in role.problems()[f"indexing into {blocked}"]
        assert await world.committed() == {}
        tried = role.bulk.verdicts[Verdict.WAITS]
        assert tried < 60  # one alert tries for all
        request(world.elasticsearch, "PUT", f"/{blocked}/_settings", {"index.blocks.write": None})
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 900)
        assert role.problems() == {}
    assert world.indexed() == ids(range(900))
    assert await world.committed() == dict.fromkeys(range(PARTITIONS), 300)


async def test_a_closed_index_is_said_at_once_with_its_name_and_goes_on_when_it_is_opened(world):
    index = world.index("2026.11.24")
    request(world.elasticsearch, "PUT", f"/{index}")
    request(world.elasticsearch, "POST", f"/{index}/_close")
    await world.tell(alert(world.name, number) for number in range(10))
    async with running(world.role(unready_after_s=3600)) as role:
        await until(lambda: bool(role.problems()) and role.shipping.connected)
        assert "index_closed_exception" in role.problems()[f"indexing into {index}"]
        request(world.elasticsearch, "POST", f"/{index}/_open")
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 10)
    assert world.indexed() == ids(range(10))


async def test_refused_credentials_are_said_at_once_and_read_again_when_they_were_replaced(
    kafka_address, secured_elasticsearch, unique, tmp_path, capsys
):
    world = World(kafka_address, secured_elasticsearch.url, unique)
    file = tmp_path / "password"
    file.write_text(secured_elasticsearch.password)
    login = {"username": "elastic", "password_file": str(file)}
    await world.prepare(**login)
    async with running(world.role(login=login, unready_after_s=3600)) as role:
        await until(lambda: role.shipping.connected)
        await world.tell(alert(unique, number) for number in range(30))
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 30)
        file.write_text("wrong")
        await role.bulk.close()
        await world.tell(alert(unique, number) for number in range(30, 60))
        await until(lambda: "refuses the credentials" in role.problems().get("indexing", ""))
        await asyncio.sleep(3)
        assert sum((await world.committed()).values()) == 30
        file.write_text(f"{secured_elasticsearch.password}\n")
        await until(lambda: role.bulk.verdicts[Verdict.STORED] == 60)
        assert role.problems() == {}
    said = capsys.readouterr().out
    assert said.count("not available") == 1
    assert "wrong" not in said
    assert sum((await world.committed()).values()) == 60


async def test_two_processes_share_the_partitions_and_one_may_leave_in_the_middle(world):
    await world.tell(alert(world.name, number) for number in range(600))
    async with running(world.role(documents=20)) as first:
        async with running(world.role(documents=20)) as second:
            await until(lambda: len(first.backlog.partitions) in {1, 2} and len(second.backlog.partitions) in {1, 2})
            assert not first.backlog.partitions & second.backlog.partitions
            await world.tell(alert(world.name, number) for number in range(600, 1200))
            await until(lambda: second.bulk.verdicts[Verdict.STORED] > 0)
        await world.tell(alert(world.name, number) for number in range(1200, 1500))
        await until(lambda: len(first.backlog.partitions) == PARTITIONS and len(world.indexed()) == 1500)
    assert world.indexed() == ids(range(1500))
    assert await world.committed() == dict.fromkeys(range(PARTITIONS), 500)


async def test_a_stopping_role_waits_for_the_answer_that_is_on_its_way_and_commits_it(world):
    await world.tell(alert(world.name, number) for number in range(30))
    async with gateway_to(world.elasticsearch) as gateway:
        role = world.role(gateway.url, drain_s=20)
        async with running(role):
            await until(lambda: role.shipping.connected)
            gateway.mode = "freeze"
            await until(lambda: role.bulk.in_flight > 0)
            asyncio.get_running_loop().call_later(1.0, setattr, gateway, "mode", "pass")
            await asyncio.sleep(0)
    positions = await world.committed()
    assert sum(positions.values()) == len(world.indexed())


async def test_a_frozen_server_is_waited_for_and_gets_every_alert_once(world, elasticsearch_server):
    async with running(world.role(timeout_s=1)) as role:
        await until(lambda: role.shipping.connected)
        elasticsearch_server.freeze()
        await world.tell(alert(world.name, number) for number in range(300))
        await until(lambda: "does not answer" in role.problems().get("indexing", ""))
        elasticsearch_server.thaw()
        await until(lambda: role.backlog.open == 0 and len(world.indexed()) == 300)
    assert world.indexed() == ids(range(300))
    assert await world.committed() == dict.fromkeys(range(PARTITIONS), 100)


async def test_a_server_killed_under_load_and_started_again_has_every_alert_once(world, elasticsearch_server):
    async with running(world.role(timeout_s=3, documents=50)) as role:
        await world.tell(alert(world.name, number) for number in range(1000))
        await until(lambda: role.bulk.verdicts[Verdict.STORED] > 0)
        elasticsearch_server.kill()
        await world.tell(alert(world.name, number) for number in range(1000, 3000))
        await until(lambda: "does not answer" in role.problems().get("indexing", ""))
        elasticsearch_server.spawn()
        await asyncio.to_thread(elasticsearch_server.wait_ready)
        await until(lambda: role.backlog.open == 0 and len(world.indexed()) == 3000, 90)
    assert world.indexed() == ids(range(3000))
    assert sum((await world.committed()).values()) == 3000


async def test_dead_letters_wait_for_kafka_and_their_offsets_with_them(world, kafka_server):
    async with running(world.role()) as role:
        await until(lambda: role.shipping.connected and len(role.backlog.partitions) == PARTITIONS)
        await world.tell([b"nonsense", alert(world.name, 1), alert(world.name, 2)])
        await until(lambda: role.burial.letters.total() == 1)
        kafka_server.freeze()
        await asyncio.sleep(2)
        kafka_server.thaw()
        await world.tell([alert(world.name, 3), b"more nonsense", alert(world.name, 4)])
        await until(lambda: role.burial.letters.total() == 2 and role.backlog.open == 0)
    assert world.indexed() == ids([1, 2, 3, 4])
    assert {letter["error"]["reason"] for letter in await world.dead_letters()} == {"no-alert"}
