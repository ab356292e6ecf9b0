"""What is asked of the C library."""

from __future__ import annotations

import ctypes
import platform

import pytest

from lungmorph.cli import allocator


class Library:
    """A C library that writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: dict[int, int] = {}

    def mallopt(self, parameter: int, value: int) -> int:
        self.asked[parameter] = value
        return 1


def test_every_setting_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    allocator.keep_freed_memory()
    # a trim threshold alone would give every large tensor pages of its own, which is far slower than nothing
    assert set(library.asked) == {-1, -2, -3}


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    allocator.keep_freed_memory()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="not glibc")
def test_glibc_takes_the_settings() -> None:
    """One that is out of bounds is refused with 0, and nothing happens."""
    mallopt = ctypes.CDLL(None).mallopt
    assert all(mallopt(*setting) == 1 for setting in allocator._SETTINGS.items())
