"""A real Apache Kafka: broker and controller (KRaft) in one JVM, with topics small enough for a test machine."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from pathlib import Path

from tests.servers.download import java_home, kafka_jars
from tests.servers.process import ServerProcess, free_ports, temporary_folder

_HERE = Path(__file__).resolve().parent
_CLUSTER_ID = "c3RyZWFtZXItdGVzdHMtMQ"  # any 16 bytes, base64url without padding

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/data
# A topic exists because somebody created it.
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
min.insync.replicas=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# One node, few files: the defaults are three replicas of 50 partitions each.
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.threads=1
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.backoff.ms=1000
# A broker may register again after kill -9 only when its old session has ended.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


class KafkaServer(ServerProcess):
    """One broker; ``address`` is its bootstrap address and survives restarts."""

    def __init__(self, *, port: int | None = None) -> None:
        super().__init__(temporary_folder("kafka"))
        free = free_ports(2)
        self.port = port or free[0]
        self._controller_port = free[1]
        self.address = f"127.0.0.1:{self.port}"
        self._java = str(java_home() / "bin/java")
        self._class_path = ":".join(str(jar) for jar in kafka_jars())

    def spawn(self) -> None:
        """Format the log folder the first time, then start."""
        configuration = self.folder / "server.properties"
        if not configuration.exists():
            configuration.write_text(self._properties())
            tool = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(configuration)]
            subprocess.run(self._command("128m", *tool), check=True, capture_output=True)
        self._launch(self._command("512m", "kafka.Kafka", str(configuration)), env=self._environment())

    def _properties(self) -> str:
        return _PROPERTIES.format(port=self.port, controller_port=self._controller_port, folder=self.folder)

    def is_ready(self) -> bool:
        """A metadata answer that names the broker; an open port says nothing yet."""
        return _brokers(self.port) > 0

    def _command(self, heap: str, *main: str) -> list[str]:
        switches = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.awt.headless=true")
        logging = f"-Dlog4j2.configurationFile={_HERE / 'kafka.log4j2.xml'}"
        ipv4 = "-Djava.net.preferIPv4Stack=true"
        return [self._java, f"-Xmx{heap}", *switches, ipv4, logging, "-cp", self._class_path, *main]

    def _environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith(("JAVA_", "_JAVA", "JDK_"))}


def _brokers(port: int) -> int:
    """How many brokers a metadata request (version 1, no topics) names; 0 while nobody answers."""
    request = struct.pack(">hhihi", 3, 1, 1, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(2)
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(65536)
    except OSError:
        return 0
    return int(struct.unpack(">i", answer[8:12])[0]) if len(answer) >= 12 else 0
