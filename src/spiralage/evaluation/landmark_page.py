"""``results/landmarks.md``: landmarks under occluders, for readers."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from spiralage.evaluation.results import LandmarkRow

HEAD = """# Landmarks under occluders

Written by `spiralage evaluate landmarks`. Whole photos that no network was trained on, clean and with an occluder drawn
on the face. A detector looks for the face in the photo as it then is, each landmarker goes by what it found. The
**truth is what dlib says of the clean photo**: dlib's own errors on clean photos tell only how much the box matters,
and what dlib gets wrong counts against everybody else. A detector's five points are defined a little otherwise.

- *eyes*, *nose*, *mouth*, *brows*, *contour*: the mean distance of the 68 points from the true ones, in % of the
  distance between the eyes' outer corners.
- *of five*: the same for eye centres, nose tip and corners of the mouth: all that a detector gives.
- *crop moves*: how far the face moves in its aligned crop because something hides it, crop pixels of 256, median.
- *in 2 spreads*: the part of the points that lie within two of their own spreads; 0.86 if spreads are honest.
- *found*: the part of the photos in which the detector found the covered face; in the others landmarkers got its box
  of the clean photo.
- *trained*: whether the heat-map network saw such an occluder in training.

"""

COLUMNS = MappingProxyType(
    {
        "eyes": ("eyes", ".2f"),
        "nose": ("nose", ".2f"),
        "mouth": ("mouth", ".2f"),
        "brows": ("brows", ".2f"),
        "contour": ("contour", ".2f"),
        "five_eyes": ("eyes of five", ".2f"),
        "five_nose": ("nose of five", ".2f"),
        "five_mouth": ("mouth of five", ".2f"),
        "crop_moves": ("crop moves", ".1f"),
        "within_two_spreads": ("in 2 spreads", ".2f"),
        "detected": ("found", ".3f"),
        "images": ("images", ""),
    }
)
"""Field → its title and format."""


def landmarks_page(rows: Sequence[LandmarkRow]) -> str:
    """A table for each set of photos; clean photos come first.

    Args:
        rows: measured ones.
    """
    runs = dict.fromkeys(
        f"- `recipes/{row.network}.toml`, occluders of seed {row.seed}, commit {row.commit}, {row.hardware}"
        for row in rows
    )
    parts = [_table(data, [row for row in rows if row.data == data]) for data in dict.fromkeys(r.data for r in rows)]
    return HEAD + "\n".join([*parts, "Runs:", "", *runs]) + "\n"


def _table(data: str, rows: Sequence[LandmarkRow]) -> str:
    titles = ["hidden by", "trained", "landmarks", *(title for title, _ in COLUMNS.values())]
    lines = [f"## {data}", "", "| " + " | ".join(titles) + " |", "|---|---|---|" + "---:|" * len(COLUMNS)]
    return "\n".join([*lines, *map(_line, rows), ""])


def _line(row: LandmarkRow) -> str:
    values = [(getattr(row, name), form) for name, (_, form) in COLUMNS.items()]
    numbers = ["" if value is None else format(value, form) for value, form in values]
    trained = "" if not row.occluder else "yes" if row.trained else "no"
    return "| " + " | ".join([row.occluder or "nothing", trained, row.landmarker, *numbers]) + " |"
