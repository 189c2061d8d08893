# SPDX-License-Identifier: Apache-2.0
"""What a real Octavia hands over to a provider driver, recorded, and how it is recorded."""
