"""``python -m tests.servers fetch`` downloads the real servers; ``up`` runs both on this machine until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

from tests.servers.download import MissingError, elasticsearch_home, kafka_jars
from tests.servers.elasticsearch import ElasticsearchServer
from tests.servers.kafka import KafkaServer
from tests.servers.topics import make_topic

RAW_TOPICS = ("k8s-audit", "k8s-logs")
USAGE = "usage: python -m tests.servers fetch | up [KAFKA_PORT ELASTICSEARCH_PORT]"


def main(arguments: list[str]) -> int:
    """Run one of the verbs; the exit code is 2 where something is missing or asked for wrongly."""
    try:
        match arguments:
            case ["fetch"]:
                print(f"Kafka          {len(kafka_jars())} jars")
                print(f"Elasticsearch  {elasticsearch_home()}")
            case ["up"]:
                up(9092, 9200)
            case ["up", kafka_port, elasticsearch_port] if kafka_port.isdigit() and elasticsearch_port.isdigit():
                up(int(kafka_port), int(elasticsearch_port))
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except MissingError as missing:
        print(missing, file=sys.stderr)
        return 2
    return 0


def up(kafka_port: int, elasticsearch_port: int) -> None:
    """Run both servers with empty data and two raw topics until interrupted; nothing is kept."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kafka = KafkaServer(port=kafka_port)
    elasticsearch = ElasticsearchServer(port=elasticsearch_port)
    try:
        for server in (kafka, elasticsearch):
            server.spawn()
        for server in (kafka, elasticsearch):
            server.wait_ready()
        for topic in RAW_TOPICS:
            asyncio.run(make_topic(kafka.address, topic, message_timestamp_type="LogAppendTime"))
        print(f"Kafka          {kafka.address}, raw topics {', '.join(RAW_TOPICS)}")
        print(f"Elasticsearch  {elasticsearch.url}")
        print("Data is temporary. Ctrl-C ends both.", flush=True)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print("ending both", flush=True)
    finally:
        for server in (kafka, elasticsearch):
            server.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
