"""What the README and the guides show, done as they show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mktl
from tests._support import running

ROOT = Path(__file__).resolve().parents[2]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.S | re.M)


@pytest.mark.parametrize("page", ["README.md", "docs/daemons.md"])
def test_the_smallest_daemon_runs_as_it_is_printed(page: str, tmp_path: Path) -> None:
    (code,) = (block for block in blocks(page, "python") if "class FreeSpace" in block)
    (tmp_path / "disk.py").write_text(code)
    with running(["markd", "disk", "host", "-m", "disk"], ready="on the air", cwd=tmp_path):
        free = mktl.get("disk.free")
        assert free.value > 0
        assert free.description.description == "Free space on the data disk, in gigabytes."


def test_the_instrument_file_of_the_readme_is_an_extract_of_the_example() -> None:
    from drivers import wiring

    text, gauge = blocks("README.md", "toml")
    shown = wiring.loads(text)
    example = wiring.load(ROOT / "examples" / "cryostat.toml")
    assert set(shown.items) < set(example.items)
    for key, item in shown.items.items():
        assert item.channel == example.items[key].channel
    assert wiring.loads(f'store = "lab"\nalias = "hw"\n{gauge}').items["pressure"].poll_s == 1


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"], ids=lambda path: path.name
)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_items_of_other_types_work_as_the_guide_says(tmp_path: Path) -> None:
    (code,) = (block for block in blocks("docs/daemons.md", "python") if "class Camera" in block)
    (tmp_path / "camera.py").write_text(code)
    with running(["markd", "lab", "cam", "-m", "camera"], ready="on the air", cwd=tmp_path):
        lab = mktl.get("lab")
        assert lab["frame"].value.shape == (480, 640)
        lab["exposure"].set(0.1)
        assert lab["exposure"].value == pytest.approx(0.08)
        with pytest.raises(ValueError, match="at least"):
            lab["exposure"].set(0.001)
        lab["mode"].formatted = "video"
        assert lab["mode"] == 1
