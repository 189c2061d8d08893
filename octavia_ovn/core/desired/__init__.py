# SPDX-License-Identifier: Apache-2.0
"""The rows that a load balancer should have: a pure function of intent and facts."""
