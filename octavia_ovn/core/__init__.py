"""The pure core: what a load balancer is, and which Northbound rows it needs.

No I/O, no clock, no logging, no configuration; the standard library only.
"""
