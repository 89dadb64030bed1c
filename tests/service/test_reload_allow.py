"""The file of exceptions is watched and loaded with the rules, and counted in the metrics."""

from __future__ import annotations

from structlog.testing import capture_logs

from streamer.correlate import Counters
from streamer.engine import Engine, EngineCounters
from streamer.service.reload import RuleWatch
from streamer.service.rule_files import RuleFiles
from streamer.service.telemetry import registry_of
from streamer.sigma import load_rules
from tests.service.test_reload import LOOK_S, collecting, eventually
from tests.service.workload import RULES

ALLOW = "allow: [{name: drain, reason: the autoscaler does it, rules: [node_deleted], users: [autoscaler]}]\n"


def watch_of(path, allow):
    files = RuleFiles((str(path),), allow=allow)
    return RuleWatch(files, files.load().ok(), look_every_s=LOOK_S)


async def test_a_changed_exception_yields_new_rules_and_its_rule_starts_anew(tmp_path):
    path, allow = tmp_path / "rules.yml", tmp_path / "allow.yml"
    path.write_text(RULES)
    allow.write_text("allow: []\n")
    watch = watch_of(path, allow)
    engine = Engine(load_rules([path], allow=allow).ok())
    async with collecting(watch) as found:
        allow.write_text(ALLOW)
        await eventually(lambda: found)
    _, report = engine.reload(found[0])
    (rule,) = [rule for rule in found[0].detections if rule.allowed]
    assert rule.allowed[0].entry == "drain"
    before = {rule.meta.key: rule.meta.meaning for rule in engine.rules.by_key().values()}
    changed = {key for key, one in found[0].by_key().items() if one.meta.meaning != before[key]}
    assert rule.meta.key in changed
    assert len(changed) < len(before)
    assert not changed & set(report.kept)


async def test_a_bad_file_of_exceptions_leaves_what_runs(tmp_path):
    path, allow = tmp_path / "rules.yml", tmp_path / "allow.yml"
    path.write_text(RULES)
    allow.write_text(ALLOW)
    watch = watch_of(path, allow)
    with capture_logs() as logs:
        async with collecting(watch) as found:
            allow.write_text(ALLOW.replace("users", "usres"))
            await eventually(lambda: watch.results["refused"])
            assert found == []
            assert f"{allow}:1:" in watch.problem
            allow.unlink()
            await eventually(lambda: watch.results["refused"] == 2)
            assert found == []
    assert any("did you mean `users`?" in (entry.get("hint") or "") for entry in logs)


def test_what_was_allowed_is_a_metric_by_entry_and_rule():
    counters = EngineCounters()
    counters.allowed["nightly backup", "secrets_listed"] = 12
    registry = registry_of(counters, Counters(), {})
    labels = {"entry": "nightly backup", "rule": "secrets_listed"}
    assert registry.get_sample_value("streamer_allowed_matches_total", labels) == 12
