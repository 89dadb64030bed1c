"""Whether one process with a store does everything, or processes share the work over Kafka."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, TypeAlias, get_args

from streamer.errors import SettingsError
from streamer.service.doors import is_embedded
from streamer.service.settings import Settings

Role: TypeAlias = Literal["detect", "correlate", "index"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)


def roles_of(settings: Settings, asked: Collection[str] = ()) -> tuple[Role, ...]:
    """The roles this process takes; none in the embedded mode.

    Args:
        settings: all sources are topics, or none is.
        asked: roles asked for by name; all that there is a server for without them.

    Raises:
        SettingsError: sources of both kinds, or roles that cannot be taken.
    """
    unknown = [role for role in asked if role not in ROLES]
    if unknown:
        raise SettingsError(f"there is no role {unknown[0]}", hint=f"one of {', '.join(ROLES)}")
    if is_embedded(settings):
        _refuse_mixed(settings)
        if asked:
            raise SettingsError(
                f"there is no role {next(iter(asked))} here: without topics as sources one process does everything",
                hint="roles are for sources of the kind `kafka`",
            )
        return ()
    if "index" in asked and settings.elasticsearch is None:
        raise SettingsError("the role index needs the group `elasticsearch`", hint="say where alerts are indexed")
    there = [role for role in ROLES if role != "index" or settings.elasticsearch is not None]
    return tuple(role for role in there if role in (asked or there))


def _refuse_mixed(settings: Settings) -> None:
    topics = [source.name for source in settings.sources if source.kafka is not None]
    if topics:
        other = next(source.name for source in settings.sources if source.kafka is None)
        raise SettingsError(
            f"the topic {topics[0]} and {other} cannot be sources of one service: topics are shared among processes "
            "with their state in Kafka, everything else is read by one process with its state in a file",
            hint=f"ship {other} to a topic, or run two services with two files of settings",
        )
