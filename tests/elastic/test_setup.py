"""Templates in and old indices out, on a real Elasticsearch."""

from __future__ import annotations

from datetime import date

import pytest

from streamer.ecs.templates import INDEX_PREFIX, INDEX_TEMPLATE, component_templates, index_template
from streamer.elastic import ElasticConnection, ElasticSink, has_lifecycle, install, prune
from streamer.errors import ServerError
from tests.elastic.test_sink import document
from tests.servers.elasticsearch import request
from tests.servers.indices import ids_in, search


@pytest.fixture
async def installed(elasticsearch_url) -> ElasticConnection:
    connection = ElasticConnection((elasticsearch_url,))
    await install(connection, components=component_templates(), templates={INDEX_TEMPLATE: index_template()})
    return connection


async def test_our_templates_are_accepted_by_a_server_that_has_only_the_basic_field_types(installed, elasticsearch_url):
    there = request(elasticsearch_url, "GET", f"/_index_template/{INDEX_TEMPLATE}")["index_templates"]
    assert there[0]["index_template"]["priority"] == 500


async def test_installing_again_is_harmless_and_says_what_was_put_in(installed):
    templates = {INDEX_TEMPLATE: index_template()}
    again = await install(installed, components=component_templates(), templates=templates)
    assert again.names == (*component_templates(), INDEX_TEMPLATE)
    assert again.left_out == ()


async def test_an_alert_index_gets_the_mapping_and_no_field_beyond_it(installed, elasticsearch_url, unique):
    index = f"{INDEX_PREFIX}{unique}-2026.11.24"
    body = b'{"@timestamp": "2026-11-24T10:00:00.123456Z", "rule": {"name": "r"}, "surprise": {"a": 1}}'
    sink = ElasticSink(installed, template=INDEX_TEMPLATE)
    await sink.deliver([document(index, 1, body)])
    await sink.stop()
    mapping = request(elasticsearch_url, "GET", f"/{index}/_mapping")[index]["mappings"]
    assert mapping["properties"]["@timestamp"]["type"] == "date_nanos"
    assert "surprise" not in mapping["properties"]
    assert len(search(elasticsearch_url, index, {"term": {"rule.name": "r"}})) == 1


async def test_a_later_alert_with_the_same_microsecond_is_told_apart(installed, elasticsearch_url, unique):
    index = f"{INDEX_PREFIX}{unique}-2026.11.24"
    sink = ElasticSink(installed)
    stamps = [b'{"@timestamp": "2026-11-24T10:00:00.123%dZ"}' % number for number in (456, 999)]
    await sink.deliver([document(index, number, body) for number, body in enumerate(stamps)])
    await sink.stop()
    after = {"range": {"@timestamp": {"gt": "2026-11-24T10:00:00.123456Z"}}}
    assert [hit["_id"] for hit in search(elasticsearch_url, index, after)] == [document(index, 1).id]


async def test_a_server_without_life_cycles_says_so(installed):
    assert await has_lifecycle(installed) is False
    policy = {"streamer-alerts": {"phases": {"delete": {"min_age": "90d", "actions": {"delete": {}}}}}}
    done = await install(installed, components={}, templates={}, policies=policy)
    assert done.left_out == ("streamer-alerts",)


async def test_a_template_the_server_refuses_is_a_sentence(installed, unique):
    with pytest.raises(ServerError, match="refuses the request") as refused:
        await install(installed, components={unique: {"template": {"mappings": {"nonsense": 1}}}}, templates={})
    assert not refused.value.retriable


async def test_prune_removes_whole_days_of_this_prefix_only(installed, elasticsearch_url, unique):
    names = [f"{unique}-a-2026.01.0{day}" for day in (1, 2, 3)]
    kept = [f"{unique}-a-notes", f"{unique}-b-2026.01.01", f"{unique}-a-2026.13.45"]
    for name in names + kept:
        request(elasticsearch_url, "PUT", f"/{name}")
    assert await prune(installed, f"{unique}-a-", before=date(2026, 1, 3)) == tuple(names[:2])
    assert await prune(installed, f"{unique}-a-", before=date(2026, 1, 3)) == ()
    for name in [names[2], *kept]:
        assert ids_in(elasticsearch_url, name) == []
        request(elasticsearch_url, "GET", f"/{name}")
