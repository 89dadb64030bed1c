"""What goes wrong between us and a broker is a sentence that says who must act."""

from __future__ import annotations

import ssl

import pytest
from aiokafka import errors

from streamer.errors import ServerError, SettingsError
from streamer.kafka import KafkaConnection, check_topics
from streamer.kafka.complaints import as_server_error

CONNECTION = KafkaConnection("broker-1:9092,broker-2:9092", password="hush")


@pytest.mark.parametrize(
    ("error", "retriable", "words"),
    [
        (errors.KafkaConnectionError("refused"), True, "does not answer"),
        (errors.RequestTimedOutError(), True, "does not answer"),
        (ConnectionRefusedError(111, "refused"), True, "does not answer"),
        (TimeoutError(), True, "does not answer"),
        (errors.AuthenticationFailedError("bad password"), False, "refuses the credentials"),
        (errors.UnsupportedSaslMechanismError("SCRAM"), False, "refuses the credentials"),
        (errors.SaslAuthenticationFailed("bad password"), False, "refuses the credentials"),
        (errors.TopicAuthorizationFailedError("k8s-audit"), False, "does not allow User:ANONYMOUS what reading needs"),
        (errors.TransactionalIdAuthorizationFailed("s.correlate"), False, "does not allow"),
        (errors.KafkaConnectionError("Connection at broker-1:9092 closed"), True, "closes the connection"),
        (errors.UnsupportedVersionError(), False, "another version"),
        (ssl.SSLCertVerificationError("self-signed certificate"), False, "TLS do not agree"),
        (errors.NotEnoughReplicasError(), True, "reading failed"),
    ],
)
def test_each_complaint_says_what_and_whether_waiting_helps(error, retriable, words):
    said = as_server_error(error, CONNECTION, "reading")
    assert words in str(said)
    assert "broker-1:9092,broker-2:9092" in str(said)
    assert said.retriable is retriable


@pytest.mark.parametrize(
    ("error", "entry"),
    [
        (errors.TopicAuthorizationFailedError({"k8s-logs", "k8s-audit"}), "on the topic k8s-audit, k8s-logs"),
        (errors.GroupAuthorizationFailedError("s.detect"), "Read on the group s.detect"),
        (errors.TransactionalIdAuthorizationFailed("s.correlate.0"), "Write on the transactional id s.correlate.0"),
    ],
)
def test_access_that_is_missing_is_named(error, entry):
    assert entry in (as_server_error(error, CONNECTION, "reading").hint or "")


def test_a_password_is_never_in_the_representation():
    assert "hush" not in repr(CONNECTION)


def test_a_certificate_file_that_is_missing_is_a_settings_error():
    connection = KafkaConnection("broker:9093", security_protocol="SSL", ca_file="/nowhere/ca.pem")
    with pytest.raises(SettingsError, match=r"/nowhere/ca\.pem"):
        connection.options()


async def test_a_login_at_a_broker_without_logins_is_refused_and_waiting_does_not_help(kafka_address):
    connection = KafkaConnection(kafka_address, security_protocol="SASL_PLAINTEXT", username="u", password="p")
    with pytest.raises(ServerError, match="refuses the credentials") as refused:
        await check_topics(connection, [])
    assert not refused.value.retriable


async def test_tls_at_a_broker_without_it_is_a_sentence(kafka_address):
    connection = KafkaConnection(kafka_address, security_protocol="SSL", request_timeout_s=5)
    with pytest.raises(ServerError):
        await check_topics(connection, [])
