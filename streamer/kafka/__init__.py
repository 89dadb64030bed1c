"""The only door to Kafka: raw topics in (:mod:`~streamer.kafka.reader`), alerts and dead letters out.

It knows records and documents, never the engine. Every complaint of the client library becomes one sentence here
(:mod:`~streamer.kafka.complaints`), so no other floor knows its exceptions.
"""

from streamer.kafka.alerts import AlertsTopicSink
from streamer.kafka.connection import KafkaConnection
from streamer.kafka.dead_letter import DeadLetterSink
from streamer.kafka.reader import Gap, KafkaReader, ReadLimits
from streamer.kafka.topics import TopicPlan, check_topics, create_topics, plan_topics

__all__ = [
    "AlertsTopicSink",
    "DeadLetterSink",
    "Gap",
    "KafkaConnection",
    "KafkaReader",
    "ReadLimits",
    "TopicPlan",
    "check_topics",
    "create_topics",
    "plan_topics",
]
