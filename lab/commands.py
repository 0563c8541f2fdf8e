"""Run programs of the machine and of the lab's hosts."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from lab.errors import LabError

HOST_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": os.environ.get("TERM", "dumb"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Hold what a program answered: exit code and both outputs joined."""

    exit_code: int
    text: str


def attempt(words: Sequence[str], *, timeout_s: float = 20.0, stdin: str = "") -> Outcome:
    """Run a program and return its outcome; LabError when it does not end in time.

    The output goes to a file: a daemon that a command starts keeps a pipe open for ever.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as source:
        source.write(stdin.encode())
        source.seek(0)
        try:
            done = subprocess.run(
                words,
                check=False,
                stdin=source,
                stdout=output,
                stderr=output,
                timeout=timeout_s,
                env=HOST_ENVIRONMENT,
                cwd="/",
            )
        except subprocess.TimeoutExpired as error:
            message = f"no end after {timeout_s:.0f} s: {' '.join(words)}"
            raise LabError(message) from error
        output.seek(0)
        return Outcome(done.returncode, output.read().decode(errors="replace"))


def run(words: Sequence[str], *, timeout_s: float = 20.0, stdin: str = "") -> str:
    """Run a program and return its output; LabError when it fails."""
    outcome = attempt(words, timeout_s=timeout_s, stdin=stdin)
    if outcome.exit_code:
        message = f"exit code {outcome.exit_code} from {' '.join(words)}: {outcome.text.strip()}"
        raise LabError(message)
    return outcome.text
