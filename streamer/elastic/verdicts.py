"""What each answer of Elasticsearch means for a document: the one table.

A document is *done* when it stands in the index, and *refused* when this server will never take it as it is. For
everything else it waits: a server that is away, busy or blocked costs time, never an alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from elastic_transport import ConnectionError as TransportConnectionError
from elastic_transport import ConnectionTimeout, TlsError, TransportError
from elasticsearch import ApiError, UnsupportedProductError

from streamer.errors import ServerError

_NOT_THE_DOCUMENTS_FAULT: Final = {
    "index_closed_exception",
    "index_not_found_exception",
    "validation_exception",  # no more shards allowed: the index of a new day cannot be made
}
_ABOUT_THE_INDEX: Final = (
    "pipeline with id [",
    "maximum normal shards open",
    "template after composition is invalid",
    "composable template",
)
"""Words of refusals with status 400 that would meet every document alike."""
_MALFORMED: Final = {"action_request_validation_exception", "x_content_parse_exception"}
_ROTATE_HINT: Final = "Correct elasticsearch.api_key or its file; a changed file is read again by itself."


class Verdict(Enum):
    """What becomes of one document of a bulk request."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    FAILURE_STORE = "failure-store"
    REFUSED = "refused"
    BUSY = "busy"
    """The server has too much to do: the same again, a little later."""
    WAITS = "waits"
    """Its index is blocked for now, often by a full disk."""
    OPERATOR = "operator"
    """Its index is in a state that only a person changes."""

    @property
    def is_done(self) -> bool:
        """Whether nothing more has to be done for the document."""
        return self in {Verdict.STORED, Verdict.DUPLICATE, Verdict.FAILURE_STORE, Verdict.REFUSED}


def verdict_of(item: Mapping[str, Any]) -> tuple[Verdict, str]:
    """The verdict of one bulk item and the server's words for it.

    Args:
        item: the value under ``create``: ``status`` and, where it failed, ``error`` with ``type`` and ``reason``.
    """
    status = int(item["status"])
    error = item.get("error") or {}
    kind, reason = str(error.get("type", "")), str(error.get("reason", ""))
    told = f"{status} {kind}: {reason}" if kind else str(status)
    if status < 300:
        in_failure_store = item.get("failure_store") == "used"
        return (Verdict.FAILURE_STORE if in_failure_store else Verdict.STORED), told
    if status == 409:
        return Verdict.DUPLICATE, told
    if kind == "cluster_block_exception":
        return Verdict.WAITS, told
    if status == 429 or status >= 500:
        return Verdict.BUSY, told
    if kind in _NOT_THE_DOCUMENTS_FAULT or any(words in reason for words in _ABOUT_THE_INDEX):
        return Verdict.OPERATOR, told
    if status in {400, 413}:
        return Verdict.REFUSED, told
    return Verdict.OPERATOR, told


def as_server_error(error: Exception, where: str) -> ServerError:
    """The sentence for a request that failed as a whole, and whether waiting helps.

    Args:
        error: what the client raised.
        where: as "Elasticsearch at http://...".
    """
    if isinstance(error, UnsupportedProductError):
        return ServerError(
            f"what answers in the place of {where} is not Elasticsearch",
            hint="Other search servers are not supported by the client; or is it a proxy's page?",
            retriable=False,
        )
    if isinstance(error, TlsError):
        return ServerError(
            f"{where} shows a certificate that is not trusted: {error.message}",
            hint="Set elasticsearch.ca_file to the authority that signed it.",
            retriable=False,
        )
    if isinstance(error, TransportConnectionError | ConnectionTimeout):
        return ServerError(f"{where} does not answer", hint="Is it running, and is the address right?")
    if isinstance(error, ApiError):
        return _of_answer(error, where)
    if isinstance(error, TransportError):
        return ServerError(f"{where} answers with something unreadable: {error.message}")
    return ServerError(f"{where}: {error}")


def _of_answer(error: ApiError, where: str) -> ServerError:
    status = error.status_code
    kind, reason = kind_of(error)
    told = f"{status} {kind}: {reason}" if kind else str(status)
    if kind == "cluster_block_exception":
        return ServerError(f"{where} is blocked for writing: {told}", hint="Often a full disk; it waits for its end.")
    if status == 429 or status >= 500:
        return ServerError(f"{where} is busy or starting: {told}")
    if status == 401 or kind == "security_exception":
        return ServerError(f"{where} refuses the credentials: {told}", hint=_ROTATE_HINT, retriable=False)
    if kind == "media_type_header_exception":
        return ServerError(
            f"{where} does not understand this client: {told}",
            hint="streamer works with Elasticsearch 8 and 9.",
            retriable=False,
        )
    return ServerError(f"{where} refuses the request: {told}", retriable=False)


def kind_of(error: ApiError) -> tuple[str, str]:
    """``error.type`` and ``error.reason`` of an answer, empty where its body is not Elasticsearch's."""
    body = error.body
    inner = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(inner, Mapping):
        return str(inner.get("type", "")), str(inner.get("reason", ""))
    return "", ""


def blames_the_request(error: ApiError) -> bool:
    """Whether the whole request was refused for what stands in it: too large, or one document no bulk may carry."""
    return error.status_code == 413 or (error.status_code == 400 and kind_of(error)[0] in _MALFORMED)


def is_absent(error: ApiError) -> bool:
    """Whether the server does not have this API at all, as small distributions answer."""
    body = error.body
    told = body.get("error") if isinstance(body, Mapping) else None
    return error.status_code == 405 or (error.status_code == 400 and str(told).startswith("no handler found"))
