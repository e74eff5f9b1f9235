"""Small outcome files whose figures can be worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

POLICY = """
version: 1
models:
  small: {tier: small, model: s, base_url: "http://s.test/v1", private: true, price: {input: 0, output: 1}}
  other: {tier: small, model: vendor/o-1, base_url: "http://o.test/v1", price: {input: 0, output: 2}}
  large: {tier: large, model: l, base_url: "http://l.test/v1", price: {input: 0, output: 10}}
default: large
routes:
  auto:
    baseline: large
    privacy: enforce
    rules:
"""


def policy_file(folder: Path, rules: str, name: str = "own") -> Path:
    """A policy whose route `auto` has these rules, one a line."""
    file = folder / f"{name}.yaml"
    file.write_text(POLICY + "".join(f"      - {{{rule.strip()}}}\n" for rule in rules.strip().splitlines()))
    return file


def line(number: int, query: str, /, domain: str = "d", **cells: Any) -> dict[str, Any]:
    """One row. cells: by model, score or (score, answer) or a whole cell; 1000 tokens each where nothing is said."""
    outcomes = {}
    for model, cell in cells.items():
        if isinstance(cell, tuple):
            cell = {"score": cell[0], "answer": cell[1], "output_tokens": 1000}
        outcomes[model.replace("_", "-")] = cell if isinstance(cell, dict) else {"score": cell, "output_tokens": 1000}
    return {"query_id": f"q{number}", "domain": domain, "query": query, "outcomes": outcomes}


def data_file(folder: Path, *lines: dict[str, Any], name: str = "data.jsonl") -> Path:
    file = folder / name
    file.write_bytes(b"\n".join(map(orjson.dumps, lines)) + b"\n")
    return file
