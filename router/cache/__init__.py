"""Answers kept for the same question asked again by the same tenant."""
