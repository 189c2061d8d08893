"""Random requests and random deaths: every request that was accepted must end."""
