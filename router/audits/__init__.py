"""Audits: a random share of requests answered by a second model too, both answers weighed, off the caller's way."""
