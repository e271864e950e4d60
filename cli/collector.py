"""How the processes that live long use Python's garbage collector."""

import gc


def spare_the_collector() -> None:
    """Keep it away from what lives as long as the process: a batch makes thousands of objects, and none in a ring."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
