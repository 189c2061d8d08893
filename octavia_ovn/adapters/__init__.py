"""Adapters: each knows one outside system and turns it into the core's values."""
