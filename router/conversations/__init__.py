"""Keeps a conversation with its model: what is remembered of it, where, and when a change is worth it."""
