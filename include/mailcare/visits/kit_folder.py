"""Write a visit's kit into a folder, and read back what was brought home in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mailcare.errors import InputError
from mailcare.files import write_whole
from mailcare.inspection.collect.frames import UNPACKED_LIMIT_BYTES, restore, unpacked
from mailcare.systems.evidence import EVIDENCE_BYTES_MOST
from mailcare.visits.kit import (
    ENTRIES,
    MANIFEST,
    PHOTOS,
    REPLIES,
    Entries,
    read_entries,
    refuse_foreign_replies,
)

ENTRIES_BYTES_MOST = 1024 * 1024
FILES_MOST = 200


@dataclass(frozen=True, slots=True)
class Brought:
    """What a kit holds on its return: the filled form, and files by their names."""

    number: str
    entries: Entries
    replies: Mapping[str, bytes]
    photos: Mapping[str, bytes]


def write_kit(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write the files, and make the folders for what is brought home.

    A folder that holds a kit already is refused: its form may be filled in.
    """
    if (folder / MANIFEST).exists():
        raise InputError(
            "已有一份资料包，其中可能有填写的内容；请换一个文件夹", subject=str(folder)
        )
    written = [write_whole(folder / name, body) for name, body in files.items()]
    for name in (REPLIES, PHOTOS):
        (folder / name).mkdir(exist_ok=True)
    return written


def read_kit(folder: Path) -> Brought:
    """Read a kit; raise `InputError` for anything in it that cannot be taken."""
    number = _number(folder)
    text = _read(folder / ENTRIES, ENTRIES_BYTES_MOST).decode("utf-8-sig", "replace")
    entries = read_entries(text, number, name=ENTRIES)
    replies = {
        one.name: unpacked(_read(one, UNPACKED_LIMIT_BYTES)) for one in _files(folder / REPLIES)
    }
    for name, body in replies.items():
        refuse_foreign_replies(restore(body), number, name=name)
    return Brought(number, entries, replies, _photos(folder / PHOTOS, entries))


def _number(folder: Path) -> str:
    not_ours = InputError("不是现场巡检资料包（缺少可用的 visit.json）", subject=str(folder))
    try:
        manifest = json.loads(_read(folder / MANIFEST, ENTRIES_BYTES_MOST))
    except (InputError, ValueError):
        raise not_ours from None
    number = manifest.get("visit") if isinstance(manifest, dict) else None
    if not isinstance(number, str):
        raise not_ours
    return number


def _photos(folder: Path, entries: Entries) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for one in entries.photos:
        if not one.is_in_folder:
            raise InputError("照片只写文件名，不带路径", subject=one.file)
        found[one.file] = _read(folder / one.file, EVIDENCE_BYTES_MOST)
    return found


def _files(folder: Path) -> list[Path]:
    files = sorted(one for one in folder.glob("*") if one.is_file() and one.name[0] != ".")
    if len(files) > FILES_MOST:
        raise InputError(f"文件超过 {FILES_MOST} 个", subject=str(folder))
    return files


def _read(path: Path, most: int) -> bytes:
    try:
        if path.stat().st_size > most:
            raise InputError(f"文件超过 {most // 1024**2} MiB", subject=str(path))
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"文件无法读取（{error.strerror}）", subject=str(path)) from None
