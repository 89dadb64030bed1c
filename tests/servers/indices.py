"""What tests ask an Elasticsearch, with the standard library and none of the product's code."""

from __future__ import annotations

import urllib.error
from typing import Any

from tests.servers.elasticsearch import request


def search(url: str, index: str, query: dict[str, Any] | None = None, *, size: int = 1000) -> list[dict[str, Any]]:
    """The hits of a search, after everything written before is searchable; none where there is no such index."""
    try:
        request(url, "POST", f"/{index}/_refresh?ignore_unavailable=true")
        body = {"query": query or {"match_all": {}}, "size": size}
        answer = request(url, "POST", f"/{index}/_search?ignore_unavailable=true", body)
    except urllib.error.HTTPError as error:
        if error.code in {404, 503}:  # not there yet, or its shards are starting
            return []
        raise
    hits: list[dict[str, Any]] = answer["hits"]["hits"]
    return hits


def ids_in(url: str, index: str) -> list[str]:
    """All document ids, sorted."""
    return sorted(hit["_id"] for hit in search(url, index, size=10_000))
