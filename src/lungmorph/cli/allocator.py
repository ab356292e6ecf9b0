"""How glibc deals with memory that is freed.

By default, much of what a tensor leaves goes back to the system at once, and the next tensor has to have every page of it
cleared anew: a tenth of a registration's time. So freed memory is kept for what comes next.
"""

from __future__ import annotations

import ctypes

#: Numbers of malloc.h, and what they are set to, in bytes: what is freed at the end of the heap and kept; what is asked of the
#: system at a time; the smallest tensor with pages of its own, which go back with it (glibc takes no more).
_SETTINGS = {-1: 512 << 20, -2: 16 << 20, -3: 32 << 20}


def keep_freed_memory() -> None:
    """For the whole process; elsewhere than with glibc nothing happens."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return
    for parameter, value in _SETTINGS.items():
        mallopt(parameter, value)
