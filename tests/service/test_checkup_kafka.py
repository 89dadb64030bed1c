"""The check-up of a real Kafka: what is missing is named, and what to do about it is a command that works."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition

from streamer.kafka import KafkaConnection, create_topics, plan_topics
from streamer.kafka.access import SETUP, Access, needed, needed_by_all
from streamer.service.checkup import checkup
from streamer.service.findings import Finding
from streamer.service.settings import Settings
from tests.servers.secured_kafka import PLAIN_PASSWORD, PLAIN_USER, SecuredKafka, acls_of
from tests.servers.topics import administration, make_topic, produce
from tests.service.test_run import free_port

HOUR_US = 3_600_000_000
ROLES = ("detect", "correlate", "index")


def settings_of(bootstrap: str, prefix: str, **kafka: Any) -> Settings:
    """Settings of the Kafka mode with one raw topic."""
    raw = f"{prefix}raw"
    group = {"bootstrap_servers": bootstrap, "topic_prefix": prefix, "partitions": 2, "replication": 1} | kafka
    return Settings(sources=[{"kafka": raw, "kind": "audit"}], kafka=group)


async def made(address: str, prefix: str, **raw: str) -> None:
    """All topics, as they should be."""
    await create_topics(KafkaConnection(address), plan_topics(prefix, partitions=2, replication=1))
    await make_topic(address, f"{prefix}raw", 3, **raw)


def wrong_in(findings: list[Finding]) -> list[str]:
    return [finding.sentence for finding in findings if finding.level == "wrong"]


def notes_in(findings: list[Finding]) -> list[str]:
    return [finding.sentence for finding in findings if finding.level == "note"]


def said(findings: list[Finding], words: str) -> Finding:
    return next(finding for finding in findings if words in finding.sentence)


async def test_a_cluster_that_is_set_up_has_nothing_wrong(kafka_address, unique):
    prefix = f"{unique}."
    await made(kafka_address, prefix, message_timestamp_type="LogAppendTime")
    findings = await checkup(settings_of(kafka_address, prefix), longest_us=HOUR_US)
    assert wrong_in(findings) == []
    assert notes_in(findings) == []
    assert "has 3 partitions, keeps records 7d, and has the broker's stamps" in said(findings, "raw topic").sentence
    assert said(findings, "transactions work")
    assert said(findings, f"the group {prefix}detect is not known yet")


async def test_before_setup_every_topic_is_named(kafka_address, unique):
    findings = await checkup(settings_of(kafka_address, f"{unique}."))
    missing = [sentence for sentence in wrong_in(findings) if "does not exist" in sentence]
    assert [sentence.split()[2] for sentence in missing[:4]] == [
        f"{unique}.{name}" for name in ("detections", "correlate-changelog", "alerts", "dead-letter")
    ]
    assert missing[4] == f"the raw topic {unique}.raw does not exist"


async def test_looking_creates_neither_topics_nor_records(kafka_address, unique):
    prefix = f"{unique}."
    await checkup(settings_of(kafka_address, prefix))
    async with administration(kafka_address) as admin:
        assert not [name for name in await admin.list_topics() if name.startswith(unique)]


async def test_raw_records_that_go_before_the_longest_rule_has_seen_them_are_said(kafka_address, unique):
    prefix = f"{unique}."
    await made(kafka_address, prefix, retention_ms="1800000")
    (note,) = notes_in(await checkup(settings_of(kafka_address, prefix), longest_us=24 * HOUR_US))
    assert note == f"the raw topic {prefix}raw keeps records 30m, shorter than the longest time span of a rule, 1d"
    assert notes_in(await checkup(settings_of(kafka_address, prefix), longest_us=HOUR_US // 2)) == []


async def test_a_compacted_raw_topic_is_wrong_because_records_vanish(kafka_address, unique):
    prefix = f"{unique}."
    await made(kafka_address, prefix, cleanup_policy="compact")
    assert any("is compacted" in sentence for sentence in wrong_in(await checkup(settings_of(kafka_address, prefix))))


async def test_how_far_a_group_is_behind_is_told(kafka_address, unique):
    prefix = f"{unique}."
    await made(kafka_address, prefix)
    raw = f"{prefix}raw"
    await produce(kafka_address, raw, [b"1", b"2", b"3", b"4", b"5"], partition=0)
    consumer = KafkaConnection(kafka_address).consumer(group_id=f"{prefix}detect", auto_offset_reset="earliest")
    consumer.subscribe([raw])
    await consumer.start()
    try:
        await consumer.getmany(timeout_ms=10_000)
        await consumer.commit({TopicPartition(raw, 0): 2})
        findings = await checkup(settings_of(kafka_address, prefix))
        group = said(findings, f"the group {prefix}detect").sentence
        assert group == f"the group {prefix}detect has 1 member (Stable), 3 records behind"
    finally:
        await consumer.stop()


async def test_a_session_that_the_broker_would_refuse_is_wrong(kafka_address, unique):
    prefix = f"{unique}."
    await made(kafka_address, prefix)
    findings = await checkup(settings_of(kafka_address, prefix, session="500ms"))
    assert wrong_in(findings) == ["kafka.session is 500ms and the broker allows 1000 to 1800000 ms"]


async def test_more_copies_than_brokers_are_wrong(kafka_address, unique):
    prefix = f"{unique}."
    await made(kafka_address, prefix)
    findings = await checkup(settings_of(kafka_address, prefix, replication=3))
    assert "kafka.replication asks for 3 copies and the cluster has only 1 brokers" in wrong_in(findings)


async def test_a_cluster_that_is_away_is_one_sentence():
    address = f"127.0.0.1:{free_port()}"
    assert wrong_in(await checkup(settings_of(address, "s."))) == [f"Kafka at {address} does not answer (connecting)"]


def over_sasl(server: SecuredKafka, user: str, password: str, **options: Any) -> dict[str, Any]:
    security = {"protocol": "SASL_SSL", "username": user, "password": password, "ca_file": server.authority.ca_file}
    return {"security": security | options}


@pytest.fixture
async def prefix(secured_kafka: SecuredKafka, unique: str) -> str:
    """The prefix of topics that are there, on the secured broker; the user of the same name may do nothing."""
    await made(secured_kafka.address, f"{unique}.")
    await secured_kafka.add_scram_user(unique, "right")
    return f"{unique}."


def commands(access: tuple[Access, ...], user: str) -> list[str]:
    return [each.command(f"User:{user}") for each in access]


async def test_with_the_access_of_all_roles_nothing_is_wrong(secured_kafka: SecuredKafka, prefix, unique):
    await secured_kafka.allow(*commands(needed_by_all(ROLES, prefix, [f"{prefix}raw"]), unique))
    kafka = over_sasl(secured_kafka, unique, "right")
    findings = await checkup(settings_of(secured_kafka.doors["SASL_SSL"], prefix, **kafka), roles=ROLES)
    assert wrong_in(findings) == []
    assert said(findings, f"User:{unique} may do what detect, correlate, index needs")


async def test_without_any_access_everything_that_is_missing_is_named_and_the_hints_mend_it(
    secured_kafka: SecuredKafka, prefix, unique
):
    settings = settings_of(secured_kafka.doors["SASL_SSL"], prefix, **over_sasl(secured_kafka, unique, "right"))
    findings = await checkup(settings)
    hints = [finding.hint for finding in findings if (finding.hint or "").startswith("kafka-acls")]
    assert f"User:{unique} may not Read the topic {prefix}raw" in wrong_in(findings)
    await secured_kafka.allow(*[hint for hint in hints if hint])
    # The transaction is tried on a topic that can be seen only now.
    again = await checkup(settings)
    await secured_kafka.allow(*[finding.hint for finding in again if (finding.hint or "").startswith("kafka-acls")])
    assert wrong_in(await checkup(settings)) == []


def each_entry() -> list[tuple[str, int]]:
    """Every entry of the access lists of every role."""
    entries = []
    for role in ROLES:
        entries += [(role, number) for number in range(sum(len(each.operations) for each in needed(role, "p.", ["r"])))]
    return entries


@pytest.mark.parametrize(("role", "number"), each_entry())
async def test_each_missing_entry_is_named(secured_kafka: SecuredKafka, prefix, unique, role, number):
    access = needed(role, prefix, [f"{prefix}raw"])
    await secured_kafka.allow(*commands(access, unique))
    entries = [entry for command in commands(access, unique) for entry in acls_of(command)]
    await secured_kafka.forbid([entries[number]])
    kafka = over_sasl(secured_kafka, unique, "right")
    findings = await checkup(settings_of(secured_kafka.doors["SASL_SSL"], prefix, **kafka), roles=[role])
    lacking = [finding for finding in findings if (finding.hint or "").startswith("kafka-acls")]
    assert [acls_of(finding.hint or "") for finding in lacking if finding.level == "wrong"] == [[entries[number]]]


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
async def test_every_way_to_log_in_works_and_a_wrong_password_is_said(
    secured_kafka: SecuredKafka, unique, mechanism, protocol
):
    user, password = (PLAIN_USER, PLAIN_PASSWORD) if mechanism == "PLAIN" else (unique, "right")
    if mechanism != "PLAIN":
        await secured_kafka.add_scram_user(user, password, mechanism)
    for given, expected in ((password, f"as User:{user} over {protocol}"), ("hush-hush", "refuses the credentials")):
        kafka = over_sasl(secured_kafka, user, given, mechanism=mechanism, protocol=protocol)
        findings = await checkup(settings_of(secured_kafka.doors[protocol], f"{unique}.", **kafka))
        assert expected in findings[0].sentence
        assert given not in str(findings)


async def test_a_certificate_is_a_login(secured_kafka: SecuredKafka, prefix, unique):
    certificate = secured_kafka.authority.issue(unique)
    files = {"cert_file": certificate.cert_file, "key_file": certificate.key_file}
    security = {"protocol": "SSL", "ca_file": secured_kafka.authority.ca_file} | files
    await secured_kafka.allow(*commands(needed_by_all(ROLES, prefix, [f"{prefix}raw"]), unique))
    findings = await checkup(settings_of(secured_kafka.doors["SSL"], prefix, security=security))
    assert wrong_in(findings) == []


@pytest.mark.parametrize("case", ["no certificate", "unknown authority", "plain"])
async def test_tls_that_does_not_fit_is_a_sentence(secured_kafka: SecuredKafka, unique, case):
    security: dict[str, Any] = {"protocol": "SSL", "ca_file": secured_kafka.authority.ca_file}
    words = "closes the connection"
    if case == "unknown authority":
        del security["ca_file"]
        words = "TLS do not agree"
    elif case == "plain":
        security["protocol"] = "PLAINTEXT"
        words = "Kafka at"
    findings = await checkup(settings_of(secured_kafka.doors["SSL"], f"{unique}.", security=security))
    assert len(findings) == 1
    assert words in findings[0].sentence
    assert findings[0].hint


def test_the_documented_commands_give_one_user_what_all_roles_need_and_no_more(documented: list[str]):
    tables = {
        "User:streamer": needed_by_all(ROLES, "streamer.", ["k8s-audit", "k8s-logs"]),
        "User:streamer-setup": needed(SETUP, "streamer.", []),
    }
    entries = [entry for command in documented for entry in acls_of(command)]
    for principal, table in tables.items():
        expected = {entry for access in table for entry in acls_of(access.command(principal))}
        assert {entry for entry in entries if entry.principal == principal} == expected
    assert {entry.principal for entry in entries} == set(tables)


def test_the_documented_table_is_the_one_that_is_checked():
    rows = {cells[0]: cells[1:] for cells in table_of(PAGE, "| | detect | correlate | index | setup |")}
    names = {
        "raw topics": "raw",
        "`<prefix>detections`": "p.detections",
        "`<prefix>correlate-changelog`": "p.correlate-changelog",
        "`<prefix>alerts`": "p.alerts",
        "`<prefix>dead-letter`": "p.dead-letter",
        "topics that begin with `<prefix>`": "p.",
        "transactional ids that begin with `<prefix>`": "p.",
    }
    for column, role in enumerate((*ROLES, SETUP)):
        table = needed(role, "p.", ["raw"])
        told = {
            (names.get(row, f"p.{role}"), row.split()[0] == "transactional", operation)
            for row, cells in rows.items()
            for operation in filter(None, cells[column].split(", "))
        }
        assert told == {
            (each.name, each.resource == "transactional-id", operation)
            for each in table
            for operation in each.operations
        }


PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()


def table_of(page: str, head: str) -> list[list[str]]:
    """The rows of a table on a page, cell by cell."""
    _, _, rest = page.partition(head)
    lines = rest.splitlines()[2:]
    end = next(number for number, line in enumerate(lines) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


@pytest.fixture
def documented() -> list[str]:
    """The commands on the page."""
    lines = PAGE.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("kafka-acls")]
