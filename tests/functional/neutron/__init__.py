"""The Neutron adapter against a fake Neutron and a fake Keystone over real HTTP."""
