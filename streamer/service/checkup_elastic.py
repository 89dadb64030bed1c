"""The check-up of Elasticsearch: reachable, a version that fits, templates as this version needs them, privileges."""

from __future__ import annotations

from streamer.ecs.templates import INDEX_PREFIX, INDEX_TEMPLATE, component_templates, index_template
from streamer.errors import ServerError, SettingsError
from streamer.service.doors import elastic_connection_of
from streamer.service.findings import Finding, note, ok, wrong
from streamer.service.settings import ElasticsearchSettings


async def elastic_findings(elasticsearch: ElasticsearchSettings) -> list[Finding]:
    """Look at the server; never raises on account of what it finds."""
    from streamer.elastic.inspection import ElasticSeen, look_at  # noqa: PLC0415

    indices = f"{INDEX_PREFIX}{elasticsearch.namespace}-*"
    try:
        seen: ElasticSeen = await look_at(
            elastic_connection_of(elasticsearch),
            components=component_templates(),
            templates={INDEX_TEMPLATE: index_template()},
            indices=indices,
        )
    except (ServerError, SettingsError) as error:
        return [wrong(error.message, error.hint)]
    found = [ok(f"Elasticsearch at {', '.join(elasticsearch.hosts)} answers, version {seen.version}")]
    if not seen.templates_seen:
        hint = "allow the cluster privilege `monitor`, or run `streamer setup` after every update"
        found.append(note("the index templates may not be looked at", hint))
    elif seen.missing:
        found.append(wrong(f"Elasticsearch has no template {', '.join(seen.missing)}", "run `streamer setup`"))
    elif seen.outdated:
        name, lacking = next(iter(seen.outdated.items()))
        sentence = f"the template {name} in Elasticsearch is of another version: {lacking} differs"
        found.append(wrong(sentence, "run `streamer setup`; it holds from the next daily index on"))
    else:
        found.append(ok("the index templates are there and current"))
    if seen.denied:
        sentence = f"Elasticsearch does not allow {', '.join(seen.denied)} on {indices}"
        found.append(wrong(sentence, "give the role of this user or key these privileges on these indices"))
    elif seen.denied is None:
        found.append(
            note("Elasticsearch checks no privileges: everybody may read and delete alerts", "enable security")
        )
    else:
        found.append(ok(f"alerts may be written to {indices}"))
    return found
