"""Random requests and random faults: every request that was accepted must end."""
