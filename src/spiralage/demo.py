"""``spiralage demo``: the whole way of one photo: as it is, masked, restored; and with a medical mask to be found.

The photo is NASA's public-domain portrait of the astronaut Eileen Collins that ships in scikit-image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from spiralage.errors import InputError, MissingExtraError
from spiralage.faces.detect import DetectorName
from spiralage.faces.find import FoundFace
from spiralage.files import check_outputs, write_bytes
from spiralage.occlusion.occluders import cover_face
from spiralage.occlusion.segment import nothing_hidden
from spiralage.occlusion.window import paper_mask
from spiralage.pipeline import DEFAULT_RESTORER, AgePipeline
from spiralage.report.figure import draw_figure
from spiralage.report.page import PageFile, Section, face_card, overview_pixels, picture
from spiralage.restoration.restore import RestorerName
from spiralage.text import printable
from spiralage.types import AlignedFace, FaceReport, Occlusion, Photo


@dataclass(frozen=True)
class DemoResult:
    """The readings of the portrait and where they were drawn."""

    steps: tuple[tuple[str, FaceReport], ...]
    page: Path
    figure: Path


def portrait() -> Photo:
    """The portrait, 512×512; raises MissingExtraError without scikit-image."""
    try:
        from skimage.data import astronaut
    except ImportError as error:
        raise MissingExtraError("the demo", "demo") from error
    return Photo(
        astronaut(),  # type: ignore[no-untyped-call]
        "NASA portrait of Eileen Collins",
    )


def run_demo(
    folder: Path, *, photo: Photo | None = None, detector: DetectorName = "auto", threads: int | None = None
) -> DemoResult:
    """Estimate one face's age as it is, under the paper's mask, and restored; then with a medical mask drawn on it that
    the program has to find by itself. Write page and figure.

    Args:
        folder: gets report.html and figure.png.
        photo: the portrait by default; its surest face is taken.
        detector, threads: as for ``AgePipeline``.

    Raises:
        InputError: the photo has no face.
    """
    photo = photo or portrait()
    page, figure = folder / "report.html", folder / "figure.png"
    check_outputs([page, figure])

    def read(restorer: RestorerName, masked: bool) -> FaceReport:
        def mask(face: AlignedFace) -> Occlusion:
            return paper_mask() if masked else nothing_hidden(face)

        faces = AgePipeline(detector=detector, restorer=restorer, occlusion=mask, threads=threads).estimate(photo)
        if not faces:
            raise InputError(f"{photo.name}: no face found; try another photo")
        return faces[0]

    def read_medical(restorer: RestorerName) -> FaceReport:
        cover = cover_face(original.aligned, "surgical-mask")
        covered = replace(original.aligned, pixels=cover.over(original.aligned.pixels))
        return AgePipeline(restorer=restorer, threads=threads).read([FoundFace(original.face, covered)])[0]

    original = read("none", masked=False)
    steps = (
        ("original", original),
        ("masked as in the paper", read("none", masked=True)),
        (f"restored: {DEFAULT_RESTORER}", read(DEFAULT_RESTORER, masked=True)),
        ("a medical mask, found", read_medical("none")),
        (f"found and restored: {DEFAULT_RESTORER}", read_medical(DEFAULT_RESTORER)),
    )
    overview = picture("photo", overview_pixels(photo, [steps[0][1]]))
    cards = [face_card(caption, report) for caption, report in steps]
    html = PageFile(page, "spiralage demo")
    html.add_section(Section(printable(photo.name), "", overview, cards))
    html.close()
    write_bytes(figure, draw_figure(photo, steps))
    return DemoResult(steps, page, figure)
