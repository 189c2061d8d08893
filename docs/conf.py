"""Configuration of Sphinx; `make docs` builds the pages and takes every warning for an error."""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "octavia-ovn"
author = "The octavia-ovn authors"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name for it
version = release = installed_version(project)

extensions = [
    "myst_parser",
    "oslo_config.sphinxext",
    "sphinx_feature_classification.support_matrix",
]
exclude_patterns = ["_build"]
nitpicky = True

# Anchors as a git forge makes them, so that links work in both places.
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False
