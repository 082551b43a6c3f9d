"""What mkdocs does besides: pages from outside docs/, links between them, and tables of run times from records."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from spiralage import weights
from spiralage.evaluation.results import ValidationRow, read_rows

ROOT = Path(__file__).parents[1]
OUTSIDE = ("MODEL_CARD.md", "CONTRIBUTING.md", "CHANGELOG.md", "results/*.md", "results/**/*.png")
"""What the site shows of the repository beside docs/, at the same paths."""

LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
RUN_TIMES = "<!-- run times -->"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages that the navigation doesn't name into it: those of results/, and those of docs/ under *Using it*."""
    sections = {title: part for item in config.nav or () for title, part in item.items()}
    named = set(re.findall(r"[\w/.-]+\.md", repr(config.nav)))
    for section, folder, pages in (("Results", "results/", "results"), ("Using it", "", "docs")):
        found = (f"{folder}{path.name}" for path in sorted((ROOT / pages).glob("*.md")))
        sections[section] += [uri for uri in found if uri not in named]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and plots from outside docs/."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put in tables of run times; turn the repository's links into the site's.

    A link to a file that the site doesn't show becomes the file's name; to one that isn't there stays, and fails.
    """
    here, source = page.file.src_uri, page.file.abs_src_path
    assert source is not None
    home = Path(source).parent.relative_to(ROOT).as_posix()

    def mended(match: re.Match[str]) -> str:
        place = posixpath.normpath(posixpath.join(home, match["target"]))
        uri = place.removeprefix("docs/")
        if files.get_file_from_path(uri) is not None:
            way = posixpath.relpath(uri, posixpath.dirname(here) or ".")
            return f"{match['image']}[{match['text']}]({way}{match['anchor'] or ''})"
        if "://" in match["target"] or not (ROOT / place).exists():
            return match[0]
        named = match["text"].strip("`") == place
        return f"`{place}`" if named else f"{match['text']} (`{place}`)"

    parts = re.split(r"(^```.*?^```)", markdown, flags=re.MULTILINE | re.DOTALL)  # code stays as it is
    markdown = "".join(part if part.startswith("```") else LINK.sub(mended, part) for part in parts)
    return markdown.replace(RUN_TIMES, run_times()) if RUN_TIMES in markdown else markdown


def run_times() -> str:
    """How long trainings took, of the records beside the weights and in results/training, as a Markdown table."""
    lines = ["| what | recipe | minutes | on | commit |", "|---|---|---:|---|---|"]
    for name, entry in weights.manifest().items():
        if not entry.kind.endswith("int8"):
            lines.append(
                f"| `{name}`, shipped | `{entry.recipe}` | {entry.minutes:g} | {entry.hardware} | {entry.commit} |"
            )
    for path in sorted((ROOT / "results/training").glob("*.csv")):
        last = read_rows(path, ValidationRow)[-1]
        what = f"{last.step} steps, as in `results/training/{path.name}`"
        lines.append(f"| {what} | `{last.recipe}` | {last.minutes:g} | {last.hardware} | {last.commit} |")
    return "\n".join(lines)
