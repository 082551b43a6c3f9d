"""Everything that can go wrong through a user's input, as a tree of named errors.

    SpiralageError
    ├── InputError                what was given can't be used
    │   ├── PhotoError            one photo: missing, unreadable, too large, not a picture
    │   ├── FolderError           a folder without pictures, or one that can't be searched
    │   └── OptionError           an option's value can't be understood
    │       └── BoxError          a face's box without a place or an area
    ├── OutputError               a result can't be written where it was asked for
    ├── ModelFileError            a model file is missing, isn't the pinned one, or does another job
    ├── NetworkError              a network's answer is no answer: NaN, infinity, no probabilities
    ├── WorkerError               a process that shares the work can't be started, or was killed
    ├── MissingExtraError         a package of an optional extra isn't installed
    ├── RecipeError               a recipe has an unknown key or a value out of range
    ├── DatasetError              an archive or folder isn't the data set it should be
    ├── CheckpointError           a checkpoint or run folder is damaged, or doesn't fit the run
    └── TrainingError             a training came to NaN or infinity

Each message is one line that says what is wrong and what to do about it. A photo without a face is not
an error: the answer is an empty list of faces.
"""

from __future__ import annotations

from pathlib import Path

from spiralage.version import __version__


class SpiralageError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(SpiralageError):
    """What the user gave can't be used."""


class PhotoError(InputError):
    """One photo can't be read; in a batch it becomes a row that says so."""


class FolderError(InputError):
    """A folder holds no pictures or can't be searched; in a batch it becomes a row that says so."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


class OptionError(InputError):
    """The value of an option can't be understood."""


class BoxError(OptionError, ValueError):
    """A face's box has no place or no area; for Python it is a ValueError, too."""


class OutputError(SpiralageError):
    """A result can't be written where it was asked for."""


class ModelFileError(SpiralageError):
    """A model file is missing, is not the file that was pinned by its SHA-256, or does another job."""


class NetworkError(SpiralageError):
    """A network answered with NaN, infinity or what isn't a probability; in a batch the photo's row says so."""


class WorkerError(SpiralageError):
    """A process that shares the work can't be started, or was killed; in a batch the photo's row says so."""


class MissingExtraError(SpiralageError):
    """A feature needs packages of an optional extra.

    >>> print(MissingExtraError("training", "train"))
    training needs packages that are not installed; run: pip install 'spiralage[train]'
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs packages that are not installed; run: pip install 'spiralage[{extra}]'")


class RecipeError(SpiralageError):
    """A recipe has an unknown key or a value out of range."""


class DatasetError(SpiralageError):
    """An archive or folder isn't the data set it should be."""


class CheckpointError(SpiralageError):
    """A checkpoint does not fit the run that wants to resume from it."""


class TrainingError(SpiralageError):
    """A training came to numbers that are none, and was stopped.

    >>> print(TrainingError(17, "loss is nan"))
    stopped at step 17: loss is nan; the last good checkpoint stays: lower learning_rate, choose another run folder
    """

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(
            f"stopped at step {step}: {reason}; the last good checkpoint stays: lower learning_rate, "
            "choose another run folder"
        )
        self.step = step


def told(error: Exception) -> str:
    """What a row says of an error: one line; of one that wasn't foreseen, what it is and how to report it.

    >>> told(KeyError("x")).split(" (spiralage")[0]
    "KeyError: 'x'; please report it with the photo's format and size"
    """
    if isinstance(error, SpiralageError):
        return str(error)
    message = " ".join(str(error).split())[:200]
    said = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return f"{said}; please report it with the photo's format and size (spiralage {__version__})"
