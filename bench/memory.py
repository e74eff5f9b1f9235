"""Whether memory stays flat: many different requests through a gateway whose cache is bounded, its memory now and then.

python bench/memory.py [--requests N] [--cache-bytes N] [--samples N] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from served import environment, folder, free_port, load, process, signalbox, stand_in, wait_for, write_policy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--cache-bytes", type=int, default=8 * 1024 * 1024)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--out", type=Path, help="the samples as JSON")
    args = parser.parse_args()
    port, samples = free_port(), []
    with stand_in() as upstream, folder() as home:
        env = environment(home / "data", SIGNALBOX_CACHE_BYTES=str(args.cache_bytes))
        policy = write_policy(home / "policy.yaml", upstream)
        began = time.perf_counter()
        with process(signalbox(policy, port), env=env) as server:
            wait_for(f"http://127.0.0.1:{port}/readyz", server)
            first = time.perf_counter() - began
            samples.append({"requests": 0, "mib": round(server.mib(), 1)})
            print(f"ready after {first:.2f} s; idle {samples[0]['mib']} MiB", flush=True)
            each = args.requests // args.samples
            for number in range(1, args.samples + 1):
                run = load(f"http://127.0.0.1:{port}/v1/chat/completions", requests=each)
                assert not run["bad"], run
                samples.append({"requests": number * each, "mib": round(server.mib(), 1)})
                print(f"{number * each:>8,} requests: {samples[-1]['mib']} MiB", flush=True)
    if args.out:
        args.out.write_text(json.dumps({"ready_s": round(first, 2), "samples": samples}, indent=1) + "\n")


if __name__ == "__main__":
    main()
