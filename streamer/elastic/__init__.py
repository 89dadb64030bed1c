"""The only door to Elasticsearch: documents in by bulk, templates by ``streamer setup``, old indices out.

It knows documents, never the engine. What each answer of the server means for a document is decided in one table
(:mod:`~streamer.elastic.verdicts`).
"""

from streamer.elastic.bulk import Bulk, Outcome
from streamer.elastic.connection import Elastic, ElasticConnection
from streamer.elastic.setup import Installed, has_lifecycle, install, prune
from streamer.elastic.sink import ElasticSink
from streamer.elastic.verdicts import Verdict

__all__ = [
    "Bulk",
    "Elastic",
    "ElasticConnection",
    "ElasticSink",
    "Installed",
    "Outcome",
    "Verdict",
    "has_lifecycle",
    "install",
    "prune",
]
