"""Sphinx: `make docs` builds these pages without a network."""

from brainloop import __version__

project = "brainloop"
author = "The brainloop developers"
copyright = "2026, the brainloop developers"  # noqa: A001 (Sphinx's own name)
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3
# `docs/generate.py` and the figures lie beside the pages, in the repository and not among the pages.
suppress_warnings = ["myst.xref_missing"]

napoleon_google_docstring = False
autodoc_typehints = "none"  # numpydoc says them, with shapes and units
autodoc_member_order = "bysource"
default_role = "literal"

html_theme = "furo"
html_title = f"brainloop {release}"
html_static_path = ["_static"]
html_show_sourcelink = False


def _formulas(_app, _what, _name, _object, _options, lines):
    """Make a literal block of what a docstring sets off by indentation: formulas and trees, not quotations."""
    for number in range(len(lines) - 1, 1, -1):
        begins = lines[number].startswith("    ") and not lines[number - 1].strip()
        if begins and lines[number - 2][:1].strip():
            lines[number - 1 : number] = ["", "::", ""]


def setup(app):
    """Register what comes before napoleon."""
    app.connect("autodoc-process-docstring", _formulas, priority=400)
