"""How the C library of GNU gives memory back, so that a recording stays as small as its books."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Parameters of mallopt(3)."""
ARENAS = 2
LARGE_BYTES = 256 << 10
FREE_AT_THE_TOP_BYTES = 1 << 20


def tune() -> bool:
    """Have large blocks given back at once, and let all threads share their pools; return whether that could be set.

    The library raises the size from which blocks are mapped by themselves to that of any that was freed, up to 32 MiB:
    after one long message all that is large comes from the heap, which small things keep from shrinking. Recording 210
    books with faults took 81 MiB instead of 113 after five minutes. A pool for each thread, up to eight for each CPU,
    keeps what it has needed once; threads that sync, seal and ask by REST mostly wait and gain nothing by it.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    wanted = {M_MMAP_THRESHOLD: LARGE_BYTES, M_TRIM_THRESHOLD: FREE_AT_THE_TOP_BYTES, M_ARENA_MAX: ARENAS}
    mallopt = ctypes.CDLL(None).mallopt
    done = [mallopt(parameter, value) for parameter, value in wanted.items()]
    return done == [1] * len(wanted)
