"""The demo's figure: the steps of one face and the age read at each (needs the extra ``demo``)."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence

import cv2
import numpy as np

from spiralage.errors import MissingExtraError
from spiralage.model_files import cache_folder
from spiralage.report.page import age_text, overview_pixels
from spiralage.types import FaceReport, Photo, Pixels


def draw_figure(photo: Photo, steps: Sequence[tuple[str, FaceReport]]) -> bytes:
    """The photo, then each step's picture over its distribution, as the bytes of a PNG file.

    Args:
        photo: the photo.
        steps: (caption, report of the photo's face), in order.

    Raises:
        MissingExtraError: matplotlib isn't installed.
    """
    cache = cache_folder()
    if cache is not None:  # else it would keep its list of fonts elsewhere in the user's home
        os.environ["MPLCONFIGDIR"] = os.environ.get("MPLCONFIGDIR") or str(cache / "matplotlib")
    try:
        from matplotlib.figure import Figure  # no pyplot: no display, no global state
    except ImportError as error:
        raise MissingExtraError("the figure", "demo") from error
    figure = Figure(figsize=(2.6 * (len(steps) + 1), 4.4), layout="constrained")
    grid = figure.add_gridspec(2, len(steps) + 1, height_ratios=(3, 1.2))
    overview = figure.add_subplot(grid[:, 0])
    overview.imshow(overview_pixels(photo, [steps[0][1]]))
    overview.set_title("photo")
    overview.axis("off")
    for column, (caption, report) in enumerate(steps, 1):
        top = figure.add_subplot(grid[0, column])
        top.imshow(_shown(report))
        top.set_title(caption, fontsize=10)
        top.axis("off")
        bottom = figure.add_subplot(grid[1, column])
        bottom.bar(range(len(report.age.probabilities)), report.age.probabilities, width=1.0, color="#4a7fb5")
        bottom.axvline(report.age.mean, color="#e08a1e")
        bottom.set_title(age_text(report.age).replace(", ", ",\n").replace(" (", "\n("), fontsize=9)
        bottom.set_yticks([])
        bottom.set_xlabel("age in years", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    return buffer.getvalue()


def _shown(report: FaceReport) -> Pixels:
    """What the network saw; where something was found and not restored, the face with its outline."""
    if report.occlusion.kind != "found" or report.restoration.restorer != "none":
        return report.restoration.pixels
    outlines, _ = cv2.findContours(report.occlusion.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = report.aligned.pixels.copy()
    cv2.drawContours(drawn, outlines, -1, (220, 30, 30), 2, cv2.LINE_AA)
    return drawn
