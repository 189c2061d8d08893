"""The driver against versions: of OVN, of Octavia, of Python (`python -m matrix --help`)."""
