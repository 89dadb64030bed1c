from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

import streamer.service.settings as settings_module
from streamer.errors import SettingsError
from streamer.service.configuration import load_settings, secret
from streamer.service.durations import format_duration, parse_duration
from streamer.service.settings import Settings

BASE = "sources:\n  - {file: audit.log, kind: audit, lateness: 30s}\n"


@pytest.fixture
def load(tmp_path):
    path = tmp_path / "streamer.yaml"

    def loading(text=BASE, environment=None, **command_line):
        path.write_text(text)
        return load_settings(path, environment=environment or {}, command_line=command_line)

    loading.path = path
    return loading


def test_defaults_apply_where_nothing_is_said(load):
    settings = load()
    (source,) = settings.sources
    assert (source.file, source.kind, source.lateness, source.idle_after) == (
        "audit.log",
        "audit",
        30_000_000,
        60_000_000,
    )
    assert (settings.store, settings.http.port, settings.kafka, settings.elasticsearch) == (
        Path("streamer.db"),
        8080,
        None,
        None,
    )


def test_the_command_line_is_over_the_environment_and_that_over_the_file(load):
    text = BASE + "http: {port: 1, host: a}\ncluster: file\nstore: file.db\n"
    environment = {"STREAMER_HTTP__PORT": "2", "STREAMER_CLUSTER": "environment", "STREAMER_STORE": "environment.db"}
    settings = load(text, environment, store="command-line.db")
    assert (settings.http.port, settings.http.host, settings.cluster, str(settings.store)) == (
        2,
        "a",
        "environment",
        "command-line.db",
    )


def test_the_designs_own_example_is_read(load):
    settings = load(
        """
        cluster: prod-1
        aliases: {PROD-1: prod-1}
        rules: [shipped, /etc/streamer/rules]
        placeholders: {admin_users: [alice]}
        sources:
          - {kafka: k8s-audit, kind: audit}
          - {kafka: k8s-logs, kind: containers, lateness: 30s, trusted_proxies: 1}
        kafka: {bootstrap_servers: "127.0.0.1:9092", topic_prefix: streamer., partitions: 24}
        elasticsearch: {hosts: ["http://127.0.0.1:9200"], namespace: default}
        store: streamer.db
        http: {host: 127.0.0.1, port: 8080}
        """
    )
    assert [source.name for source in settings.sources] == ["k8s-audit", "k8s-logs"]
    assert settings.rules == ("shipped", "/etc/streamer/rules")
    assert settings.placeholders == {"admin_users": ("alice",)}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (BASE + "htp: {port: 1}\n", "{path}:3:1: there is no setting `htp`", "did you mean `http`?"),
        (BASE + "http: {prot: 1}\n", "{path}:3:8: there is no setting `http.prot`", "did you mean `port`?"),
        (
            BASE.replace("lateness", "latenes"),
            "{path}:2:36: there is no setting `sources.0.latenes`",
            "did you mean `lateness`?",
        ),
        (BASE.replace("30s", "30"), "{path}:2:36: `sources.0.lateness`: 30 is no length of time", None),
        (
            BASE.replace("audit,", "audits,"),
            "{path}:2:23: `sources.0.kind`: this must be one of audit, containers",
            "did you mean `audit`?",
        ),
        (BASE + "rules: shipped\n", "{path}:3:1: `rules`: this must be a list", "write it as [one, another]"),
        (BASE + "http: 8080\n", "{path}:3:1: `http`: this must be a mapping", "write it as {key: value}"),
        (BASE + "http: {port: many}\n", "{path}:3:8: `http.port`: this must be a whole number", None),
        (BASE + "http: {port: -1}\n", "{path}:3:8: `http.port`: this must be at least 0", None),
        (BASE + "http: {enabled: perhaps}\n", "{path}:3:8: `http.enabled`: this must be true or false", None),
        (BASE + "cluster: 7\n", "{path}:3:1: `cluster`: this must be text", "put it in quotes"),
        ("sources: []\n", "{path}:1:1: `sources`: this must not be empty", None),
        ("sources:\n\t- {file: a}\n", "{path}:2:1: ", "indent with blanks: YAML allows no tabs there"),
        (BASE + "kafka: {bootstrap_servers: 'a b'}\n", "{path}:3:9: `kafka.bootstrap_servers`: write host:port", None),
        (BASE + "elasticsearch: {hosts: ['127.0.0.1:9200']}\n", "`elasticsearch.hosts`: write URLs with scheme", None),
        (BASE + "elasticsearch: {hosts: ['http://a:b']}\n", "`elasticsearch.hosts`: write URLs with scheme", None),
        (BASE.replace("kind: audit,", ""), "{path}:2:5: `sources.0.kind` is missing", None),
        (
            BASE + "cluster: a\ncluster: b\n",
            "{path}:4:1: `cluster` stands here a second time",
            "the first is in line 3",
        ),
        (BASE + "http: {port: 99999}\n", "{path}:3:8: `http.port`", None),
        ("- a\n", "{path}:1:1: the settings are a mapping, this is a list", None),
        ("a: [\n", "{path}:", None),
        ("", "`sources` is missing", "for example sources: [{file: audit.log, kind: audit}]"),
        ("sources: []\n", "{path}:1:1: `sources`", None),
        ("sources: [{kafka: t, file: f, kind: audit}]\n", "exactly one of `kafka`, `file`, `webhook`", None),
        ("sources: [{kafka: t, kind: audit}]\n", "a source names a topic, but there is no `kafka` group", None),
        ("sources: [{file: t, kind: audit}, {file: t, kind: audit}]\n", "two sources read t", None),
        (
            BASE.replace("kind: audit", "kind: audit, access_logs: [gateway]"),
            "{path}:2:36: `sources.0.access_logs`: write namespace/pod/container",
            None,
        ),
        ("sources: [{file: a.gz, kind: audit, follow: true}]\n", "a .gz file does not grow", None),
    ],
)
def test_what_cannot_work_is_a_sentence_with_its_place(load, text, message, hint):
    with pytest.raises(SettingsError) as caught:
        load(text)
    assert message.format(path=load.path) in str(caught.value)
    if hint:
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("STREAMER_HTPP__PORT", "1", "environment STREAMER_HTPP__PORT: there is no setting `htpp`"),
        ("STREAMER_HTTP__PORTS", "1", "environment STREAMER_HTTP__PORTS: there is no setting `ports`"),
        ("STREAMER_HTTP__PORT__X", "1", "there is no setting `x`"),
        ("STREAMER_HTTP__PORT", "many", "environment STREAMER_HTTP__PORT: `http.port`"),
        ("STREAMER_RULES", "a,b", "environment STREAMER_RULES: lists and mappings are written as JSON"),
        ("STREAMER_ELASTICSEARCH__HOSTS", "x", "environment STREAMER_ELASTICSEARCH__HOSTS: lists and mappings"),
    ],
)
def test_what_cannot_work_in_the_environment_is_named(load, name, value, message):
    with pytest.raises(SettingsError, match=re.escape(message)):
        load(BASE, {name: value})


def test_variables_that_kubernetes_injects_for_a_service_named_streamer_are_no_settings(load):
    injected = {
        "STREAMER_SERVICE_HOST": "10.0.0.1",
        "STREAMER_SERVICE_PORT": "8080",
        "STREAMER_SERVICE_PORT_HTTP": "8080",
        "STREAMER_PORT": "tcp://10.0.0.1:8080",
        "STREAMER_PORT_8080_TCP_ADDR": "10.0.0.1",
        "STREAMER_CONSOLE_SERVICE_HOST": "10.0.0.2",
    }
    assert load(BASE, injected).model_dump() == load(BASE).model_dump()


def test_a_missing_file_of_settings_is_a_sentence(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "nothing.yaml", environment={})


def test_a_secret_comes_from_its_setting_or_its_file_and_never_both(tmp_path):
    path = tmp_path / "key"
    path.write_text("s3cret\n")
    assert secret(None, path, "elasticsearch.api_key") == "s3cret"
    assert secret(SecretStr("x"), None, "elasticsearch.api_key") == "x"
    assert secret(None, None, "elasticsearch.api_key") is None
    with pytest.raises(SettingsError, match=re.escape("both `elasticsearch.api_key` and")):
        secret(SecretStr("x"), path, "elasticsearch.api_key")
    with pytest.raises(SettingsError, match="cannot be read"):
        secret(None, tmp_path / "nothing", "elasticsearch.api_key")


@pytest.mark.parametrize("servers", ["a:1", "a", "a:1,b:2", "a:1, b:2", "[::1]:9092", "broker-0.kafka.svc:9092"])
def test_brokers_are_hosts_with_ports(load, servers):
    assert load(BASE, kafka={"bootstrap_servers": servers}).kafka.bootstrap_servers == servers


def test_a_password_in_a_url_is_refused_and_not_repeated(load):
    with pytest.raises(SettingsError, match="must not hold a password") as caught:
        load(BASE + "elasticsearch: {hosts: ['https://elastic:hush@es.example:9200']}\n")
    assert "hush" not in str(caught.value)


def test_a_secret_of_the_wrong_type_is_not_repeated(load):
    with pytest.raises(SettingsError, match="must be text") as caught:
        load(BASE + "kafka: {security: {password: 31415926}}\n")
    assert "31415926" not in str(caught.value)


def test_secrets_never_show(load):
    settings = load(BASE + "elasticsearch: {api_key: hush}\n")
    assert "hush" not in repr(settings)


def leaves(model: type[BaseModel]):
    for name, field in model.model_fields.items():
        groups = re.findall(r"\w+Settings", str(field.annotation))
        if groups:
            yield from leaves(getattr(settings_module, groups[0]))
        else:
            yield name, field


def test_every_setting_says_what_it_means_and_there_are_few():
    found = list(leaves(Settings))
    assert [name for name, field in found if not field.description] == []
    assert len(found) <= 59


@pytest.mark.parametrize(
    ("text", "length_us"),
    [
        ("10s", 10_000_000),
        ("5m", 300_000_000),
        ("1h", 3_600_000_000),
        ("2d", 172_800_000_000),
        ("250ms", 250_000),
        (0, 0),
    ],
)
def test_lengths_of_time_have_a_unit(text, length_us):
    assert parse_duration(text) == length_us
    assert parse_duration(format_duration(length_us)) == length_us


@pytest.mark.parametrize(
    "value", [10, 1.5, "10", "s", "-1s", "1w", "1h30m", None, True, False, "9" * 30 + "d", "99999d"]
)
def test_anything_else_is_no_length_of_time(value):
    with pytest.raises(ValueError, match=r"10s, 5m or 1h|ten years"):
        parse_duration(value)
