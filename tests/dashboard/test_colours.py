"""The style sheet's colours can be read, in light and in dark (WCAG 2.2: 4.5 to 1 for text, 3 to 1 for graphics)."""

from __future__ import annotations

import re

import pytest

from router.dashboard.assets import _own_bytes

TEXT = [("ink", "page"), ("ink", "card"), ("ink", "sunk"), ("soft", "page"), ("soft", "card"), ("soft", "sunk"),
        ("accent", "page"), ("accent", "card"), ("accent", "sunk"), ("accent", "accent-wash"), ("card", "accent"),
        ("good", "card"), ("good", "good-wash"), ("bad", "card"), ("bad", "bad-wash"), ("bad", "sunk"),
        ("warn", "card"), ("warn", "sunk"), ("warn", "warn-wash")]  # fmt: skip
GRAPHICS = [("control", "card"), ("accent", "page"), *((f"series-{number}", "card") for number in range(1, 8))]


def schemes() -> dict[str, dict[str, str]]:
    css = _own_bytes("dashboard.css").decode()
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    return {name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for name, block in
            (("light", light), ("dark", dark))}  # fmt: skip


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, 4.5), (GRAPHICS, 3.0)], ids=["text", "graphics"])
def test_colours_stand_out(scheme: str, pairs: list[tuple[str, str]], least: float) -> None:
    colours = schemes()[scheme]
    for front, back in pairs:
        low, high = sorted((luminance(colours[front]), luminance(colours[back])))
        assert (high + 0.05) / (low + 0.05) >= least, f"--{front} on --{back}"


def test_both_schemes_name_the_same_colours() -> None:
    found = schemes()
    assert found["light"].keys() == found["dark"].keys()


def test_every_colour_used_is_named() -> None:
    css = _own_bytes("dashboard.css").decode()
    assert set(re.findall(r"var\(--([\w-]+)\)", css)) <= {*schemes()["light"], "shadow", "sans", "mono"}
