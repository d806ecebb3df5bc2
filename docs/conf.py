"""Sphinx: Markdown pages, the furo theme, warnings are errors (``make docs``)."""

import tomllib
from pathlib import Path

_project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

project = "mKTL for hardware"
author = "the mKTL-for-hardware developers"
project_copyright = "the mKTL-for-hardware developers"
version = release = _project["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "description"
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"{project} {version}"
