"""Adapters: each package speaks to one outside system and decides nothing."""
