"""The site is built without a warning and without the network; its pictures and its notebook are made anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
from commands import ROOT

from spiralage import weights
from spiralage.evaluation.results import LopoRow, read_rows

OFFLINE = {"NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **OFFLINE}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    loading = re.compile(r"<(?:script|img|iframe|link(?=[^>]*rel=\"?(?:stylesheet|preload|preconnect|icon)))[^>]*"
                         r"(?:src|href)=\"?(https?:)?//", re.IGNORECASE)  # fmt: skip
    for page in pages:
        assert not loading.search(page.read_text(encoding="utf-8")), page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet


def test_what_lies_outside_docs_is_there_and_linked(site: Path) -> None:
    for name in ("MODEL_CARD", "CHANGELOG", "CONTRIBUTING", "results/index", "results/table1", "results/goals"):
        assert (site / f"{name}.html").is_file(), name
    start = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="MODEL_CARD.html"' in start
    assert "](" not in re.sub(r"<(pre|code).*?</\1>", "", start, flags=re.DOTALL)
    assert (site / "results/lopo/lopo-best.png").is_file()


def test_every_page_is_in_the_navigation(site: Path) -> None:
    start = (site / "index.html").read_text(encoding="utf-8")
    navigation = start[start.index("md-nav--primary") :]
    pages = [path.stem for path in (ROOT / "docs").glob("*.md") if path.stem != "index"]
    pages += [f"results/{path.stem}" for path in (ROOT / "results").glob("*.md") if path.stem != "README"]
    for page in pages:
        assert f'href="{page}.html"' in navigation, page


def test_the_reference_is_made_of_docstrings(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    for name in ("AgePipeline.estimate_many", "types.AgeEstimate", "errors.PhotoError", "restore.Restorer"):
        assert f"{name}" in page, name
    text = re.sub(r"<[^>]*>", "", page)
    assert "Every face in a photo, with all steps from the photo to the age." in text
    assert "blockquote" not in page  # an example that is not shown as code becomes one


def test_run_times_are_those_of_the_records(site: Path) -> None:
    page = re.sub(r"<[^>]*>", " ", (site / "reproduce.html").read_text(encoding="utf-8"))
    for name, entry in weights.manifest().items():
        if not entry.kind.endswith("int8"):
            assert re.search(rf"{name}\s+, shipped\s+{entry.recipe}\s+{entry.minutes:g}\s", page), name


def test_pictures_are_made_of_the_portrait_by_a_command(tmp_path: Path) -> None:
    kept = {path.name: path.stat().st_size for path in (ROOT / "docs/pictures").iterdir()}
    assert sum(kept.values()) < 200_000
    done = subprocess.run(
        [sys.executable, "docs/make_pictures.py", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == kept.keys()
    page = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\(pictures/(.*?)\)", page)) == kept.keys()


@pytest.mark.filterwarnings("ignore::Warning")  # Jupyter's own
def test_the_notebook_makes_table_1() -> None:
    notebook = nbformat.read(ROOT / "docs/table1.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "docs")}})
    client.execute()
    shown = [output["data"] for cell in notebook.cells for output in cell.get("outputs", ()) if "data" in output]
    pictures = [data for data in shown if "image/png" in data]
    assert len(pictures) == 1 + len(list((ROOT / "results/lopo").glob("*.csv")))
    tables = "".join(data.get("text/markdown", "") for data in shown)
    for row in read_rows(ROOT / "results/table1.csv", LopoRow):
        assert f"| {row.mae:.2f} |" in tables
