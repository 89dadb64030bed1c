"""What ``streamer doctor`` asks an Elasticsearch: facts, without a judgement. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from elasticsearch import ApiError, AsyncElasticsearch, NotFoundError, TransportError, UnsupportedProductError

from streamer.elastic.connection import Elastic, ElasticConnection
from streamer.elastic.verdicts import as_server_error, is_absent

WRITES: Final = ("create_doc", "auto_configure")
"""What a writer of alerts needs on their indices: it can neither change nor delete what stands there."""


@dataclass(frozen=True, slots=True)
class ElasticSeen:
    """An Elasticsearch as it shows itself to us.

    Attributes:
        version: as it says.
        missing: templates that are not there.
        outdated: templates that are there and lack something, each with the first thing lacking.
        templates_seen: whether we may look at templates at all.
        denied: privileges on the alert indices that we lack; ``None``: the server checks none.
    """

    version: str
    missing: tuple[str, ...] = ()
    outdated: Mapping[str, str] | None = None
    templates_seen: bool = True
    denied: tuple[str, ...] | None = None


async def look_at(
    connection: ElasticConnection,
    *,
    components: Mapping[str, Mapping[str, Any]],
    templates: Mapping[str, Mapping[str, Any]],
    indices: str,
) -> ElasticSeen:
    """Compare what is there with what ``streamer setup`` would put in.

    Args:
        connection: which cluster, with the credentials of the service.
        components: component templates by name.
        templates: index templates by name.
        indices: pattern of the indices that are written.

    Raises:
        ServerError: the server is away, does not fit, or refuses the credentials.
        SettingsError: see :meth:`~streamer.elastic.connection.ElasticConnection.client`.
    """
    elastic = Elastic(connection)
    await elastic.open()
    try:
        denied = await _denied(elastic.client, indices)
        missing: list[str] = []
        outdated: dict[str, str] = {}
        try:
            for name, wanted in components.items():
                _compare(name, wanted, await _component(elastic.client, name), missing, outdated)
            for name, wanted in templates.items():
                _compare(name, wanted, await _index_template(elastic.client, name), missing, outdated)
        except ApiError as error:
            if error.status_code != 403:
                raise
            return ElasticSeen(elastic.version, templates_seen=False, denied=denied)
        return ElasticSeen(elastic.version, tuple(missing), outdated, denied=denied)
    except (ApiError, TransportError, UnsupportedProductError) as error:
        raise as_server_error(error, connection.where) from error
    finally:
        await elastic.close()


async def _denied(client: AsyncElasticsearch, indices: str) -> tuple[str, ...] | None:
    asked = [{"names": [indices], "privileges": list(WRITES)}]
    try:
        answer = await client.security.has_privileges(index=asked)
    except ApiError as error:
        if is_absent(error) or error.status_code in (404, 500):  # security is switched off, in the words of 8 and of 9
            return None
        raise
    granted = answer["index"][indices]
    return tuple(name for name in WRITES if not granted[name])


async def _component(client: AsyncElasticsearch, name: str) -> Mapping[str, Any] | None:
    try:
        answer = await client.cluster.get_component_template(name=name)
    except NotFoundError:
        return None
    return dict(answer["component_templates"][0]["component_template"])


async def _index_template(client: AsyncElasticsearch, name: str) -> Mapping[str, Any] | None:
    try:
        answer = await client.indices.get_index_template(name=name)
    except NotFoundError:
        return None
    return dict(answer["index_templates"][0]["index_template"])


def _compare(
    name: str,
    wanted: Mapping[str, Any],
    there: Mapping[str, Any] | None,
    missing: list[str],
    outdated: dict[str, str],
) -> None:
    if there is None:
        missing.append(name)
    elif lacking := _first_lacking(_in_one_shape(wanted), _in_one_shape(there), ()):
        outdated[name] = ".".join(part for part in lacking if part not in {"template", "mappings", "properties"})


def _first_lacking(wanted: Any, there: Any, path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Where ``there`` first lacks something of ``wanted``; what it has beyond that does not matter."""
    if not isinstance(wanted, Mapping):
        return None if wanted == there else path
    if not isinstance(there, Mapping):
        return path if wanted else None
    for key, value in wanted.items():
        lacking = _first_lacking(value, there.get(key), (*path, key))
        if lacking:
            return lacking
    return None


def _in_one_shape(value: Any) -> Any:
    """Settings written with dots and nested, numbers and text, are the same to the server."""
    if isinstance(value, Mapping):
        shaped: dict[str, Any] = {}
        for key, inner in value.items():
            level, *rest = (part for part in key.split(".")) if key.startswith("index.") else (key,)
            nested = _in_one_shape(inner)
            for part in reversed(rest):
                nested = {part: nested}
            shaped[level] = _merged(shaped.get(level), nested)
        return shaped
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_in_one_shape(item) for item in value]
    return str(value)


def _merged(first: Any, second: Any) -> Any:
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return second
    return first | {key: _merged(first.get(key), value) for key, value in second.items()}
