"""Statistics between chassis and agent: signed datagrams, and the state file of a collector."""
