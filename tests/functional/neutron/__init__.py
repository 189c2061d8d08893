# SPDX-License-Identifier: Apache-2.0
"""The Neutron adapter against a fake Neutron and a fake Keystone over real HTTP."""
