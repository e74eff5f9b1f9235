"""Asks every answer with every client, directly and through Signalbox, and shows where the two differ.

`python -m tests.clients.run [CLIENT ...]`: 0 when nothing differs, 1 when something does, 2 when it cannot be run.
Bytes are recorded before the clients and behind the gateway; what is compared is in `compare`. Afterwards the code of
each client's page in docs/clients is run as it stands (`pages`), and that of its page in docs/recipes (`recipes`).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.clients import gateway
from tests.clients.asking import CLIENTS, ClientFailed
from tests.clients.check import check
from tests.clients.compare import Findings, House, compare
from tests.clients.environments import EnvironmentFailed, make
from tests.clients.pages import PAGES, run_pages
from tests.clients.recipes import RECIPES, run_recipes
from tests.clients.replay import Replay
from tests.clients.scenarios import SCENARIOS
from tests.clients.wire import Wire


async def run(names: list[str]) -> list[Findings]:
    """All comparisons of these clients, one client after the other."""
    found: list[Findings] = []
    with tempfile.TemporaryDirectory(prefix="signalbox-clients-") as folder:
        async with Replay(SCENARIOS).serve() as replay:
            far = Wire(*replay)
            async with far.serve() as far_url, gateway.serving(far_url, Path(folder)) as served:
                for name in names:
                    environment = await asyncio.to_thread(make, name)
                    print(f"{name} ...", file=sys.stderr)
                    found.append(await compare(environment, House(replay, served, far)))
    return found


def show(all_findings: list[Findings]) -> int:
    """Prints the table, then every fault. Returns how many faults there are."""
    width = max(map(len, SCENARIOS)) + 2
    print(" " * width + "  ".join(f"{findings.client:>13}" for findings in all_findings))
    for name in SCENARIOS:
        cells = []
        for findings in all_findings:
            compared, differ = findings.compared[name], len(findings.faults.get(name, []))
            cells.append("-" if not compared else f"{differ} differ" if differ else f"{compared} same")
        print(name.ljust(width) + "  ".join(f"{cell:>13}" for cell in cells))
    print("cache hits".ljust(width) + "  ".join(f"{findings.hits:>13}" for findings in all_findings))
    faults = [
        (findings.client, fault) for findings in all_findings for found in findings.faults.values() for fault in found
    ]
    for client, fault in faults:
        print(f"\n{client}: {fault}")
    clean = sum(not any(findings.faults.values()) for findings in all_findings)
    compared = sum(findings.compared.total() for findings in all_findings)
    print(f"\nclients {clean}/{len(all_findings)}, {compared} comparisons, {len(faults)} differences")
    return len(faults)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compares clients' answers, direct and through the gateway.")
    parser.add_argument("client", nargs="*", help=f"only these of {', '.join(CLIENTS)}")
    names = parser.parse_args().client or list(CLIENTS)
    if unknown := sorted(set(names) - set(CLIENTS)):
        parser.error(f"no such client: {', '.join(unknown)}")
    try:
        asyncio.run(check())
        differences = show(asyncio.run(run(names)))
        paged = [name for name in names if name in PAGES]
        faults = run_pages([make(name) for name in paged])
        print(*faults, f"pages {len(paged) - len(faults)}/{len(paged)}", sep="\n")
        cooked = [name for name in names if name in RECIPES]
        failed = run_recipes([make(name) for name in cooked])
        print(*failed, f"recipes {len(cooked) - len(failed)}/{len(cooked)}", sep="\n")
        return 1 if differences or faults or failed else 0
    except (ClientFailed, EnvironmentFailed, gateway.GatewayFailed) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
