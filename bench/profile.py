"""Where the gateway's own time goes: one process under cProfile while another sends requests.

    python bench/profile.py [--seconds S] [--kind chat|hit|stream] [--functions N]

The profiler makes small functions look dearer than they are; read shares, not microseconds.
"""

from __future__ import annotations

import argparse
import pstats
import signal
import sys
from collections import Counter

from served import environment, folder, free_port, load, process, signalbox, stand_in, wait_for, write_policy


def room_of(path: str) -> str:
    """Where a function lives: one of our rooms, a package, or Python itself."""
    if path.startswith(("~", "<")):
        return "built in"
    for ours in ("/router/", "/classifiers/"):
        if ours in path:
            first = path.rsplit(ours, 1)[1].split("/")[0].removesuffix(".py")
            return f"{ours.strip('/')}/{first}"
    if "site-packages/" in path:
        return path.rsplit("site-packages/", 1)[1].split("/")[0]
    return "python"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--kind", choices=("chat", "hit", "stream"), default="chat")
    parser.add_argument("--functions", type=int, default=30)
    args = parser.parse_args()
    port = free_port()
    with stand_in() as upstream, folder() as home:
        policy, dump = write_policy(home / "policy.yaml", upstream), home / "profile"
        command = [sys.executable, "-m", "cProfile", "-o", str(dump), *signalbox(policy, port)]
        with process(command, env=environment(home / "data")) as server:
            wait_for(f"http://127.0.0.1:{port}/readyz", server)
            run = load(f"http://127.0.0.1:{port}/v1/chat/completions", kind=args.kind, seconds=args.seconds)
            server.stop(signal.SIGINT)
        stats = pstats.Stats(str(dump))
    shares: Counter[str] = Counter()
    for (path, _, _), (_, _, own, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        shares[room_of(path)] += own
    whole = sum(shares.values())
    print(f"{run['n']:.0f} requests; start and waiting included\n")
    for room, seconds in shares.most_common(25):
        print(f"{seconds / whole:7.1%}  {room}")
    stats.sort_stats("tottime").print_stats(args.functions)


if __name__ == "__main__":
    main()
