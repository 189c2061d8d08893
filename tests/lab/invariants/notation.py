# SPDX-License-Identifier: Apache-2.0
"""How addresses, endpoints and protocols are written in the northbound database."""

import ipaddress


def layer4(protocol):
    """What OVN balances for one of Octavia's protocols."""
    return "tcp" if protocol in ("HTTP", "HTTPS") else protocol.lower()


def version(address):
    return ipaddress.ip_address(address).version


def bracketed(address):
    return f"[{address}]" if version(address) == 6 else address


def endpoint(address, port):
    return f"{bracketed(address)}:{port}"
