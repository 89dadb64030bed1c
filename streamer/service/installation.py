"""What ``streamer setup`` does: topics and index templates, from the settings."""

from __future__ import annotations

from datetime import date

from streamer.ecs.templates import INDEX_PREFIX, INDEX_TEMPLATE, component_templates, index_template
from streamer.service.doors import connection_of, elastic_connection_of, is_embedded
from streamer.service.settings import ElasticsearchSettings, KafkaSettings, Settings


async def install(settings: Settings, *, prune_before: date | None = None) -> list[str]:
    """Make what is missing; returns what was done, one sentence each.

    Args:
        settings: name the servers; what they do not name is left alone.
        prune_before: delete the alert indices of earlier days; ``None`` deletes nothing.

    Raises:
        ServerError: a server is away or refuses.
        SettingsError: a topic that is there is not as planned.
    """
    done: list[str] = []
    if settings.kafka is not None:
        done += await _topics(settings.kafka, embedded=is_embedded(settings))
    if settings.elasticsearch is not None:
        done += await _templates(settings.elasticsearch)
        if prune_before is not None:
            done += await _prune(settings.elasticsearch, prune_before)
    return done


async def _templates(elasticsearch: ElasticsearchSettings) -> list[str]:
    from streamer.elastic import install as install_templates  # noqa: PLC0415

    done = await install_templates(
        elastic_connection_of(elasticsearch),
        components=component_templates(),
        templates={INDEX_TEMPLATE: index_template()},
    )
    return [f"template {name} installed (Elasticsearch {done.version})" for name in done.names]


async def _prune(elasticsearch: ElasticsearchSettings, before: date) -> list[str]:
    from streamer.elastic import prune  # noqa: PLC0415

    prefix = f"{INDEX_PREFIX}{elasticsearch.namespace}-"
    names = await prune(elastic_connection_of(elasticsearch), prefix, before=before)
    return [f"index {name} deleted" for name in names] or [f"no alert index is older than {before}"]


async def _topics(kafka: KafkaSettings, *, embedded: bool) -> list[str]:
    from streamer.kafka.topics import check_topics, create_topics, plan_topics  # noqa: PLC0415

    connection = connection_of(kafka)
    plans = plan_topics(
        kafka.topic_prefix, partitions=kafka.partitions, replication=kafka.replication, embedded=embedded
    )
    made = await create_topics(connection, plans)
    there = [plan.name for plan in plans if plan.name not in made]
    sentences = [f"topic {name} created" for name in made] + [f"topic {name} was there" for name in there]
    return sentences + [problem.sentence for problem in await check_topics(connection, plans)]
