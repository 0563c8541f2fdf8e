"""Wait for something to become observable instead of sleeping for a guessed time."""

import time
from collections.abc import Callable

from lab.errors import LabError


def wait_until(condition: Callable[[], bool], what: str, *, timeout_s: float = 10.0) -> None:
    """Return as soon as the condition holds; raise LabError naming `what` after the timeout."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.01
    while not condition():
        if time.monotonic() > deadline:
            message = f"gave up after {timeout_s:.0f} s waiting for: {what}"
            raise LabError(message)
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
