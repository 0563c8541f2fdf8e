"""One piece of work on a store and its copies, in a process of its own.

`python -m bench.backup_work WORK FOLDER`; what a work needs is loaded by itself alone, as a command
loads what it needs.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.memory import peak_kib

if TYPE_CHECKING:
    from mailcare.backup.archives import ArchiveStore
    from mailcare.backup.borg import BorgSource
    from mailcare.backup.mailstore import StoreMap
    from mailcare.backup.repository import Repository
    from mailcare.backup.restic import ResticSource
    from mailcare.backup.trees import TreeStore

MAILBOXES, MESSAGES = 100, 1000
LISTED_MAILBOXES, LISTED_MESSAGES = 1_000, 10_000
PASSWORD = "bench"


def _map() -> "StoreMap":
    from mailcare.backup.mailstore import StoreMap
    from mailcare.systems.copies import StoreFormat

    return StoreMap(StoreFormat.MAILDIR, "{domain}/{user}")


def _tree(folder: Path) -> "TreeStore":
    from mailcare.backup.trees import TreeStore

    return TreeStore(os.fsencode(folder / "store"), _map())


def _gone_through(store: "TreeStore | ArchiveStore") -> None:
    from mailcare.backup.source import Shard

    assert sum(1 for _ in store.read(Shard())) == MAILBOXES * MESSAGES


def limit_files(folder: Path) -> None:
    """Read and hash every file with one reused buffer, and nothing else."""
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    for path, _, names in os.walk(folder / "store"):
        for name in names:
            handle = os.open(f"{path}/{name}", os.O_RDONLY)
            digest = hashlib.sha256()
            while count := os.readv(handle, [buffer]):
                digest.update(view[:count])
            digest.hexdigest()
            os.close(handle)


def limit_tar(folder: Path) -> None:
    """Read a file and hash it, and nothing else."""
    buffer = bytearray(1 << 20)
    view, digest = memoryview(buffer), hashlib.sha256()
    with (folder / "store.tar").open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(view[:count])


def _archive(folder: Path, name: str) -> None:
    from mailcare.backup.archives import ArchiveStore
    from mailcare.systems.copies import CopyKind

    _gone_through(ArchiveStore(folder / f"store.{name}", CopyKind(name), _map(), "store"))


def census(folder: Path) -> None:
    """Count every mailbox by a listing."""
    assert sum(row.messages for row in _tree(folder).census().rows) == MAILBOXES * MESSAGES


def inventory(_folder: Path) -> None:
    """Sum up ten million messages as they go by; print the peak of memory."""
    from mailcare.backup.mailstore import Place, Tally
    from mailcare.backup.source import Message

    tally = Tally()
    for box in range(LISTED_MAILBOXES):
        place = Place(f"u{box}@bench.example", "INBOX", holds_mail=True)
        tally.note(place)
        for number in range(LISTED_MESSAGES):
            identity = b"%d.%d" % (box, number)
            tally.add(Message(identity, place.mailbox, "INBOX", identity, 20_000, 1.0))
    assert len(tally.rows()) == LISTED_MAILBOXES
    sys.stdout.write(json.dumps({"peak_kib": peak_kib()}))


def _repository(folder: Path, name: str) -> "Repository":
    from mailcare.backup.agent.seats import Here
    from mailcare.backup.repository import Repository

    return Repository(Here(), str(folder / name), PASSWORD, _map())


def restic(folder: Path) -> None:
    """Let restic read all packs."""
    from mailcare.backup.restic import ResticSource

    _sound(ResticSource(_repository(folder, "restic")))


def borg(folder: Path) -> None:
    """Let borg verify all data."""
    from mailcare.backup.borg import BorgSource

    _sound(BorgSource(_repository(folder, "borg")))


def _sound(source: "ResticSource | BorgSource") -> None:
    from mailcare.backup.source import Shard

    reading = source.read(source.reach().generations[-1], Shard())
    assert not list(reading)
    assert reading.soundness().coverage.bad == 0


def service(folder: Path) -> None:
    """Serve ten mailboxes and read them all; print the client's own time."""
    from mailcare.backup.service import Served, judge_service, serve
    from mailcare.backup.verdicts import Verdict

    homes = sorted((folder / "store" / "bench.example").iterdir())[:10]
    served = [Served(home.name, {"INBOX": tuple((home / "cur").iterdir())}) for home in homes]
    scratch = folder / "scratch"
    scratch.mkdir()
    try:
        tally = serve(served, scratch)
        assert judge_service(served, tally).verdict is Verdict.PASS
    finally:
        shutil.rmtree(scratch)
    sys.stdout.write(json.dumps({"seconds": tally.seconds}))


WORK: dict[str, Callable[[Path], None]] = {
    "limit-files": limit_files,
    "files": lambda folder: _gone_through(_tree(folder)),
    "limit-tar": limit_tar,
    "tar": lambda folder: _archive(folder, "tar"),
    "tar.gz": lambda folder: _archive(folder, "tar.gz"),
    "tar.zst": lambda folder: _archive(folder, "tar.zst"),
    "census": census,
    "inventory": inventory,
    "restic": restic,
    "borg": borg,
    "service": service,
}


if __name__ == "__main__":
    WORK[sys.argv[1]](Path(sys.argv[2]))
