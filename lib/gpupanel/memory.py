"""The memory of a process that runs for months."""

from contextlib import suppress

M_ARENA_MAX = -8  # of <malloc.h>


def use_one_malloc_arena() -> None:
    """Let all threads of this process allocate from one arena of the C library (mallopt(3)).

    Elsewhere each thread keeps free memory that no other thread uses, so that a process with many threads grows for
    days (docs/decisions/0225). A C library without `mallopt` is left alone.
    """
    from ctypes import CDLL  # imported here, since only programs that stay need it

    with suppress(OSError, AttributeError):
        CDLL(None).mallopt(M_ARENA_MAX, 1)
