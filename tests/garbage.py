"""Imported before whatever is large: looking for garbage takes a fifth of the time of importing.

What tests import stays to the end, so later searches leave it out too.
"""

import gc

gc.disable()


def begin() -> None:
    """Look for garbage from now on, in what is made from now on."""
    gc.freeze()
    gc.enable()
