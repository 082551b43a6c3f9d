"""Reading a recipe's file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from spiralage.errors import RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST = 1 << 14
"""Bytes of a recipe file; those here have a tenth of it. TOML's reader takes a minute for some files of 50 KB."""

Recipe = TypeVar("Recipe", bound=BaseModel)


def load_recipe(path: Path, kind: type[Recipe]) -> Recipe:
    """Read and check a recipe file.

    Raises:
        RecipeError: no such file, not TOML, an unknown key, or a value out of range.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"{path}: can't be read ({reason}); see the folder recipes/") from error
    if len(data) > LARGEST:
        raise RecipeError(f"{path}: not a recipe (over {LARGEST >> 10} KB); compare it with one in recipes/")
    try:
        values = _with_tuples(tomllib.loads(data.decode()))
    except RecursionError as error:
        raise RecipeError(f"{path}: not a recipe (nested too deeply); compare it with one in recipes/") from error
    except ValueError as error:  # tomllib's own is one, as are a number too long and bytes that are no text
        raise RecipeError(f"{path}: not TOML ({error}); compare it with one in recipes/") from error
    try:
        return kind.model_validate(values, strict=True)  # true is no number, 2.0 no whole one
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise RecipeError(f"{path}: {where}: {first['msg']}; mend this key") from error


def _with_tuples(value: Any) -> Any:
    """What TOML holds with its arrays as tuples: a strict model takes no list for one."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
