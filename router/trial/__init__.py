"""Trying a policy before it rules: on cases, on outcomes of real models, on what was logged. Calls no model."""
