"""What a service bears from outside."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Bounds of what a request may ask for.

    Args:
        megabytes: of a request's body.
        photos: in one request.
        pictured: faces of an answer whose steps are sent as pictures, if asked for.
        waiting: requests that wait for their turn; who comes then is told to come back.
        seconds: until a request is given up.
        batch: photos that are read together at most, of however many requests.
    """

    megabytes: int = 64
    photos: int = 32
    pictured: int = 50
    waiting: int = 16
    seconds: float = 120.0
    batch: int = 32
