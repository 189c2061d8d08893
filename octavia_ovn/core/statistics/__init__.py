# SPDX-License-Identifier: Apache-2.0
"""Traffic of load balancers: from counters of flows to the numbers that Octavia shows.

On each chassis a collector reads the counters of flows (`openflow`), knows from the Southbound
database which load balancer a flow serves (`logical_flows`), makes differences of them (`meter`)
and keeps what it has not delivered yet (`outbox`). The agent adds up what all collectors deliver
(`totals`). `messages` is what travels between the two.
"""
