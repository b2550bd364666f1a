"""A look at the queue goes before what else its process computes: somebody waits for it."""

import threading
import time

#: Seconds that whoever gives way waits at most; a busy host looks nearly all the time.
_PATIENCE = 0.005
#: And at least, so that another thread gets the interpreter.
_BREATH = 0.0005


class Looking:
    """`with` it a host looks; other threads of it call `give_way`."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._over.set()

    def __enter__(self) -> None:
        self._over.clear()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def give_way(self) -> bool:
        """Let others run, and a look that is under way end; False when it goes on all the same."""
        time.sleep(_BREATH)
        return self._over.wait(_PATIENCE)
