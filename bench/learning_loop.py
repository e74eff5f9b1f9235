"""Rehearses the learning loop on recorded outcomes, several seeds of several scenes, through the real gateway.

Run from the repository: `python -m bench.learning_loop --data DIR` (DIR holds the outcome files; 40 minutes on two
cores). SIMULATED: the models answer as recorded, the judge reads the recorded scores, of which a tenth is turned round.
Writes bench/results/learning_loop.json; `python -m bench.learning_page` makes the page of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
OUT: Final = ROOT / "bench/results/learning_loop.json"
PICTURES: Final = ROOT / "docs/images"
SMALL, LARGE = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"
LONG: Final = {"--requests": "10000", "--retrain-every": "1000", "--judge-noise": "0.1"}
SCENES: Final[Mapping[str, Mapping[str, str]]] = {
    "a tenth audited": {**LONG, "--audit": "0.1"},
    "a tenth audited, the others reviewed": {**LONG, "--audit": "0.1", "--review": "1"},
    "all audited": {**LONG, "--audit": "1"},
    "shift": {
        "--requests": "3000", "--retrain-every": "500", "--judge-noise": "0.1", "--audit": "0.1",
        "--shift": "professional_law",
    },
}  # fmt: skip
SEEDS: Final = 5


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--data", type=Path, required=True)
    reader.add_argument("--seeds", type=int, default=SEEDS)
    reader.add_argument("--scene", action="append", choices=list(SCENES), help="only these; the others are kept")
    reader.add_argument("--at-a-time", type=int, default=2)
    chosen = reader.parse_args()
    kept: dict[str, Any] = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {"scenes": {}}
    scenes = chosen.scene or list(SCENES)
    with ThreadPoolExecutor(chosen.at_a_time) as pool:
        found = {
            scene: [pool.submit(rehearse, chosen.data, scene, seed) for seed in range(chosen.seeds)] for scene in scenes
        }
        for scene, runs in found.items():
            kept["scenes"][scene] = {"options": dict(SCENES[scene]), "runs": [run.result() for run in runs]}
            OUT.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def rehearse(data: Path, scene: str, seed: int) -> dict[str, Any]:
    """One rehearsal in a process of its own; the first seed is drawn, too."""
    options = [part for pair in SCENES[scene].items() for part in pair]
    if seed == 0:
        options += ["--plot", str(PICTURES / f"rehearsal-{scene.split(',')[0].replace(' ', '-')}.png")]
    command = [sys.executable, "-m", "router.cli", "rehearse", str(data / "routellm_mmlu.jsonl.gz")]
    command += ["--small", SMALL, "--large", LARGE, "--seed", str(seed), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"{scene}, seed {seed}: status {done.returncode}", file=sys.stderr, flush=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
