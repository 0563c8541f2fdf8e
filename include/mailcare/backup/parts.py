"""The parts of a long check that a run has done: after a cut or a kill it goes on with the others.

They hold for the same run over the same packs, and for a day; a check that ended leaves none.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mailcare.backup.kept import KEPT_FOR
from mailcare.errors import Unavailable
from mailcare.files import write_whole


@dataclass(slots=True)
class Parts:
    """What one run has read of one repository; `run` is the key of a run that may be repeated.

    `begun_at` is when the first of its parts was read.
    """

    path: Path
    run: str
    begun_at: datetime
    bond: str = ""
    done: set[int] = field(default_factory=set)

    def of(self, packs: Iterable[str], number: int) -> set[int]:
        """Return which of so many parts of these packs were read and found sound."""
        told = "\n".join((self.run, str(number), *sorted(packs)))
        self.bond = hashlib.sha256(told.encode()).hexdigest()
        self.done = self._read()
        return self.done

    def _read(self) -> set[int]:
        try:
            told = json.loads(self.path.read_bytes())
            begun_at = datetime.fromisoformat(told["begun_at"])
            done = set(map(int, told["done"]))
            is_same = told["bond"] == self.bond and self.begun_at - begun_at < KEPT_FOR
        except (OSError, ValueError, KeyError, TypeError):
            return set()
        if not is_same:
            return set()
        self.begun_at = begun_at
        return done

    def add(self, number: int) -> None:
        """Keep that a part was read and found sound."""
        self.done.add(number)
        told = {"bond": self.bond, "begun_at": self.begun_at.isoformat(), "done": sorted(self.done)}
        with suppress(Unavailable):  # without it, a kill costs time and nothing else
            write_whole(self.path, json.dumps(told).encode())

    def clear(self) -> None:
        """Forget them: the check has come to its end."""
        self.path.unlink(missing_ok=True)
