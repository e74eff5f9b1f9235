"""Makes a head's logits mean what they say: a slope and a shift, learned on rows the head has not seen."""

from __future__ import annotations

import numpy as np

from classifiers.training.fit import Floats


def fit_slope_and_shift(held_out: Floats, labels: Floats, weights: Floats) -> tuple[float, float]:
    """(slope, shift) that minimise the weighted log loss of sigmoid(slope * logit + shift); Platt (1999), soft labels.

    A weak pull towards (1, 0) keeps it sane when rows are few; the slope stays positive.
    """
    slope, shift = 1.0, 0.0
    design = np.column_stack([held_out, np.ones_like(held_out)])
    for _ in range(50):
        shares = sigmoid(design @ np.array([slope, shift]))
        gradient = design.T @ (weights * (shares - labels)) + np.array([slope - 1.0, shift])
        curvature = (design * (weights * shares * (1.0 - shares))[:, None]).T @ design + np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        slope, shift = max(0.05, slope - float(step[0])), shift - float(step[1])
        if float(np.abs(step).max()) < 1e-10:
            break
    return slope, shift


def apply_to_head(head: Floats, slope: float, shift: float) -> Floats:
    """The same head with slope and shift folded in; shape (d + 1,)."""
    changed = head * slope
    changed[-1] += shift
    return changed


def sigmoid(values: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow."""
    shares: Floats = 1.0 / (1.0 + np.exp(-np.clip(values, -40.0, 40.0)))
    return shares
