"""Imports point down, each heavy package has one owner, and the front doors are light."""
