"""Secrets in files are read for every connection, so that they can be rotated under a running client."""

from __future__ import annotations

import pytest

from streamer.errors import ServerError, SettingsError
from streamer.kafka import KafkaConnection
from streamer.kafka.complaints import attempt
from tests.servers.certificates import Authority
from tests.servers.secured_kafka import SecuredKafka


def connection_to(server: SecuredKafka, user: str, **secret: str) -> KafkaConnection:
    return KafkaConnection(
        server.doors["SASL_SSL"],
        security_protocol="SASL_SSL",
        ca_file=str(server.authority.ca_file),
        sasl_mechanism="SCRAM-SHA-512",
        username=user,
        request_timeout_s=10,
        **secret,
    )


async def reconnected(admin) -> list[str]:
    """What a client sees over new connections: its old ones are closed."""
    client = admin._client
    for connection in list(client._conns.values()):
        connection.close()
    return await admin.list_topics()


@pytest.mark.parametrize("rotated", [True, False])
async def test_a_rotated_password_is_read_for_the_next_connection(
    secured_kafka: SecuredKafka, unique, tmp_path, rotated
):
    file = tmp_path / "password"
    file.write_text("first\n")
    await secured_kafka.add_scram_user(unique, "first")
    connection = connection_to(secured_kafka, unique, password_file=str(file))
    admin = connection.administration()
    await admin.start()
    try:
        await reconnected(admin)
        await secured_kafka.add_scram_user(unique, "second")
        if rotated:
            file.write_text("second\n")
            assert await reconnected(admin) == []
        else:  # the old password is indeed refused
            with pytest.raises(ServerError):
                await attempt(reconnected(admin), connection, "listing topics")
    finally:
        await admin.close()


async def test_while_a_file_is_being_replaced_the_last_secret_is_used(secured_kafka: SecuredKafka, unique, tmp_path):
    file = tmp_path / "password"
    file.write_text("first\n")
    await secured_kafka.add_scram_user(unique, "first")
    admin = connection_to(secured_kafka, unique, password_file=str(file)).administration()
    await admin.start()
    try:
        file.unlink()
        assert await reconnected(admin) == []
    finally:
        await admin.close()


async def test_a_renewed_client_certificate_is_shown_on_the_next_connection(
    secured_kafka: SecuredKafka, unique, tmp_path
):
    (tmp_path / "own").mkdir()
    issued = secured_kafka.authority.issue(unique)
    cert, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    cert.write_bytes(issued.cert_file.read_bytes())
    key.write_bytes(issued.key_file.read_bytes())
    connection = KafkaConnection(
        secured_kafka.doors["SSL"],
        security_protocol="SSL",
        ca_file=str(secured_kafka.authority.ca_file),
        certificate_file=str(cert),
        key_file=str(key),
        request_timeout_s=10,
    )
    admin = connection.administration()
    await admin.start()
    try:
        stranger = Authority(tmp_path / "own").issue("stranger")
        cert.write_bytes(stranger.cert_file.read_bytes())
        key.write_bytes(stranger.key_file.read_bytes())
        with pytest.raises(ServerError):  # the file is what is shown: somebody else's certificate is refused
            await attempt(reconnected(admin), connection, "listing topics")
        cert.write_bytes(issued.cert_file.read_bytes())
        key.write_bytes(issued.key_file.read_bytes())
        assert await reconnected(admin) == []
    finally:
        await admin.close()


def test_a_password_file_that_is_missing_is_a_settings_error(tmp_path):
    connection = KafkaConnection(
        "b:1", security_protocol="SASL_PLAINTEXT", username="u", password_file=str(tmp_path / "nowhere")
    )
    with pytest.raises(SettingsError, match="nowhere cannot be read"):
        connection.options()
