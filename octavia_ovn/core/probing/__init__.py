# SPDX-License-Identifier: Apache-2.0
"""Probes: health checks of members by a program on the chassis where the members run.

The agent tells each chassis which members to probe (`spec`), the program there counts successes and
failures (`tally`), and `messages` is what travels between the two.
"""
