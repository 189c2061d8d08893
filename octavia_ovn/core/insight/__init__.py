"""What an operator wants to see of one load balancer: what it is, and why packets get through.

`scene` has the values that are read, `tree` lays them out for looking, `trace` follows a packet
through the table of `checks`.
"""
