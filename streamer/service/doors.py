"""Builds the doors that the settings ask for. The only place that turns settings into arguments of doors."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import structlog

from streamer import __version__
from streamer.ecs import DocumentContext
from streamer.ecs.bodies import shortened
from streamer.ecs.templates import INDEX_TEMPLATE
from streamer.errors import SettingsError
from streamer.local.files import FileInput, FilesReader, ReadLimits
from streamer.local.store import Retention, SqliteStore
from streamer.model import DeadLetter, Document
from streamer.ports import Partition, Sink
from streamer.service.configuration import secret
from streamer.service.delivery import Courier
from streamer.service.patience import Outage
from streamer.service.settings import ElasticsearchSettings, KafkaSettings, Settings, SourceSettings
from streamer.service.sources import WEBHOOK_BYTES, Feed

if TYPE_CHECKING:
    from streamer.elastic import ElasticConnection
    from streamer.kafka.connection import KafkaConnection
    from streamer.kafka.topics import TopicProblem
    from streamer.local.webhook import WebhookReader

_log = structlog.get_logger("streamer.service")
BATCH_BYTES: Final = 4_000_000
"""Bytes of records taken in one step: a step stays well under a second."""
_DEAD_LETTERS_PER_ALERT: Final = 10


def now_us() -> int:
    """The wall clock in microseconds since the epoch."""
    return time.time_ns() // 1_000


def is_embedded(settings: Settings) -> bool:
    """Whether one process with a store does everything, because not all sources are topics."""
    return any(source.kafka is None for source in settings.sources)


def context_of(settings: Settings, created_us: int) -> DocumentContext:
    """What the documents that are made now say of the installation that made them."""
    elasticsearch = settings.elasticsearch
    return DocumentContext(
        instance=socket.gethostname(),
        version=__version__,
        created_us=created_us,
        namespace=elasticsearch.namespace if elasticsearch else "default",
    )


def retention_of(settings: Settings) -> Retention:
    """What the store keeps."""
    kept = settings.retention
    return Retention(kept.days, kept.alerts, max(1, kept.alerts // _DEAD_LETTERS_PER_ALERT))


def open_store(settings: Settings) -> SqliteStore:
    """The store of these settings, with an outbox per sink. Raises ``StateError``."""
    alerts = [name for name, wanted in (("kafka", settings.kafka), ("elasticsearch", settings.elasticsearch)) if wanted]
    return SqliteStore(settings.store, sinks=alerts, dead_letter_sinks=["dead-letter"] if settings.kafka else [])


def feeds_of(settings: Settings, positions: Mapping[Partition, object]) -> list[Feed]:
    """One feed for all files, one for each webhook. Topics are shared among processes and not read here."""
    feeds = []
    files = [source for source in settings.sources if source.kafka is None and source.webhook is None]
    if files:
        reader = FilesReader(
            [FileInput(source.name, source.follow) for source in files],
            ReadLimits(settings.limits.batch_records, BATCH_BYTES, settings.limits.record_bytes),
        )
        names = frozenset(source.name for source in files)
        feeds.append(Feed(reader, names, is_file=True, positions={}, outage=Outage("reading files", _log)))
    feeds += [_webhook_feed(settings, source) for source in settings.sources if source.webhook is not None]
    for feed in feeds:
        feed.stored(positions)
    return feeds


def webhook_of(source: SourceSettings, reading: ReadLimits | None = None) -> WebhookReader:
    """The reader of a webhook, not started."""
    # Here and not above: it brings a web server.
    from streamer.local.https import ServerFiles  # noqa: PLC0415
    from streamer.local.webhook import WebhookLimits, WebhookReader  # noqa: PLC0415

    assert source.cert_file is not None
    assert source.key_file is not None
    return WebhookReader(
        source.name,
        ServerFiles(source.cert_file, source.key_file, source.client_ca_file),
        token_file=source.token_file,
        reading=reading,
        limits=WebhookLimits(body=WEBHOOK_BYTES),
    )


def _webhook_feed(settings: Settings, source: SourceSettings) -> Feed:
    reader = webhook_of(source, ReadLimits(settings.limits.batch_records, BATCH_BYTES))
    outage = Outage(f"listening on {source.name}", _log)
    return Feed(reader, frozenset({source.name}), is_file=False, positions={}, outage=outage)


def connection_of(kafka: KafkaSettings) -> KafkaConnection:
    """How to reach Kafka; files are read by the door itself, for every connection it makes.

    Raises:
        SettingsError: the password is given twice, or its file cannot be read.
    """
    from streamer.kafka.connection import KafkaConnection  # noqa: PLC0415

    security = kafka.security
    secret(security.password, security.password_file, "kafka.security.password")
    files = (security.ca_file, security.cert_file, security.key_file, security.password_file)
    ca_file, cert_file, key_file, password_file = (str(path) if path else None for path in files)
    return KafkaConnection(
        bootstrap_servers=kafka.bootstrap_servers,
        security_protocol=security.protocol,
        ca_file=ca_file,
        certificate_file=cert_file,
        key_file=key_file,
        sasl_mechanism=security.mechanism,
        username=security.username,
        password=security.password.get_secret_value() if security.password else None,
        password_file=password_file,
    )


async def topic_problems(kafka: KafkaSettings, *, embedded: bool) -> tuple[TopicProblem, ...]:
    """What is wrong with our own topics; raises ``ServerError`` and ``SettingsError``.

    Args:
        kafka: the cluster.
        embedded: whether only alerts and dead letters go there; else the topics of the pipeline are looked at too.
    """
    from streamer.kafka.topics import check_topics, plan_topics  # noqa: PLC0415

    plans = plan_topics(
        kafka.topic_prefix, partitions=kafka.partitions, replication=kafka.replication, embedded=embedded
    )
    return await check_topics(connection_of(kafka), plans)


async def refuse_wrong_topics(kafka: KafkaSettings, *, embedded: bool = True) -> None:
    """Our own topics must be as planned: a wrong clean-up policy loses alerts quietly. Lesser faults are logged.

    Raises:
        SettingsError: one is not there, or not as planned.
        ServerError: Kafka is away.
    """
    problems = await topic_problems(kafka, embedded=embedded)
    for problem in problems:
        if not problem.refused:
            _log.warning("a topic is not as planned", detail=problem.sentence, hint=problem.hint)
    refused = [problem for problem in problems if problem.refused]
    if refused:
        hint = "`streamer setup` creates topics; it never changes existing ones"
        raise SettingsError("; ".join(problem.sentence for problem in refused), hint=hint)


def elastic_connection_of(elasticsearch: ElasticsearchSettings) -> ElasticConnection:
    """How to reach Elasticsearch; secrets in files are read by the door itself, again when they are refused.

    Raises:
        SettingsError: a secret is given twice.
    """
    from streamer.elastic import ElasticConnection  # noqa: PLC0415

    key, password = elasticsearch.api_key, elasticsearch.password
    if (key and elasticsearch.api_key_file) or (password and elasticsearch.password_file):
        raise SettingsError("elasticsearch: a secret is given by itself and as a file", hint="keep the file")
    files = (elasticsearch.api_key_file, elasticsearch.password_file, elasticsearch.ca_file)
    key_file, password_file, ca_file = (str(path) if path else None for path in files)
    return ElasticConnection(
        elasticsearch.hosts,
        api_key=key.get_secret_value() if key else None,
        api_key_file=key_file,
        username=elasticsearch.username,
        password=password.get_secret_value() if password else None,
        password_file=password_file,
        ca_file=ca_file,
    )


Couriers = list[Courier[Document, str] | Courier[tuple[int, DeadLetter], int]]


def couriers_of(settings: Settings, store: SqliteStore) -> Couriers:
    """One courier per sink."""
    couriers: Couriers = []
    if settings.kafka is not None:
        from streamer.kafka.alerts import AlertsTopicSink  # noqa: PLC0415
        from streamer.kafka.dead_letter import DeadLetterSink  # noqa: PLC0415

        connection, prefix = connection_of(settings.kafka), settings.kafka.topic_prefix
        sink = AlertsTopicSink(connection, f"{prefix}alerts", writer=f"{prefix}alerts-{store.identity}")
        couriers.append(_alert_courier(sink, store))
        letters = DeadLetterSink(connection, f"{prefix}dead-letter", source=f"/streamer/{settings.cluster}")
        couriers.append(
            Courier(
                letters,
                lambda limit: store.undelivered_dead_letters(letters.name, limit),
                lambda numbers: store.delivered_dead_letters(letters.name, numbers),
            )
        )
    if settings.elasticsearch is not None:
        from streamer.elastic import ElasticSink  # noqa: PLC0415

        elastic = ElasticSink(elastic_connection_of(settings.elasticsearch), template=INDEX_TEMPLATE, shorten=shortened)
        couriers.append(_alert_courier(elastic, store))
    return couriers


def _alert_courier(sink: Sink, store: SqliteStore) -> Courier[Document, str]:
    return Courier(sink, lambda limit: store.undelivered(sink.name, limit), lambda ids: store.delivered(sink.name, ids))
