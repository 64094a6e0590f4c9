"""Memory that threads keep for themselves: less of it."""

import ctypes
import platform

M_ARENA_MAX = -8
ARENAS = 2


def share() -> bool:
    """Let all threads take their memory from few pools; return whether that could be set.

    The C library of GNU gives each thread a pool of its own, up to eight for each CPU, and a pool keeps what it has
    needed once. Every venue has threads that sync, seal and ask by REST, and mostly wait: nothing is gained by pools of
    their own.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    done: int = ctypes.CDLL(None).mallopt(M_ARENA_MAX, ARENAS)
    return done == 1
