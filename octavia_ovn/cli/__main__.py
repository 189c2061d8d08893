# SPDX-License-Identifier: Apache-2.0
"""`python -m octavia_ovn.cli` is the command `octavia-ovn`."""

from octavia_ovn.cli.main import main

if __name__ == "__main__":
    main(prog_name="octavia-ovn")
