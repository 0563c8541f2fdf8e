"""Where the agent runs: on this machine, or on a host over SSH (`agent.ssh`), the same script."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module, resources
from typing import Any, Protocol

from mailcare.backup.agent.script import run

END_S = 30.0
CHUNK_BYTES = 256 * 1024
FLAGS = ("-I", "-S", "-B", "-")
_AGENT = "mailcare.backup.agent"
_SCRIPT, _ARCHIVE_PARTS = "script", ("packed", "tar", "zips", "zstd", "archive")
_PARTS = {
    "tool": ("tools",),
    "archive": _ARCHIVE_PARTS,
    "members": _ARCHIVE_PARTS,
    "sample": ("inodes",),
    "held": ("inodes",),
}
_WHOLE = """\
import sys, types
for name, source in {parts}:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
sys.exit(sys.modules["{script}"].main({text!r}))
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What the agent shall do; what it is given may hold secrets and never shows in a repr."""

    task: str
    given: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def script(self) -> bytes:
        """Return the agent as one text, its parts as modules in it, with this job at its end."""
        names = (_SCRIPT, *_PARTS.get(self.task, ()))
        parts = [(f"{_AGENT}.{name}", _source(f"{name}.py")) for name in names]
        text = json.dumps({"task": self.task, **self.given})
        return _WHOLE.format(parts=ascii(parts), script=parts[0][0], text=text).encode("ascii")

    def shell_script(self) -> bytes:
        """Return the agent for a host without Python, with this job before it."""
        source = _source("script.sh").encode()
        given = self.given
        paths = given.get("paths", ())
        names = map(os.fsencode if self.task == "look" else base64.b64decode, paths)
        cursor = given.get("cursor")
        values = {
            "TASK": self.task,
            "ROOT": _escaped(os.fsencode(given.get("root", ""))),
            "CURSOR": "" if cursor is None else _sorting(base64.b64decode(cursor)),
            "PATHS": "\n".join(map(_escaped, names)),
            "FIRST": str(given.get("first", 0)),
        }
        told = "".join(f"{name}='{value}'\n" for name, value in values.items())
        return told.encode() + source

    def with_(self, **more: Any) -> "Job":  # what a task is given is JSON, and its own business
        """Return the job with something else given."""
        return Job(self.task, {**self.given, **more})


def _source(name: str) -> str:
    return resources.files(_AGENT).joinpath(name).read_text("utf-8")


def _escaped(name: bytes) -> str:
    return "".join(f"\\{byte:03o}" for byte in name)


def _sorting(cursor: bytes) -> str:
    """Return a folder as the script compares it with others, below the dot that it begins at."""
    path = b"./" + cursor if cursor else b"."
    return _escaped(path).replace("\\057", "\\000").replace("\\", "/")


class Seat(Protocol):
    """A machine on which the agent can run."""

    @property
    def name(self) -> str:
        """Return what people call it."""
        ...

    def stream(self, job: Job) -> Iterator[bytes]:
        """Run a job and yield its output; raise `CutOff` where that breaks off.

        Raise `NotReached` where the agent cannot be started at all.
        """
        ...


@dataclass(frozen=True, slots=True)
class Here:
    """The machine that mailcare itself runs on."""

    name: str = "本机"

    def stream(self, job: Job) -> Iterator[bytes]:
        """Run a job in a process of its own."""
        child = subprocess.Popen(
            [sys.executable, *FLAGS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert child.stdin
        assert child.stdout
        feeder = threading.Thread(target=_feed, args=(child, job.script()), daemon=True)
        feeder.start()
        try:
            while data := os.read(child.stdout.fileno(), CHUNK_BYTES):
                yield data
        finally:
            _end(child)
            feeder.join(5)


@dataclass(frozen=True, slots=True)
class Within:
    """The process that mailcare runs in: for jobs that are done at once and say little."""

    name: str = "本机"

    def stream(self, job: Job) -> Iterator[bytes]:
        """Run a job here and yield all that it said."""
        for part in (_SCRIPT, *_PARTS.get(job.task, ())):
            import_module(f"{_AGENT}.{part}")
        said = io.BytesIO()
        run({"task": job.task, **job.given}, said)
        yield said.getvalue()


def _feed(child: subprocess.Popen[bytes], script: bytes) -> None:
    assert child.stdin
    with suppress(BrokenPipeError):
        child.stdin.write(script)
        child.stdin.close()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let the agent end by itself, so that it removes its scratch; then insist."""
    assert child.stdout
    assert child.stderr
    child.stdout.close()
    if child.poll() is None:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)
    try:
        child.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stderr.close()
