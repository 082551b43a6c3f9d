"""Objects of native libraries that threads can't share, or that a forked child can't use.

Such an object is made where it is first asked for: once per process, or once per thread. After ``fork`` a child makes
its own, and never destroys its parent's: their destructors wait for threads that live in the parent alone.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar
from weakref import WeakSet

T = TypeVar("T")


class _Made(Generic[T]):
    """A native object and the process that made it."""

    __slots__ = ("__weakref__", "process", "value")

    def __init__(self, value: T) -> None:
        self.value, self.process = value, os.getpid()
        with _state.lock:
            _state.all_made.add(self)


class _State:
    """What the process knows of its native objects; made anew in a forked child."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # of the set; never held while something is made
        self.making = threading.RLock()
        self.all_made: WeakSet[_Made[Any]] = WeakSet()
        self.held: list[_Made[Any]] = []


_state = _State()


class PerProcess(Generic[T]):
    """One native object for all threads of a process.

    Args:
        make: makes it; called by the first ``get`` in a process, by one thread at a time.

    Example:
        >>> lists = PerProcess(list)
        >>> lists.get() is lists.get()
        True
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: _Made[T] | None = None

    def get(self) -> T:
        """This process's object."""
        made = self._made
        if made is None or made.process != os.getpid():
            with _state.making:
                made = self._made
                if made is None or made.process != os.getpid():
                    made = self._made = _Made(self._make())
        return made.value


class PerThread(Generic[T]):
    """One native object for each thread that asks for one.

    Args:
        make: makes it; called by the first ``get`` in a thread.

    Example:
        >>> lists = PerThread(list)
        >>> lists.get() is lists.get()
        True
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._local = threading.local()

    def get(self) -> T:
        """This thread's object."""
        made: _Made[T] | None = getattr(self._local, "made", None)
        if made is None or made.process != os.getpid():
            made = self._local.made = _Made(self._make())
        return made.value


def lock() -> AbstractContextManager[object]:
    """The process's lock for making things once; a forked child has a free one, whoever held its parent's."""
    return _state.making


def _before_fork() -> None:
    _state.lock.acquire()
    _state.held = list(_state.all_made)  # a child drops what other threads held before it can say a word


def _after_fork_in_parent() -> None:
    _state.held = []
    _state.lock.release()


def _after_fork_in_child() -> None:
    for made in _state.held:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made.value))  # one reference too many: it is never destroyed
    _state.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
