"""Budgets and limits: reserved before a call, settled after it, the same on every process that shares a Redis."""
