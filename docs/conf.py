# SPDX-License-Identifier: Apache-2.0
"""Configuration of Sphinx; `make docs` builds the pages and takes every warning for an error."""

from __future__ import annotations

import logging
import re
from importlib.metadata import version as installed_version

from docutils import nodes

project = "octavia-ovn"
author = "The octavia-ovn authors"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name for it
version = release = installed_version(project)

extensions = [
    "myst_parser",
    "oslo_config.sphinxext",
    "reno.sphinxext",
    "sphinx_design",
    "sphinx_feature_classification.support_matrix",
]
exclude_patterns = ["_build"]
nitpicky = True

# It reports each note that it reads.
logging.getLogger("reno").setLevel(logging.WARNING)

# Anchors as a git forge makes them, so that links work in both places.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["tables.css"]


def _format_options(app, doctree) -> None:
    """Write option groups as in configuration files, and connection strings without links."""
    if app.env.docname.startswith("reference/configuration"):
        for link in list(doctree.findall(nodes.reference)):
            if link.get("refuri", "").startswith(("tcp:", "ssl:")):
                link.replace_self(link.children)
        for title in doctree.findall(lambda node: node.tagname == "title"):
            group = title.astext().rpartition(": ")[2]
            if title.parent.parent is not doctree:
                title.children = [nodes.literal(text=f"[{group}]")]


def _name_the_unreleased(app, doctree) -> None:
    """Head notes without a tag with "Unreleased" instead of reno's 0.0.0 or VERSION-COMMITS."""
    if app.env.docname == "reference/release-notes":
        for title in doctree.findall(nodes.title):
            if re.fullmatch(r"0\.0\.0.*|.*-\d+", title.astext()):
                title.children = [nodes.Text("Unreleased")]


def setup(app) -> None:
    """Register what Sphinx calls while it reads pages."""
    app.connect("doctree-read", _format_options)
    app.connect("doctree-read", _name_the_unreleased)
