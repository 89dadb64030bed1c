"""The check-up of Kafka: brokers, topics, access, groups, transactions, clocks and the limits that brokers set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from streamer.errors import ServerError, SettingsError
from streamer.service.doors import connection_of, is_embedded, topic_problems
from streamer.service.durations import format_duration
from streamer.service.findings import Finding, note, ok, wrong
from streamer.service.settings import KafkaSettings, Settings

if TYPE_CHECKING:
    from streamer.kafka.access import Access
    from streamer.kafka.connection import KafkaConnection
    from streamer.kafka.inspection import GroupSeen, Inspection, TopicSeen, TransactionSeen
    from streamer.kafka.topics import TopicProblem

_CLOCKS_APART_S: Final = 2.0
"""From here on a difference is said: stamps of brokers and of this host are compared."""
_MS_US: Final = 1_000


def roles_of(settings: Settings) -> tuple[str, ...]:
    """The roles that these settings ask for; ``embedded`` delivers to Kafka and runs none of them."""
    if is_embedded(settings):
        return ("embedded",)
    return ("detect", "correlate", "index") if settings.elasticsearch is not None else ("detect", "correlate")


async def kafka_findings(
    settings: Settings, kafka: KafkaSettings, *, longest_us: int, roles: Sequence[str] = ()
) -> list[Finding]:
    """Look at the cluster; never raises on account of what it finds.

    Args:
        settings: all of them.
        kafka: the part of them.
        longest_us: the longest time span of any rule.
        roles: to look after; none: those that the settings ask for.
    """
    from streamer.kafka.inspection import inspecting  # noqa: PLC0415

    try:
        connection = connection_of(kafka)
        problems = await topic_problems(kafka, embedded=is_embedded(settings))
        async with inspecting(connection) as inspection:
            look = _Look(settings, kafka, connection, inspection, tuple(roles) or roles_of(settings))
            return await look.findings(problems, longest_us)
    except (ServerError, SettingsError) as error:
        return [wrong(error.message, error.hint)]


class _Look:
    """One look at one cluster."""

    def __init__(
        self,
        settings: Settings,
        kafka: KafkaSettings,
        connection: KafkaConnection,
        inspection: Inspection,
        roles: tuple[str, ...],
    ) -> None:
        from streamer.kafka.access import group_of, needed_by_all  # noqa: PLC0415
        from streamer.kafka.topics import plan_topics  # noqa: PLC0415

        self._kafka = kafka
        self._connection = connection
        self._inspection = inspection
        self._roles = roles
        self._raw = tuple(source.kafka for source in settings.sources if source.kafka is not None)
        self._access = needed_by_all(roles, kafka.topic_prefix, self._raw if {"detect", "embedded"} & {*roles} else ())
        self._groups = tuple(group_of(kafka.topic_prefix, role) for role in roles if role != "embedded")
        plans = plan_topics(kafka.topic_prefix, embedded=is_embedded(settings))
        self._own = tuple(plan.name for plan in plans)

    async def findings(self, problems: Sequence[TopicProblem], longest_us: int) -> list[Finding]:
        """Everything, in the order in which it has to be mended."""
        brokers = await self._inspection.brokers()
        topics = await self._inspection.topics([*self._own, *self._raw])
        groups = await self._inspection.groups(self._groups)
        own = {name: topics[name] for name in self._own if name in topics}
        raw = {name: topics[name] for name in self._raw if name in topics}
        return [
            *self._of_brokers(brokers),
            *self._of_own_topics(problems, own),
            *_of_raw_topics(raw, longest_us),
            *self._of_access(topics, groups),
            *_of_groups(groups),
            *await self._of_transactions(own),
            *_of_limits(await self._inspection.broker_settings(), self._kafka),
        ]

    def _of_brokers(self, brokers: Mapping[str, bool]) -> Iterator[Finding]:
        away = sorted(address for address, reached in brokers.items() if not reached)
        for address in away:
            hint = "every broker's advertised.listeners must be reachable from here"
            yield wrong(f"the broker {address}, which the cluster names, cannot be reached", hint)
        if not away:
            who = f"{self._connection.principal} over {self._kafka.security.protocol}"
            count = f"{len(brokers)} broker{'s' if len(brokers) != 1 else ''}"
            yield ok(f"Kafka at {self._kafka.bootstrap_servers} answers, {count}, as {who}")
        if len(brokers) < self._kafka.replication:
            asked = self._kafka.replication
            sentence = f"kafka.replication asks for {asked} copies and the cluster has only {len(brokers)} brokers"
            yield wrong(sentence, "set kafka.replication to 1 on a single broker")

    def _of_own_topics(self, problems: Sequence[TopicProblem], topics: Mapping[str, TopicSeen]) -> Iterator[Finding]:
        for problem in problems:
            yield (wrong if problem.refused else note)(problem.sentence, problem.hint)
        if not problems:
            yield ok(f"streamer's own topics are as planned: {', '.join(topics)}")
        for name, topic in topics.items():
            yield from _of_copies(name, topic)

    def _of_access(self, topics: Mapping[str, TopicSeen], groups: Mapping[str, GroupSeen]) -> Iterator[Finding]:
        from streamer.kafka.inspection import missing  # noqa: PLC0415

        principal = self._connection.principal
        lacking = [(access, missing(access, topics, groups)) for access in self._access]
        for access, operations in lacking:
            if operations:
                yield self._denied(access, operations, principal)
        if not any(operations for _, operations in lacking):
            yield ok(f"{principal} may do what {', '.join(self._roles)} needs")

    @staticmethod
    def _denied(access: Access, operations: tuple[str, ...], principal: str) -> Finding:
        beginning = " that begin with" if access.prefixed else ""
        plural = "s" if access.prefixed else ""
        sentence = (
            f"{principal} may not {' and '.join(operations)} the {access.resource}{plural}{beginning} {access.name}"
        )
        return wrong(sentence, access.only(operations).command(principal))

    async def _of_transactions(self, own: Mapping[str, TopicSeen]) -> list[Finding]:
        from streamer.kafka.access import doctor_id, transactions  # noqa: PLC0415
        from streamer.kafka.topics import DEAD_LETTERS  # noqa: PLC0415

        topic = self._kafka.topic_prefix + DEAD_LETTERS
        if not {"correlate", "embedded"} & {*self._roles} or not own[topic].exists:
            return []
        seen = await self._inspection.transaction(doctor_id(self._kafka.topic_prefix), topic)
        if seen.refusal == "TransactionalIdAuthorizationFailed":
            access = transactions(self._kafka.topic_prefix)
            return [self._denied(access, access.operations, self._connection.principal)]
        return list(_of_transaction(seen))


def _of_copies(name: str, topic: TopicSeen) -> Iterator[Finding]:
    if not topic.exists:
        return
    needed = int((topic.settings or {}).get("min.insync.replicas", "1"))
    if topic.leaderless:
        yield wrong(f"{topic.leaderless} partitions of {name} have no leader", "start the brokers that hold them")
    elif topic.in_sync < needed:
        sentence = f"{name} has {topic.in_sync} copies in sync and a write needs {needed}: nothing can be written"
        yield wrong(sentence, "start the brokers that are missing")
    elif topic.short_of_copies:
        yield note(f"{topic.short_of_copies} partitions of {name} have fewer copies in sync than they should")


def _of_raw_topics(topics: Mapping[str, TopicSeen], longest_us: int) -> Iterator[Finding]:
    for name, topic in topics.items():
        if topic.exists is False:
            yield wrong(f"the raw topic {name} does not exist", "create it, or correct its name under sources")
        elif topic.exists and topic.settings is None:
            what = "how long it keeps records and who stamps them"
            yield ok(f"the raw topic {name} is there, {topic.partitions} partitions; {what} may not be seen")
        elif topic.exists and topic.settings is not None:
            yield from _of_raw_settings(name, topic, topic.settings, longest_us)
        yield from _of_copies(name, topic)


def _of_raw_settings(name: str, topic: TopicSeen, settings: Mapping[str, str], longest_us: int) -> Iterator[Finding]:
    kept_ms = int(settings.get("retention.ms", "-1"))
    kept = "for ever" if kept_ms < 0 else format_duration(kept_ms * _MS_US)
    stamped = settings.get("message.timestamp.type", "CreateTime")
    whose = "the broker's stamps" if stamped == "LogAppendTime" else "the producers' stamps"
    partitions = f"{topic.partitions} partition{'s' if topic.partitions != 1 else ''}"
    yield ok(f"the raw topic {name} has {partitions}, keeps records {kept}, and has {whose} ({stamped})")
    if "compact" in settings.get("cleanup.policy", ""):
        sentence = f"the raw topic {name} is compacted: of two records with the same key only the later one is kept"
        yield wrong(sentence, f"set cleanup.policy=delete on {name}")
    if 0 <= kept_ms * _MS_US < longest_us and kept_ms >= 0:
        longest = format_duration(longest_us)
        sentence = f"the raw topic {name} keeps records {kept}, shorter than the longest time span of a rule, {longest}"
        yield note(sentence, "after a longer stop, or for rules that begin anew, older records are missing")


def _of_groups(groups: Mapping[str, GroupSeen]) -> Iterator[Finding]:
    for name, group in groups.items():
        if group.state is None:
            continue  # said among the missing access
        if group.state == "Dead":
            yield ok(f"the group {name} is not known yet: nothing has run")
            continue
        behind = "without a position" if group.lag is None else f"{group.lag} records behind"
        members = f"{group.members} member{'s' if group.members != 1 else ''}"
        yield ok(f"the group {name} has {members} ({group.state}), {behind}")


def _of_transaction(seen: TransactionSeen) -> Iterator[Finding]:
    if seen.refusal == "InvalidTransactionTimeout":
        yield wrong("the broker's transaction.max.timeout.ms is below the 30 s that streamer asks for", "raise it")
    elif seen.refusal is not None:
        yield wrong(f"a transaction that was tried failed: {seen.refusal}", "the broker's log says why")
    else:
        yield ok("transactions work")
    if seen.clock_ahead_s is not None and abs(seen.clock_ahead_s) >= _CLOCKS_APART_S:
        side = "ahead of" if seen.clock_ahead_s > 0 else "behind"
        sentence = f"the broker's clock is {abs(seen.clock_ahead_s):.1f} s {side} the clock of this host"
        yield note(sentence, "keep both with NTP: idle sources go on by this host's clock")


def _of_limits(settings: Mapping[str, str] | None, kafka: KafkaSettings) -> Iterator[Finding]:
    if settings is None:
        yield ok("the broker's own settings may not be seen, which streamer does not need")
        return
    session_ms = kafka.session // _MS_US
    least, most = (int(settings.get(f"group.{end}.session.timeout.ms", session_ms)) for end in ("min", "max"))
    if not least <= session_ms <= most:
        sentence = f"kafka.session is {format_duration(kafka.session)} and the broker allows {least} to {most} ms"
        yield wrong(sentence, "change kafka.session, or the broker's group.min.session.timeout.ms")
