"""How the processes that live long use memory."""

import ctypes
import gc

_M_ARENA_MAX = -8
_ARENAS = 2


def spare_the_collector() -> None:
    """Keep it away from what lives as long as the process: a batch makes thousands of objects, and none in a ring."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def keep_memory_small() -> None:
    """Let glibc's malloc have two arenas and not eight a core: what one thread of many gives back serves the others (mallopt(3))."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
