"""Selecting: which of a policy's described options an ask belongs to, by likeness or read by a model, or none."""
