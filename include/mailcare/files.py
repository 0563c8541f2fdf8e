"""Write a file whole or not at all."""

import os
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
