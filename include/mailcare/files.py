"""Write a file whole or not at all."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from mailcare.errors import Unavailable


def write_whole(path: Path, body: bytes) -> Path:
    """Write `body` beside `path` and rename it there; raise `Unavailable` where that fails.

    What stood there before stays until the new file is complete, so a full disk loses nothing.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(body)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise Unavailable(f"文件写不进去（{error.strerror}）", subject=str(path)) from error
    return path


def write_once(path: Path, body: bytes) -> None:
    """Write a secret that nobody but us can read, or leave the one alone that another one wrote.

    Raise `OSError` where it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made with mode 0600: nobody else may read it, not even while it is being written.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".") as draft:
        draft.write(body)
        draft.flush()
        with suppress(FileExistsError):
            os.link(draft.name, path)
