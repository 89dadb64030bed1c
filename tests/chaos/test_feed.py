"""Those who stand outside: the shipper and the subscriber get through a broker that is killed."""

from __future__ import annotations

import asyncio
import time
import urllib.error
from collections import Counter

import pytest

from tests.chaos.door import ElasticDoor
from tests.chaos.feed import Shipper, Sighting, Sightings, Subscriber
from tests.chaos.workload import PARTITIONS, Workload
from tests.servers.elasticsearch import request
from tests.servers.topics import make_topic, produce, read_committed


@pytest.mark.servers
def test_a_shipper_ships_everything_although_the_broker_is_killed(kafka, unique):
    topics = {kind: f"{unique}-{kind}" for kind in PARTITIONS}
    for kind, topic in topics.items():
        asyncio.run(make_topic(kafka.address, topic, PARTITIONS[kind]))
    records = list(Workload(3000).records())
    shipper = Shipper(kafka.address, topics, records, rate=1000, burst=500)
    shipper.start()
    time.sleep(1)
    assert not shipper.done.is_set()
    kafka.kill()
    kafka.start()
    assert shipper.done.wait(60)
    shipper.stop()
    for kind, topic in topics.items():
        there = Counter(
            (record.partition, record.value) for record in asyncio.run(read_committed(kafka.address, topic))
        )
        meant = Counter((raw.partition, raw.value) for raw in records if raw.kind == kind)
        assert not meant - there


@pytest.mark.servers
def test_a_subscriber_sees_every_record_once_although_the_broker_is_killed(kafka, unique):
    asyncio.run(make_topic(kafka.address, unique))
    subscriber = Subscriber(kafka.address, unique, 1)
    subscriber.start()
    asyncio.run(produce(kafka.address, unique, [b"1", b"2"]))
    time.sleep(1)
    kafka.kill()
    kafka.start()
    asyncio.run(produce(kafka.address, unique, [b"3"]))
    end = time.monotonic() + 30
    while len(subscriber.sightings.seen) < 3 and time.monotonic() < end:
        time.sleep(0.1)
    subscriber.stop()
    assert [sighting.offset for sighting in subscriber.sightings.seen] == [0, 1, 2]


def test_an_alert_at_two_places_is_seen_as_doubled():
    places = [(0, 1, "a"), (0, 2, "b"), (0, 1, "a"), (1, 7, "b")]
    sightings = Sightings([Sighting(partition, offset, id_, 0.0, 0) for partition, offset, id_ in places])
    assert sightings.doubled() == ["b"]


@pytest.mark.servers
def test_the_door_refuses_and_passes_on(elasticsearch_url):
    door = ElasticDoor(int(elasticsearch_url.rpartition(":")[2]))
    door.start()
    try:
        assert request(door.url, "GET", "/_cluster/health")["status"]
        for status in (429, 503):
            door.refuse_with = status
            with pytest.raises(urllib.error.HTTPError) as refused:
                request(door.url, "GET", "/_cluster/health")
            assert refused.value.code == status
            refused.value.close()
        door.refuse_with = None
        assert request(door.url, "GET", "/_cluster/health")["status"]
        assert door.refused == {429: 1, 503: 1}
    finally:
        door.stop()
