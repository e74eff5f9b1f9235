"""Whether a retraining fits: 200,000 logged outcomes in a ledger, `signalbox retrain` on them as a process of its own.

    python -m bench.retraining [--rows N] [--postgres] [--every-one] [--data DIR] [--out FILE] [--show FILE]

Wall and CPU time are the child's from start to end, memory is the most it ever held (ru_maxrss). Two ledgers: one as a
gateway fills it (a tenth audited, a twentieth thumbed), and, with `--every-one`, one in which every single request
has a label. How traffic and labels are made up is `bench/learning_ledger.py`'s.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.learning_ledger import Traffic, fill
from router.ledger.store import SqlStore

ROOT: Final = Path(__file__).parent.parent
OUT: Final = ROOT / "bench/results/retraining.json"
DATA: Final = ROOT.parent / "shared/data/outcomes"
MOST_MIB, MOST_SECONDS = 2048, 300
COMMAND: Final = [str(Path(sys.executable).with_name("signalbox")), "retrain", "--since", "90d", "--json"]


def retrained(url: str, home: Path, *more: str) -> dict[str, Any]:
    """One retraining of the ledger at `url`: its seconds, its CPU, its memory, and what it says it did."""
    env = {**os.environ, "SIGNALBOX_DATABASE_URL": url, "SIGNALBOX_DATA_DIR": str(home)}
    with (home / "told").open("w+b") as told, (home / "complaints").open("w+b") as complaints:
        began = time.perf_counter()
        child = subprocess.Popen([*COMMAND, *more], stdout=told, stderr=complaints, env=env, cwd=home)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        told.seek(0)
        said = told.read()
        complaints.seek(0)
        if child.returncode not in (0, 1):  # 1: the gate did not let it through
            raise SystemExit(f"signalbox retrain: {child.returncode}: {complaints.read().decode()[-2000:]}")
    report = json.loads(said)
    return {
        "wall_s": round(seconds, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib": round(used.ru_maxrss / 1024, 1),
        "labelled": report["labelled"],
        "held_out": report["held_out"],
        "heads": {head["head"]: [head["labels"], head["step"]] for head in report["report"]["heads"]},
        "reason": report["reason"],
    }


@contextmanager
def postgres() -> Iterator[str]:
    """An empty database of a PostgreSQL of our own, started for this run."""
    from tests.servers import PostgresServer

    server = PostgresServer()
    try:
        yield server.create_database()
    finally:
        server.close()


@contextmanager
def sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        yield f"sqlite:///{Path(folder) / 'ledger.sqlite3'}"


def measured(url: str, options: argparse.Namespace, *, every_one: bool) -> dict[str, Any]:
    """A ledger filled, and what retraining on it takes, without a report and with one."""

    async def filled() -> Any:
        store = SqlStore(url)
        await store.open()
        try:
            traffic = Traffic(options.data if options.data.is_dir() else None)
            return await fill(store, traffic, options.rows, every_one_labelled=every_one)
        finally:
            await store.aclose()

    ledger = asdict(asyncio.run(filled()))
    print(f"  {ledger}", flush=True)
    found: dict[str, Any] = {"ledger": ledger | {"seconds": round(ledger["seconds"], 1)}}
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        home = Path(folder)
        page = {"retrain --report": ["--report", str(home / "report")]}
        runs = page if options.report_only else {"retrain": []} | page
        for name, more in runs.items():
            found[name] = retrained(url, home, *more)
            print(f"  {name}: {found[name]}", flush=True)
    return found


def table(results: dict[str, Any]) -> str:
    """As the page of benchmarks shows it."""
    lines = ["| ledger | labelled | command | wall, s | CPU, s | peak, MiB |", "|---|---|---|---|---|---|"]
    for ledger, found in results["ledgers"].items():
        for name, run in found.items():
            if name != "ledger":
                row = (
                    ledger,
                    f"{run['labelled']:,}",
                    f"`{name}`",
                    run["wall_s"],
                    run["cpu_s"],
                    f"{run['peak_mib']:,.0f}",
                )
                lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL of our own too")
    parser.add_argument("--every-one", action="store_true", help="a ledger in which every request is labelled too")
    parser.add_argument("--report-only", action="store_true", help="leave out the run that writes no report")
    parser.add_argument("--data", type=Path, default=DATA, help="outcome files whose questions are asked too")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--show", type=Path, help="print the table of an earlier run")
    options = parser.parse_args()
    if options.show:
        print(table(json.loads(options.show.read_text("utf-8"))))
        return
    results: dict[str, Any] = {"rows": options.rows, "cores": os.cpu_count(), "ledgers": {}}
    kinds = {"as a gateway fills it": False} | ({"every request labelled": True} if options.every_one else {})
    places = {"SQLite": sqlite} | ({"PostgreSQL": postgres} if options.postgres else {})
    for place, opened in places.items():
        for kind, every_one in kinds.items():
            print(f"{place}, {kind}", flush=True)
            with opened() as url:
                results["ledgers"][f"{place}, {kind}"] = measured(url, options, every_one=every_one)
    print(table(results))
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
