"""How the processes that live long use memory."""

import ctypes
import gc

_M_ARENA_MAX = -8
_ARENAS = 2
_LIBC = ctypes.CDLL(None)


def spare_the_collector() -> None:
    """Keep it away from what lives as long as the process: a batch makes thousands of objects, and none in a ring."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def keep_arenas_few() -> None:
    """Let glibc's malloc have two arenas and not eight a core: what one thread of many gives back serves the others (mallopt(3))."""
    if hasattr(_LIBC, "mallopt"):
        _LIBC.mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Give the system what malloc holds and nobody uses, as after a burst of mails (malloc_trim(3)): a millisecond or two."""
    if hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)
