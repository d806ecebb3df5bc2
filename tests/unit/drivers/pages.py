"""What the pages of the documentation say, for tests that compare it with the code."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["names_in_table", "page_text", "toml_blocks"]

DOCS = Path(__file__).resolve().parents[3] / "docs"


def page_text(page: str) -> str:
    """Return the whole of a page."""
    return (DOCS / page).read_text(encoding="utf-8")


def names_in_table(page: str, heading: str, name: str = r"\w+") -> set[str]:
    """Return the names in the first column of the table below *heading*."""
    section = page_text(page).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return {found for cell in cells for found in re.findall(f"`({name})`", cell)}


def toml_blocks(page: str) -> list[str]:
    """Return the files, and parts of files, that a page shows."""
    return re.findall(r"^```toml\n(.*?)^```", page_text(page), re.S | re.M)
