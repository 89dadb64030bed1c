"""The rule files of a running service change: what it notices, what it refuses, what it says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from structlog.testing import capture_logs

from streamer.service.reload import RuleWatch
from streamer.service.rule_files import RuleFiles
from streamer.sigma import load_rules
from tests.service.workload import RULES

LOOK_S = 0.02
BROKEN = RULES.replace("verb: create", "verb|nonsense: create")


def watch_of(path, **options) -> RuleWatch:
    options.setdefault("look_every_s", LOOK_S)
    return RuleWatch(RuleFiles((str(path),)), load_rules([path]).ok(), **options)


async def following(watch):
    async with asyncio.timeout(10):
        return await anext(aiter(watch))


@contextlib.asynccontextmanager
async def collecting(watch):
    """Every rule set the watch yields meanwhile."""
    found = []

    async def collect():
        async for rules in watch:
            found.append(rules)  # noqa: PERF401 (each is seen as it comes)

    task = asyncio.create_task(collect())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(LOOK_S)


async def test_a_changed_file_yields_the_new_rules(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    watch = watch_of(path)
    path.write_text(RULES.replace("Node deleted", "Node gone"))
    rules = await following(watch)
    assert "Node gone" in {rule.meta.title for rule in rules.detections}
    assert (watch.results["loaded"], watch.problem) == (1, None)


async def test_a_change_between_loading_and_watching_is_noticed(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    before = load_rules([path]).ok()
    path.write_text(RULES.replace("Node deleted", "Node gone"))
    watch = RuleWatch(RuleFiles((str(path),)), before, look_every_s=LOOK_S)
    assert await following(watch) != before


async def test_files_that_say_the_same_yield_nothing(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    watch = watch_of(path)
    async with collecting(watch) as found:
        await asyncio.sleep(5 * LOOK_S)
        path.write_text(RULES + "\n# a comment\n")
        await eventually(lambda: watch.results["unchanged"])
    assert found == []


async def test_files_are_added_and_removed(tmp_path):
    (tmp_path / "rules.yml").write_text(RULES)
    watch = watch_of(tmp_path)
    more = RULES.split("---")[2].replace("0003", "0099").replace("node_deleted", "other").strip()
    async with collecting(watch) as found:
        (tmp_path / "more.yaml").write_text(more)
        await eventually(lambda: len(found) == 1)
        (tmp_path / "more.yaml").unlink()
        await eventually(lambda: len(found) == 2)
    assert [len(rules.detections) for rules in found] == [5, 4]


async def test_broken_rules_leave_the_running_ones_and_are_said_with_their_place(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    watch = watch_of(path)
    line = BROKEN[: BROKEN.index("verb|nonsense")].count("\n") + 1
    with capture_logs() as logs:
        async with collecting(watch) as found:
            path.write_text(BROKEN)
            await eventually(lambda: watch.results["refused"])
            assert found == []
            assert f"{path}:{line}:" in watch.problem
            assert watch.note() == watch.problem
            path.write_text(RULES.replace("Node deleted", "Node gone"))
            await eventually(lambda: found)
    assert watch.problem is None
    said = [entry["problem"] for entry in logs if entry["event"] == "a rule cannot be used"]
    assert any(text.startswith(f"{path}:{line}:") for text in said)


async def test_mending_the_files_to_what_runs_ends_the_refusal(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    watch = watch_of(path)
    async with collecting(watch) as found:
        path.write_text(BROKEN)
        await eventually(lambda: watch.problem)
        path.write_text(RULES)
        await eventually(lambda: watch.problem is None)
    assert found == []


async def test_rules_that_are_gone_are_refused(tmp_path):
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "rules.yml").write_text(RULES)
    watch = watch_of(folder)
    async with collecting(watch) as found:
        (folder / "rules.yml").unlink()
        await eventually(lambda: watch.results["refused"] == 1)
        folder.rmdir()
        await eventually(lambda: watch.results["refused"] == 2)
        assert "there is no file or folder" in watch.problem
    assert found == []


async def test_with_skip_broken_the_rest_of_the_rules_is_loaded_and_the_broken_are_said(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    watch = RuleWatch(RuleFiles((str(path),), skip_broken=True), load_rules([path]).ok(), look_every_s=LOOK_S)
    path.write_text(BROKEN)
    with capture_logs() as logs:
        rules = await following(watch)
    assert len(rules.detections) == 3
    assert "a rule cannot be used" in {entry["event"] for entry in logs}


async def test_a_file_that_is_still_being_written_is_waited_for(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    watch = watch_of(path, look_every_s=0.2)
    new = RULES.replace("Node deleted", "Node gone")
    async with collecting(watch) as found:
        with path.open("w") as file:
            for part in range(0, len(new), 200):
                file.write(new[part : part + 200])
                file.flush()
                await asyncio.sleep(0.05)
        await eventually(lambda: found)
    assert watch.results["refused"] == 0
    assert [len(rules.detections) for rules in found] == [4]


async def test_a_config_map_is_exchanged_by_its_link(tmp_path):
    """A mounted ConfigMap: files are links through ``..data``, which is exchanged in one go."""

    def version(name, text):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rules.yml").write_text(text)
        (tmp_path / "..data_tmp").symlink_to(name)
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    version("..2026_11_24_01", RULES)
    (tmp_path / "rules.yml").symlink_to("..data/rules.yml")
    watch = watch_of(tmp_path)
    assert len(load_rules([tmp_path]).ok().detections) == 4
    async with collecting(watch) as found:
        await asyncio.sleep(5 * LOOK_S)
        version("..2026_11_24_02", RULES.replace("Node deleted", "Node gone"))
        await eventually(lambda: found)
    assert "Node gone" in {rule.meta.title for rule in found[0].detections}


async def test_a_file_replaced_by_one_of_the_same_size_and_time_is_noticed(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    os.utime(path, (1, 1))
    watch = watch_of(path)
    async with collecting(watch) as found:
        await asyncio.sleep(5 * LOOK_S)
        other = tmp_path / "other"
        other.write_text(RULES.replace("Node deleted", "Node removed"))
        os.utime(other, (1, 1))
        assert other.stat().st_size == path.stat().st_size
        other.replace(path)
        await eventually(lambda: found)


async def test_a_hangup_loads_even_what_is_not_watched(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    watch = watch_of(path, watching=False)
    with watch.on_hangup():
        async with collecting(watch) as found:
            path.write_text(RULES.replace("Node deleted", "Node gone"))
            await asyncio.sleep(5 * LOOK_S)
            assert found == []
            os.kill(os.getpid(), signal.SIGHUP)
            await eventually(lambda: found)
            os.kill(os.getpid(), signal.SIGHUP)
            await eventually(lambda: watch.results["unchanged"] == 1)
    assert len(found) == 1


async def test_reloads_are_metrics(tmp_path):
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    watch = watch_of(path)
    loaded_s = watch.loaded_s
    async with collecting(watch):
        path.write_text(BROKEN)
        await eventually(lambda: watch.problem)
    values = {
        (sample.name, *sample.labels.values()): sample.value for family in watch.collect() for sample in family.samples
    }
    assert values == {
        ("streamer_rules_reload_total", "loaded"): 0,
        ("streamer_rules_reload_total", "unchanged"): 0,
        ("streamer_rules_reload_total", "refused"): 1,
        ("streamer_rules_loaded_timestamp",): loaded_s,
        ("streamer_rules_refused",): 1,
    }
