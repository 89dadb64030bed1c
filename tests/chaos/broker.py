"""The Kafka of the chaos: one broker with a second door that leads through the proxy."""

from __future__ import annotations

import subprocess

from tests.chaos.proxy import KafkaProxy
from tests.servers.kafka import _CLUSTER_ID, _PROPERTIES, KafkaServer
from tests.servers.process import free_ports


class ProxiedKafka(KafkaServer):
    """``address`` leads to the broker itself, ``proxied`` through :attr:`proxy`; both survive restarts."""

    def __init__(self) -> None:
        super().__init__()
        inner, outer = free_ports(2)
        self.proxied = f"127.0.0.1:{outer}"
        self.proxy = KafkaProxy(outer, inner)
        self._inner = inner
        self._outer = outer

    def start(self) -> None:
        """Broker and, the first time, proxy."""
        if not self.proxy.started:
            self.proxy.start()
        super().start()

    def spawn(self) -> None:
        """As the plain server, with one more listener; compacts small segments early."""
        configuration = self.folder / "server.properties"
        if not configuration.exists():
            plain = _PROPERTIES.format(port=self.port, controller_port=self._controller_port, folder=self.folder)
            configuration.write_text(self._with_second_door(plain))
            tool = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(configuration)]
            subprocess.run(self._command("128m", *tool), check=True, capture_output=True)
        self._launch(self._command("640m", "kafka.Kafka", str(configuration)), env=self._environment())

    def close(self) -> None:
        """Broker and proxy."""
        super().close()
        if self.proxy.started:
            self.proxy.stop()

    def _with_second_door(self, properties: str) -> str:
        doors = {
            "listeners=": f",PROXIED://127.0.0.1:{self._inner}",
            "advertised.listeners=": f",PROXIED://127.0.0.1:{self._outer}",
            "listener.security.protocol.map=": ",PROXIED:PLAINTEXT",
        }
        lines = []
        for line in properties.splitlines():
            more = next((more for name, more in doors.items() if line.startswith(name)), "")
            lines.append(line + more)
        return "\n".join([*lines, "log.message.timestamp.after.max.ms=3600000", ""])
