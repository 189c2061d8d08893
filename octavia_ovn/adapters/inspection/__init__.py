"""Reads one load balancer and its surroundings for commands, with selects and no replica."""
