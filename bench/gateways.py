"""What a gateway adds to a request, measured beside its peers in one run. Everything stays on loopback.

    python bench/gateways.py [--harness DIR] [--peers DIR] [--rounds N] [--only a,b] [--out FILE]
    python bench/gateways.py --show FILE

With a harness (a folder with `bench.py`, `peers.sh`, `lg.c` and `mock_upstream.c`), its load generator and upstream are
used, and its peers are installed into `--peers` on the first run (that needs gcc, npm and the network). Without one the
stand-in upstream and `load.py` take their places, and Signalbox is measured beside nginx alone.

Signalbox runs as it would for anybody: one worker, key check, learned judge, policy, cache look-up, ledger. CPU is user
and system time of the whole process tree. Rounds are interleaved; quote ratios of one run, and medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from served import (
    KEY,
    environment,
    folder,
    free_port,
    load,
    process,
    redis,
    signalbox,
    stand_in,
    wait_for,
    write_policy,
)

CELLS = ("c1", "c16", "c64", "s1", "s100")
HIT = "hit16"
OWN_KINDS = {"c16": "chat", HIT: "hit", "s100": "stream"}

NGINX = """
worker_processes 1; pid {home}/pid; error_log {home}/error.log warn; daemon off;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {home}/a; proxy_temp_path {home}/b; fastcgi_temp_path {home}/c;
  uwsgi_temp_path {home}/d; scgi_temp_path {home}/e; keepalive_requests 1000000;
  upstream model {{ server {upstream}; keepalive 64; }}
  server {{ listen 127.0.0.1:{port}; location / {{
    proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
  }} }}
}}
"""


def rows_of_ours(home: Path, upstream: str, redis_url: str | None) -> list[dict[str, Any]]:
    """Signalbox as it is measured: from memory, with Redis, and with models reached through litellm."""
    kinds = [("signalbox", "openai", {}), ("signalbox, litellm model", "litellm", {})]
    if redis_url:
        kinds.insert(1, ("signalbox, Redis cache", "openai", {"SIGNALBOX_REDIS_URL": redis_url}))
    rows = []
    for name, provider, more in kinds:
        place, port = home / name.replace(" ", "-").replace(",", ""), free_port()
        env = environment(place, SIGNALBOX_LOG_LEVEL="warning", **more)
        policy = write_policy(place / "policy.yaml", upstream, provider=provider)
        rows.append(
            {
                "name": name,
                "url": f"127.0.0.1:{port}/v1/chat/completions",
                "headers": {"authorization": f"Bearer {KEY}"},
                "model": "auto",
                "start": shlex.join(signalbox(policy, port)),
                "env": env,
            }
        )
    return rows


# --- with the harness -----------------------------------------------------------------------------------------------


def with_harness(args: argparse.Namespace, home: Path, redis_url: str | None) -> dict[str, dict[str, Any]]:
    """Figures by gateway, from the harness's own runner."""
    if not (args.peers / "peers.json").exists():
        subprocess.run(["bash", str(args.harness / "peers.sh"), str(args.peers)], check=True)
    ours = rows_of_ours(home, "http://127.0.0.1:9100", redis_url)
    gateways = [*json.loads((args.peers / "peers.json").read_text()), *ours]
    if args.only:
        gateways = [gateway for gateway in gateways if gateway["name"] in args.only.split(",")]
    (home / "all.json").write_text(json.dumps(gateways))
    (home / "ours.json").write_text(json.dumps([gateway for gateway in gateways if gateway in ours]))
    figures: dict[str, dict[str, Any]] = {}
    with process([str(args.peers / "mock_upstream"), "9100"]):
        for file, cells in (("all", CELLS), ("ours", (HIT,))):
            out = home / f"{file}-out.json"
            command = [sys.executable, str(args.harness / "bench.py"), str(home / f"{file}.json")]
            command += ["--rounds", str(args.rounds), "--cells", ",".join(cells), "--out", str(out)]
            subprocess.run(command, check=True, env={**os.environ, "LG": str(args.peers / "lg")}, stdout=sys.stderr)
            told = json.loads(out.read_text())
            for gateway in told["gateways"]:
                row = figures.setdefault(gateway["name"], {"start_s": gateway.get("start_s")})
                row.setdefault("idle_mib", gateway.get("rss_idle"))
            for name, measured in told["results"].items():
                for cell, runs in measured.items():
                    figures[name][cell] = [
                        {key: run[key] for key in ("n", "rps", "p50", "p99", "cpu_ms", "bad", "load")} for run in runs
                    ]
    return figures


# --- without ----------------------------------------------------------------------------------------------------------


def without_harness(args: argparse.Namespace, home: Path, redis_url: str | None) -> dict[str, dict[str, Any]]:
    """The same figures from our own load generator and stand-in upstream."""
    figures: dict[str, dict[str, Any]] = {}
    with stand_in() as upstream:
        rows = rows_of_ours(home, upstream, redis_url)
        if program := shutil.which("nginx"):
            port, conf = free_port(), home / "nginx.conf"
            conf.write_text(NGINX.format(home=home, port=port, upstream=upstream.removeprefix("http://")))
            start = shlex.join([program, "-c", str(conf)])
            rows.insert(0, {"name": "nginx", "url": f"127.0.0.1:{port}/v1/chat/completions", "start": start, "env": {}})
        with ExitStack() as parts:
            servers = {}
            for row in rows:
                servers[row["name"]] = parts.enter_context(process(shlex.split(row["start"]), env=row["env"]))
                place, probe = row["url"].partition("/")[0], "/readyz" if "headers" in row else "/v1/models"
                wait_for(f"http://{place}{probe}", servers[row["name"]])
                load(f"http://{row['url']}", seconds=1)
            for _ in range(args.rounds):
                for cell, kind in OWN_KINDS.items():
                    for row in rows if cell != HIT else rows[-3:]:
                        server = servers[row["name"]]
                        before = server.cpu_seconds()
                        run = load(f"http://{row['url']}", kind=kind)
                        cpu = (server.cpu_seconds() - before) * 1000 / run["n"]
                        told = {"n": run["n"], "rps": run["n"] / run["secs"], "cpu_ms": cpu, "bad": run["bad"]}
                        figures.setdefault(row["name"], {}).setdefault(cell, []).append(told)
    return figures


# --- telling ----------------------------------------------------------------------------------------------------------


def table(figures: dict[str, dict[str, Any]]) -> str:
    """Markdown: medians over the rounds, the least and the most in brackets."""
    lines = [
        "| gateway | start, s | idle, MiB | CPU a request, ms (16 callers) | x Signalbox | requests/s (16 callers) "
        "| CPU a cached hit, ms | CPU a chunk in a burst, us |",
        "|---|---|---|---|---|---|---|---|",
    ]
    own = _median(figures.get("signalbox", {}), "c16", "cpu_ms")
    for name, row in figures.items():
        cpu, s1, s100 = (_median(row, cell, "cpu_ms") for cell in ("c16", "s1", "s100"))
        chunk = (s100 - s1) / 99 * 1000 if s1 is not None and s100 is not None else None
        spread = [run["cpu_ms"] for run in row.get("c16", ())]
        told = f"{cpu:.3f} [{min(spread):.3f}, {max(spread):.3f}]" if cpu else "-"
        rps = _median(row, "c16", "rps")
        cells = (
            name,
            _number(row.get("start_s"), 1),
            _number(row.get("idle_mib"), 0),
            told,
            _number(cpu / own if cpu and own else None, 2),
            _number(rps, 0),
            _number(_median(row, HIT, "cpu_ms"), 3),
            _number(chunk if cpu else None, 1),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _median(row: dict[str, Any], cell: str, figure: str) -> float | None:
    return statistics.median(run[figure] for run in row[cell]) if row.get(cell) else None


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness", type=Path, default=Path("../shared/bench"))
    parser.add_argument("--peers", type=Path, default=Path(".bench"), help="where peers and compiled tools lie")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="names of gateways, with commas between")
    parser.add_argument("--out", type=Path, help="raw figures as JSON")
    parser.add_argument("--show", type=Path, help="measure nothing: the table of raw figures that were kept")
    args = parser.parse_args()
    if args.show:
        print(table(json.loads(args.show.read_text())))
        return
    args.peers = args.peers.absolute()
    measure = with_harness if (args.harness / "bench.py").exists() else without_harness
    with redis() as redis_url, folder() as home:
        figures = measure(args, home, redis_url)
    bad = {
        name: cell
        for name, row in figures.items()
        for cell, runs in row.items()
        if isinstance(runs, list) and any(run["bad"] for run in runs)
    }
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))
    if bad:
        raise SystemExit(f"some answers were wrong: {bad}")


if __name__ == "__main__":
    main()
