"""The table of answers, row by row."""

from __future__ import annotations

import pytest

from streamer.elastic.verdicts import Verdict, verdict_of


@pytest.mark.parametrize(
    ("status", "kind", "verdict"),
    [
        (201, "", Verdict.STORED),
        (200, "", Verdict.STORED),
        (409, "version_conflict_engine_exception", Verdict.DUPLICATE),
        (429, "es_rejected_execution_exception", Verdict.BUSY),
        (429, "cluster_block_exception", Verdict.WAITS),
        (403, "cluster_block_exception", Verdict.WAITS),
        (500, "", Verdict.BUSY),
        (503, "unavailable_shards_exception", Verdict.BUSY),
        (400, "index_closed_exception", Verdict.OPERATOR),
        (404, "index_not_found_exception", Verdict.OPERATOR),
        (403, "security_exception", Verdict.OPERATOR),
        (400, "validation_exception", Verdict.OPERATOR),
        (400, "document_parsing_exception", Verdict.REFUSED),
        (400, "strict_dynamic_mapping_exception", Verdict.REFUSED),
        (400, "illegal_argument_exception", Verdict.REFUSED),
    ],
)
def test_every_answer_has_its_verdict(status, kind, verdict):
    item = {"status": status} | ({"error": {"type": kind, "reason": "because"}} if kind else {})
    assert verdict_of(item)[0] is verdict


def test_a_document_in_the_failure_store_is_done_and_told_apart():
    verdict, _ = verdict_of({"status": 201, "failure_store": "used"})
    assert verdict is Verdict.FAILURE_STORE
    assert verdict.is_done


def test_a_block_by_the_cluster_is_never_taken_for_a_missing_privilege():
    _, told = verdict_of({"status": 403, "error": {"type": "cluster_block_exception", "reason": "index [x] blocked"}})
    assert "blocked" in told
