"""The only door to Kafka: raw topics in, alerts and dead letters out, and the ledgers of partitions between them.

It knows records and documents, never the engine. Every complaint of the client library becomes one sentence here
(:mod:`~streamer.kafka.complaints`), so no other floor knows its exceptions.
"""

from streamer.kafka.alerts import AlertsTopicSink
from streamer.kafka.alerts_reader import AlertsReader
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.dead_letter import DeadLetterSink
from streamer.kafka.detections import DetectionsReader
from streamer.kafka.gaps import Gap
from streamer.kafka.ledger import POINTS, KafkaLedger
from streamer.kafka.outlet import Outlet
from streamer.kafka.raw_group import RawGroupReader, ReadLimits
from streamer.kafka.records import Fetched
from streamer.kafka.topics import TopicPlan, TopicProblem, check_topics, create_topics, plan_topics

__all__ = [
    "POINTS",
    "AlertsReader",
    "AlertsTopicSink",
    "DeadLetterSink",
    "DetectionsReader",
    "Fetched",
    "Gap",
    "KafkaConnection",
    "KafkaLedger",
    "Outlet",
    "RawGroupReader",
    "ReadLimits",
    "TopicPlan",
    "TopicProblem",
    "check_topics",
    "create_topics",
    "plan_topics",
]
