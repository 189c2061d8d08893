"""The driver by clients that others wrote: `make test-clients`."""
