"""What can happen to a running installation. Each takes the play and leaves it with processes that run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.chaos.cluster import Worker
from tests.chaos.play import Play
from tests.servers.elasticsearch import request
from tests.servers.topics import administration

SESSION_S = 3.0
"""The session of a worker unless its environment says otherwise."""


def kill_one(play: Play, *, pause_s: tuple[float, float] = (0.2, 2.5), down_s: float = 1.0) -> None:
    """A process chosen at random is killed at a random moment; another one with its roles comes a little later."""
    time.sleep(play.chance.uniform(*pause_s))
    living = play.cluster.living
    if not living:
        play.result.problems.append("no process was left to kill")
        return
    worker = play.chance.choice(living)
    play.kill(worker)
    time.sleep(play.chance.uniform(0, down_s))
    play.cluster.start(worker.roles)


def crash_at(play: Play, point: str, *, count: int, within_s: float = 40, roles: Sequence[str] = ()) -> bool:
    """A process that kills itself at a point comes to it; whether it did. Then an ordinary one takes its place.

    The process it replaces ends politely before, so that there is something for it to take over.
    """
    old = next((worker for worker in play.cluster.living if not roles or set(roles) & set(worker.roles)), None)
    worker = play.cluster.start(old.roles if old else roles, crash=f"{point}:{count}")
    worker.wait_started()
    if old is not None and old.alive:
        play.look_at(old)
        old.stop()
    end_s = time.monotonic() + within_s
    while worker.alive and time.monotonic() < end_s:
        time.sleep(0.05)
    died = not worker.alive
    if died:
        play.died()
    else:
        play.result.problems.append(f"nobody came to the point {point} within {within_s:.0f} s")
        worker.kill()
    play.cluster.start(worker.roles)
    return died


def freeze_one(play: Play, *, for_s: float = SESSION_S + 4) -> None:
    """A process stands still for longer than its session, and goes on as if nothing had happened."""
    worker = play.chance.choice(play.cluster.living)
    worker.freeze()
    time.sleep(for_s)
    worker.thaw()
    time.sleep(2)


def rogue(play: Play, *, for_s: float = 8.0) -> Worker:
    """A process takes all partitions without asking, while their owners work; it ends after a while."""
    worker = play.cluster.start(("correlate",), rogue=True)
    worker.wait_started()
    time.sleep(for_s)
    play.look_at(worker)
    worker.stop()
    return worker


def delay_end(play: Play, *, within_s: float = 40) -> bool:
    """The end of a transaction arrives late, in the middle of the same producer's next one; then its process is killed.

    Whether it came so far. Needs processes that reach Kafka through the proxy.
    """
    delay = play.servers.kafka.proxy.delay(f"{play.cluster.name}.correlate")
    came = delay.wait(within_s)
    if not came:
        seen = "nobody sent the end again" if not delay.retried else "no further transaction followed"
        play.result.problems.append(f"no delayed end: {seen}")
    # Whoever it befell stands in the middle of a transaction.
    for worker in play.cluster.living:
        if "correlate" in worker.roles:
            play.kill(worker)
            play.cluster.start(worker.roles)
    delay.let_go()
    play.servers.kafka.proxy.forget()
    return came


def limit_alerts(play: Play, largest: int, *, for_s: float, within_s: float = 60) -> None:
    """The alerts topic takes no larger records for a while, and at least until one has been refused."""
    alter_topic(play, "alerts", max_message_bytes=str(largest))
    time.sleep(for_s)
    if not play.plan.switched_off:  # who does not check what became of a send says nothing
        play.wait(lambda: bool(play.cluster.said("a message is refused")), "nothing was too large", within_s)
        time.sleep(4)  # whoever met it begins anew and sets it aside
    alter_topic(play, "alerts", max_message_bytes=str(8 * 1024 * 1024))


def alter_topic(play: Play, name: str, **settings: str) -> None:
    """Other settings for one of our own topics; dots are written as underscores."""
    dotted = {key.replace("_", "."): value for key, value in settings.items()}
    asyncio.run(_alter(play.servers.kafka.address, play.cluster.topic(name), dotted))


async def _alter(address: str, topic: str, settings: dict[str, str]) -> None:
    async with administration(address) as admin:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        (described,) = await admin.describe_configs([resource])
        # The request replaces everything that was set: what is to stay has to be said again.
        kept = {entry[0]: entry[1] for entry in described.resources[0][4] if entry[3] == 1}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=kept | settings)])


def kill_broker(play: Play, *, away_s: float = 0.0) -> None:
    """The broker is killed, stays away and comes back with its data."""
    kafka = play.servers.kafka
    kafka.kill()
    time.sleep(away_s)
    kafka.start()


def freeze_broker(play: Play, *, for_s: float) -> None:
    """The broker answers nothing and closes nothing."""
    play.servers.kafka.freeze()
    time.sleep(for_s)
    play.servers.kafka.thaw()


def kill_elasticsearch(play: Play, *, away_s: float) -> None:
    """Elasticsearch is killed, stays away and comes back."""
    assert play.servers.elasticsearch is not None
    play.servers.elasticsearch.kill()
    time.sleep(away_s)
    play.servers.elasticsearch.start()


def refuse(play: Play, status: int, *, for_s: float, within_s: float = 60) -> None:
    """Elasticsearch answers everything with a status for a while, and at least until somebody has asked."""
    door = play.door
    assert door is not None
    door.refuse_with = status
    time.sleep(for_s)
    play.wait(lambda: door.refused[status] > 0, f"nobody met the status {status}", within_s)
    door.refuse_with = None
    play.result.notes[f"refused_{status}"] = door.refused[status]


def fill_disk(play: Play, *, for_s: float) -> None:
    """Elasticsearch blocks its indices as it does when the disk is nearly full."""
    server = play.servers.elasticsearch
    assert server is not None
    block = {"index.blocks.read_only_allow_delete": True}
    request(
        server.url, "PUT", f"/{play.cluster.indices}/_settings?ignore_unavailable=true&allow_no_indices=true", block
    )
    time.sleep(for_s)
    block = {"index.blocks.read_only_allow_delete": None}  # type: ignore[dict-item]
    request(
        server.url, "PUT", f"/{play.cluster.indices}/_settings?ignore_unavailable=true&allow_no_indices=true", block
    )


def storm(play: Play, *, for_s: float, every_s: float = 3.0, members: int = 3) -> int:
    """Members of the group come and go all the time, politely and not; how often."""
    moves = 0
    end_s = time.monotonic() + for_s
    while time.monotonic() < end_s:
        living = play.cluster.living
        if len(living) >= members:
            worker = play.chance.choice(living)
            if play.chance.random() < 0.5:
                play.kill(worker)
            else:
                play.look_at(worker)
                worker.stop()
        else:
            play.cluster.start()
        moves += 1
        time.sleep(every_s)
    return moves
