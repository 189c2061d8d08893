"""Open vSwitch on a chassis: flow counters and connections."""
