"""Show a person at a terminal, or a log file, that work goes on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress


class Progress(Protocol):
    """Where work reports its stages and steps."""

    def stage(self, title: str, total: int) -> None:
        """Begin a stage of so many steps."""

    def step(self, detail: str) -> None:
        """Count one step of the stage."""

    def note(self, detail: str) -> None:
        """Say how far the step under way is."""


FIRST_SIGN_S, LONGEST_SILENCE_S = 8.0, 300.0


@contextmanager
def going_on(progress: Progress, detail: str) -> Iterator[None]:
    """Say from time to time that work goes on which cannot tell how far it is; less and less."""
    is_done = Event()

    def say() -> None:
        silence_s = passed_s = FIRST_SIGN_S
        while not is_done.wait(silence_s):
            progress.note(f"{detail}（已 {passed_s:.0f} 秒）")
            silence_s = min(silence_s * 2, LONGEST_SILENCE_S)
            passed_s += silence_s

    thread = Thread(target=say, name="going on", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()


@dataclass(slots=True)
class Lines:
    """Plain lines: the stage, then a line at every tenth part of it."""

    title: str = ""
    total: int = 0
    done: int = 0

    def stage(self, title: str, total: int) -> None:
        """Begin a stage of so many steps."""
        self.title, self.total, self.done = title, total, 0
        self._say(f"{title} …")

    def step(self, detail: str) -> None:
        """Count one step of the stage."""
        self.done += 1
        if self.done == self.total or self.done % max(self.total // 10, 1) == 0:
            self._say(f"{self.title} {self.done}/{self.total} {detail}")

    def note(self, detail: str) -> None:
        """Say how far the step under way is."""
        self._say(f"{self.title} {self.done}/{self.total} {detail}")

    def _say(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


@contextmanager
def following() -> Iterator[Progress]:
    """Yield a live bar on a terminal and plain lines otherwise, on standard error."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as RichProgress

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(bar)


class _Bar:
    """The stages on one rich progress bar."""

    def __init__(self, bar: "RichProgress") -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, detail="")

    def stage(self, title: str, total: int) -> None:
        """Begin a stage of so many steps."""
        self._bar.reset(self._task, total=total, description=title, detail="")

    def step(self, detail: str) -> None:
        """Count one step of the stage."""
        self._bar.update(self._task, advance=1, detail=detail)

    def note(self, detail: str) -> None:
        """Say how far the step under way is."""
        self._bar.update(self._task, detail=detail)
