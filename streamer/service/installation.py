"""What ``streamer setup`` does: topics and index templates, from the settings."""

from __future__ import annotations

from streamer.service.doors import connection_of
from streamer.service.settings import KafkaSettings, Settings


async def install(settings: Settings) -> list[str]:
    """Make what is missing; returns what was done, one sentence each.

    Raises:
        ServerError: a server is away or refuses.
        SettingsError: a topic that is there is not as planned.
    """
    done: list[str] = []
    if settings.kafka is not None:
        done += await _topics(settings.kafka)
    return done


async def _topics(kafka: KafkaSettings) -> list[str]:
    from streamer.kafka.topics import check_topics, create_topics, plan_topics  # noqa: PLC0415

    connection = connection_of(kafka)
    plans = plan_topics(kafka.topic_prefix, partitions=kafka.partitions, replication=kafka.replication)
    made = await create_topics(connection, plans)
    there = [plan.name for plan in plans if plan.name not in made]
    sentences = [f"topic {name} created" for name in made] + [f"topic {name} was there" for name in there]
    return sentences + list(await check_topics(connection, plans))
