"""What Kafka and its client complain about, said so that somebody can act.

One decision is made here for the whole door: does waiting help (``ServerError.retriable``), or must somebody change
something first?
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from aiokafka import errors

from streamer.errors import ServerError
from streamer.kafka.connection import KafkaConnection

T = TypeVar("T")

_REFUSED_LOGIN: Final = (
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)
_REFUSED_ACCESS: Final = (
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
)
_OTHER_VERSION: Final = (
    errors.IncompatibleBrokerVersion,
    errors.UnrecognizedBrokerVersion,
    errors.UnsupportedVersionError,
    errors.UnsupportedForMessageFormatError,
)
_AWAY: Final = (
    errors.KafkaConnectionError,
    errors.KafkaTimeoutError,
    errors.KafkaUnavailableError,
    errors.NoBrokersAvailable,
    errors.NodeNotReadyError,
    errors.RequestTimedOutError,
    TimeoutError,
    OSError,
)
_STOP_S: Final = 3.0


def as_server_error(error: BaseException, connection: KafkaConnection, doing: str) -> ServerError:
    """The sentence for an error of the client.

    Args:
        error: what the client raised.
        connection: where.
        doing: what was attempted, as "reading k8s-audit".
    """
    where = f"Kafka at {connection.bootstrap_servers}"
    told = str(error) or type(error).__name__
    if isinstance(error, ServerError):
        return error
    if isinstance(error, _REFUSED_LOGIN):
        return ServerError(
            f"{where} refuses the credentials ({connection.sasl_mechanism}): {told}",
            hint="Correct kafka.security; the broker's log names the reason.",
            retriable=False,
        )
    if isinstance(error, _REFUSED_ACCESS):
        return ServerError(
            f"{where} does not allow {connection.principal} what {doing} needs: {told}",
            hint=_missing_access(error),
            retriable=False,
        )
    if isinstance(error, _OTHER_VERSION):
        return ServerError(
            f"{where} speaks another version of the protocol while {doing}: {told}",
            hint="streamer is tested with Kafka 4.4.",
            retriable=False,
        )
    if isinstance(error, ssl.SSLError):
        return ServerError(
            f"{where} and TLS do not agree: {told}",
            hint="Check kafka.security: protocol, ca_file, cert_file and key_file.",
            retriable=False,
        )
    if isinstance(error, errors.KafkaConnectionError) and told.endswith("closed"):
        return ServerError(f"{where} closes the connection ({doing})", hint=_why_closed(connection))
    if isinstance(error, _AWAY):
        return ServerError(f"{where} does not answer ({doing})", hint="Is it running, and is the address right?")
    return ServerError(f"{where}: {doing} failed: {told}")


def _why_closed(connection: KafkaConnection) -> str:
    """What a broker does not tell that hangs up without a word."""
    if connection.security_protocol == "SSL" and not connection.certificate_file:
        return "Is it stopping, or does it ask for a certificate (kafka.security.cert_file and key_file)?"
    return "Is it stopping, or does this port speak another protocol (kafka.security.protocol)?"


def _missing_access(error: BaseException) -> str:
    """Which entry of the broker's access lists is missing, as far as the broker tells."""
    named = error.args[0] if error.args else ""
    names = ", ".join(sorted(map(str, named))) if isinstance(named, (set, frozenset, list, tuple)) else str(named)
    if isinstance(error, errors.TopicAuthorizationFailedError):
        lacking = f"Read (where it is read) or Write (where it is written) on the topic {names}"
    elif isinstance(error, errors.GroupAuthorizationFailedError):
        lacking = f"Read on the group {names}"
    elif isinstance(error, errors.TransactionalIdAuthorizationFailed):
        lacking = f"Write on the transactional id {names}, or on all that begin with kafka.topic_prefix"
    else:
        lacking = "access to the cluster"
    return f"Missing: {lacking}. `streamer doctor` names every entry that is missing, as a kafka-acls command."


async def attempt(
    work: Coroutine[Any, Any, T], connection: KafkaConnection, doing: str, *, within_s: float | None = None
) -> T:
    """Await ``work`` with a deadline (``within_s`` seconds); every failure of the client is a :class:`ServerError`."""
    try:
        return await asyncio.wait_for(work, within_s or connection.request_timeout_s)
    except errors.KafkaConnectionError as error:
        raise await _diagnose(connection, error, doing) from error
    except (errors.KafkaError, errors.IllegalOperation, OSError, TimeoutError, AssertionError) as error:
        raise as_server_error(error, connection, doing) from error


async def let_go(*closings: Coroutine[Any, Any, Any]) -> None:
    """Close things of the client, one after the other; never raises, and a frozen broker holds us for seconds only."""
    for closing in closings:
        task = asyncio.ensure_future(closing)
        await asyncio.wait({task}, timeout=_STOP_S)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_STOP_S)
        retrieved(task)


def retrieved(future: asyncio.Future[Any]) -> None:
    """Look at a future's exception, so that nobody warns that nobody did."""
    if future.done() and not future.cancelled():
        future.exception()


async def end_producer(producer: Any) -> None:
    """Close a producer, however it fared; never raises, never hangs longer than some seconds."""
    # Its stop may end half-way, after an error of its own; the connections would stay open.
    await let_go(producer.stop(), producer.client.close())
    # When it was fenced it has told so to futures of its own that nobody waits for any more.
    manager, accumulator = getattr(producer, "_txn_manager", None), getattr(producer, "_message_accumulator", None)
    waiters = [getattr(manager, "_transaction_waiter", None)]
    for batches in list(getattr(accumulator, "_batches", {}).values()):
        waiters += [getattr(batch, "_drain_waiter", None) for batch in batches]
    for waiter in waiters:
        if waiter is not None:
            retrieved(waiter)


async def _diagnose(connection: KafkaConnection, error: Exception, doing: str) -> ServerError:
    """Why no connection came about: the client keeps the reason to itself, so knock once more and look."""
    reason: BaseException = error
    for server in connection.options()["bootstrap_servers"]:
        try:
            await connection.knock(server)
        except (errors.KafkaError, OSError, TimeoutError, ValueError) as refusal:
            reason = refusal
            continue
        return as_server_error(error, connection, doing)
    return as_server_error(reason, connection, doing)
