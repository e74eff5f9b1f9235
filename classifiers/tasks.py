"""The kinds of task the judge tells apart, and how the words of an opening hint at them."""

from __future__ import annotations

from typing import Final

TASKS: Final = (
    "chat", "factual", "translation", "summarise", "rewrite", "extract", "classify", "code", "maths", "reasoning",
    "creative", "advice", "explain", "analysis",
)  # fmt: skip

HINTS: Final[tuple[tuple[str, str], ...]] = (
    ("translate", "translation"),
    ("summarise", "summarise"),
    ("classify", "classify"),
    ("rewrite", "rewrite"),
    ("code", "code"),
    ("prove", "maths"),
    ("maths", "maths"),
    ("arithmetic", "maths"),
    ("puzzle", "reasoning"),
    ("creative", "creative"),
    ("extract", "extract"),
    ("systems", "code"),
    ("analyse", "analysis"),
    ("build", "analysis"),
    ("advice", "advice"),
    ("why", "explain"),
    ("explain", "explain"),
    ("science", "factual"),
    ("what", "factual"),
)
"""(concept, task), strongest first."""
