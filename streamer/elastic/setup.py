"""What ``streamer setup`` does in Elasticsearch: templates in, and old indices out where nobody else ages them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from elasticsearch import ApiError, AsyncElasticsearch, TransportError, UnsupportedProductError

from streamer.elastic.connection import Elastic, ElasticConnection
from streamer.elastic.verdicts import as_server_error, is_absent

_DAY: Final = re.compile(r"-(\d{4})\.(\d{2})\.(\d{2})$")


@dataclass(frozen=True, slots=True)
class Installed:
    """What was put in.

    Attributes:
        version: of the server.
        names: templates and policies, in the order installed.
        left_out: what the server has no API for.
    """

    version: str
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()


async def has_lifecycle(connection: ElasticConnection) -> bool:
    """Whether the server has index life-cycle management; small distributions have not. Raises ``ServerError``."""
    async with _opened(connection) as elastic:
        try:
            await elastic.client.ilm.get_lifecycle()
        except ApiError as error:
            if is_absent(error):
                return False
            raise
        return True


async def install(
    connection: ElasticConnection,
    *,
    components: Mapping[str, Mapping[str, Any]],
    templates: Mapping[str, Mapping[str, Any]],
    policies: Mapping[str, Mapping[str, Any]] | None = None,
) -> Installed:
    """Put policies, component templates and index templates in, in this order; existing ones are replaced.

    Args:
        connection: which cluster, with a key that may manage templates.
        components: component templates by name.
        templates: index templates by name.
        policies: life-cycle policies by name; left out where the server has none.

    Raises:
        ServerError: the server is away, or refuses one of them.
    """
    names: list[str] = []
    left_out: list[str] = []
    async with _opened(connection) as elastic:
        client = elastic.client
        for name, policy in (policies or {}).items():
            try:
                await client.ilm.put_lifecycle(name=name, body={"policy": dict(policy)})
            except ApiError as error:
                if not is_absent(error):
                    raise
                left_out.append(name)
            else:
                names.append(name)
        for name, component in components.items():
            await client.cluster.put_component_template(name=name, body=dict(component))
            names.append(name)
        for name, template in templates.items():
            await client.indices.put_index_template(name=name, body=dict(template))
            names.append(name)
        return Installed(elastic.version, tuple(names), tuple(left_out))


async def prune(connection: ElasticConnection, prefix: str, *, before: date) -> tuple[str, ...]:
    """Delete the dated indices ``<prefix>*-YYYY.MM.DD`` of days before ``before``; returns their names.

    Indices of this prefix without a date at the end are never touched. Raises ``ServerError``.
    """
    async with _opened(connection) as elastic:
        old = sorted(name for name in await _indices(elastic.client, prefix) if _is_before(name, before))
        for name in old:
            await elastic.client.indices.delete(index=name, ignore_unavailable=True)
        return tuple(old)


async def _indices(client: AsyncElasticsearch, prefix: str) -> list[str]:
    answer = await client.indices.get_settings(
        index=f"{prefix}*", expand_wildcards="all", filter_path="*.settings.index.uuid"
    )
    return list(answer)


def _is_before(name: str, day: date) -> bool:
    found = _DAY.search(name)
    if not found:
        return False
    try:
        return date(*map(int, found.groups())) < day
    except ValueError:
        return False


@asynccontextmanager
async def _opened(connection: ElasticConnection) -> AsyncIterator[Elastic]:
    elastic = Elastic(connection)
    await elastic.open()
    try:
        yield elastic
    except (ApiError, TransportError, UnsupportedProductError) as error:
        raise as_server_error(error, connection.where) from error
    finally:
        await elastic.close()
