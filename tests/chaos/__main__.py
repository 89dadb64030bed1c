"""``python -m tests.chaos SCENARIO ... | all [--long] [--seed N]``: exit code 1 if any is not as it must be."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.chaos.broker import ProxiedKafka
from tests.chaos.play import Servers
from tests.chaos.scenarios import SCENARIOS
from tests.servers.elasticsearch import ElasticsearchServer


def main() -> int:
    """Run the chosen scenarios one after the other on servers of their own."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("scenario", nargs="+", choices=[*names, "all"], metavar="SCENARIO", help=", ".join(names))
    parser.add_argument("--seed", type=int, default=1)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--short", action="store_true", help="a look (the default)")
    size.add_argument("--long", action="store_true", help="for the figures; hours for all of them")
    parser.add_argument("--json", action="store_true", help="one JSON object per scenario")
    parser.add_argument("--append", type=Path, help="add the JSON objects to this file, too")
    asked = parser.parse_args()
    chosen = [scenario for scenario in SCENARIOS if {"all", scenario.name} & set(asked.scenario)]
    servers = Servers(ProxiedKafka())
    if any(scenario.needs_elasticsearch for scenario in chosen):
        servers.elasticsearch = ElasticsearchServer()
    failed = 0
    try:
        for server in filter(None, (servers.kafka, servers.elasticsearch)):
            server.start()
        for scenario in chosen:
            result = scenario.run(servers, long=asked.long, seed=asked.seed)
            as_it_must_be = scenario.verdict(result)
            failed += not as_it_must_be
            figures = json.dumps(result.figures() | {"as_it_must_be": as_it_must_be})
            if asked.append:
                with asked.append.open("a") as file:
                    file.write(figures + "\n")
            told = result.line() + (" (red, as it must be)" if scenario.goes_red and as_it_must_be else "")
            print(figures if asked.json else told, flush=True)
    finally:
        for server in filter(None, (servers.kafka, servers.elasticsearch)):
            server.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
