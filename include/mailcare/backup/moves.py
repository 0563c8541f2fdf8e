"""Which messages that a backup seems to lack it has under another name, or otherwise kept.

Names and lengths come from listings; here the texts themselves are compared, of a few.
"""

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailcare.backup.agent.script import is_packed
from mailcare.backup.ground import Ground
from mailcare.backup.opening import text_of
from mailcare.backup.packing import BadPacking
from mailcare.backup.source import Live, Message, Restored
from mailcare.systems.copies import StoreFormat

ALIKE_MOST = 500
PROOF_MOST = 20
Pairs = Sequence[tuple[Message, Message]]


@dataclass(frozen=True, slots=True)
class Moves:
    """What one mailbox of the live store has, as the newest generation keeps it.

    `kept` is all that the generation has of the mailbox.
    """

    ground: Ground
    live: Live
    kept: Sequence[Message] = ()

    def of(self, lost: Sequence[Message], gone: Sequence[Message]) -> frozenset[bytes]:
        """Return the keys of lost messages that the backup has all the same.

        `gone` are those of the backup that are not live. In sdbox a message bears the name of its
        folder, and its copy is a link with the time and the bytes of what is still there.
        """
        if self.ground.copy.format is StoreFormat.MBOX:
            return self.moved(lost, gone)
        if self.ground.copy.format is not StoreFormat.DBOX:
            return self.moved(lost, gone) | self._packed_since(lost, gone)
        many = self._in_renamed_folders(lost, gone) if len(lost) > ALIKE_MOST else frozenset()
        return many | self.moved([one for one in lost if one.key not in many], (*gone, *self.kept))

    def moved(self, lost: Sequence[Message], there: Sequence[Message]) -> frozenset[bytes]:
        """Return the keys of lost messages whose content is there under another name."""
        sizes = {one.size_bytes for one in lost}
        alike = [one for one in there if one.size_bytes in sizes][:ALIKE_MOST]
        if not alike:
            return frozenset()
        sizes = {one.size_bytes for one in alike}
        wanted = [one for one in lost if one.size_bytes in sizes][:ALIKE_MOST]
        with self._from_copy(alike) as copies:
            kept = {content(one) for one in copies} - {None}
        with self._from_live(wanted) as ours:
            return frozenset(one.key for one in ours if content(one) in kept)

    def _packed_since(self, lost: Sequence[Message], gone: Sequence[Message]) -> frozenset[bytes]:
        """Return the keys of lost messages that their server has since compressed in their place.

        They have their names still, and are shorter.
        """
        by_name = {_name(one): one for one in gone}
        both = [(one, by_name[_name(one)]) for one in lost if _name(one) in by_name]
        pairs = [(one, it) for one, it in both if one.size_bytes < it.size_bytes][:ALIKE_MOST]
        with self._from_live([one for one, _ in pairs]) as ours:
            texts = {one.key: text for one in ours if (text := _packed_text(one))}
        pairs = [(one, other) for one, other in pairs if one.key in texts]
        with self._from_copy([other for _, other in pairs]) as copies:
            kept = {one.key: content(one) for one in copies}
        return frozenset(one.key for one, other in pairs if texts[one.key] == kept.get(other.key))

    def _in_renamed_folders(
        self, lost: Sequence[Message], gone: Sequence[Message]
    ) -> frozenset[bytes]:
        """Return the keys of lost messages in folders of which some tell for all."""
        found: set[bytes] = set()
        for pairs in _by_folders(lost, gone).values():
            if len(pairs) <= PROOF_MOST:
                continue
            proof = pairs[:: len(pairs) // PROOF_MOST]
            same = self.moved([one for one, _ in proof], [other for _, other in proof])
            if len(same) == len(proof):
                found |= {one.key for one, _ in pairs}
        return frozenset(found)

    @contextmanager
    def _from_copy(self, messages: Collection[Message]) -> Iterator[Iterator[Restored]]:
        keys = {one.key for one in messages}
        with self._scratch() as folder:
            yield self.ground.source.restore(self.ground.newest, keys, folder) if keys else iter(())

    @contextmanager
    def _from_live(self, messages: Collection[Message]) -> Iterator[Iterator[Restored]]:
        with self._scratch() as folder:
            keys = [one.key for one in messages]
            yield self.live.restore(keys, folder) if keys else iter(())

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="mailcare-", dir=self.ground.scratch) as name:
            yield Path(name)


def _by_folders(
    lost: Sequence[Message], gone: Sequence[Message]
) -> Mapping[tuple[str, str], Pairs]:
    """Pair messages of the same file name and length, by the folders that they are in."""
    by_name = defaultdict(list)
    for one in gone:
        by_name[one.key.rpartition(b"/")[2], one.size_bytes].append(one)
    pairs = defaultdict(list)
    for one in lost:
        for other in by_name[one.key.rpartition(b"/")[2], one.size_bytes]:
            pairs[one.folder, other.folder].append((one, other))
    return pairs


def _name(one: Message) -> bytes:
    return one.identity.rpartition(b"/")[0]


def content(one: Restored) -> str | None:
    """Return the SHA-256 of a message that came back, in hex; None for one that did not."""
    return hashlib.sha256(one.path.read_bytes()).hexdigest() if one.path else None


def _packed_text(one: Restored) -> str | None:
    """Return the SHA-256 of a compressed message's text; None for one that is not compressed."""
    data = one.path.read_bytes() if one.path else b""
    try:
        return hashlib.sha256(text_of(data, None)).hexdigest() if is_packed(data) else None
    except BadPacking:
        return None
