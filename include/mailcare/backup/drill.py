"""The restore drill (L4): bring a sample back, open it, hold it against the original. 恢复演练.

A message passes when it is byte for byte the live one (line ends aside) or, where the live one is
gone, what the last full reading recorded; where neither is there, when it is mail. Nothing of the
sample stays: scratch is removed whatever happens.
"""

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

from mailcare.backup.agent.script import Refused
from mailcare.backup.agent.tools import Scratch
from mailcare.backup.confidence import Draw, statement
from mailcare.backup.integrity import is_mass
from mailcare.backup.names import stated_bytes
from mailcare.backup.opening import Opened, Outcome
from mailcare.backup.parsing import open_all
from mailcare.backup.sampling import Candidate, Sample
from mailcare.backup.source import SEALED, Message, NotReached, Restored
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged

SHOWN = 10
ROOM_FACTOR = 2  # the sample, and as much again for the tools


class Keeper(Protocol):
    """What keeps messages and gives them back: a generation of a copy, or the live store."""

    def messages(self, mailboxes: Collection[str]) -> Iterator[Message]:
        """List the messages of some mailboxes."""
        ...

    def restore(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        """Bring messages into `scratch`, under names of our own."""
        ...


@dataclass(frozen=True, slots=True)
class Compared:
    """One message of the sample after the drill; `fault` is empty where it passed.

    `against` tells what it was held against: `live`, `manifest`, or nothing but the test of being
    mail. `is_unproven` where it came back but could neither be opened nor compared, or is sealed;
    `is_odd` where it is no mail, the original perhaps neither.
    """

    key: bytes
    mailbox: str
    size_bytes: int
    against: str
    fault: str = ""
    note: str = ""
    is_unproven: bool = False
    is_odd: bool = False


@dataclass(frozen=True, slots=True)
class Drilled:
    """A drill that was gone through: each message, and how long the restoring took."""

    sample: Sample
    compared: tuple[Compared, ...]
    restored_bytes: int
    restore_s: float


_NOT_TO_COMPARE = (Outcome.NOT_MAIL, Outcome.SEALED)
Name = tuple[str, bytes]  # a message's mailbox and identity
Recorded = Callable[[str, bytes], str | None]


@dataclass(frozen=True, slots=True)
class Original:
    """What a message must be: as it is in the live store, else as it was recorded."""

    live: Mapping[Name, Opened]
    recorded: Recorded

    def against(self, message: Message, opened: Opened) -> Opened | None:
        """Return the live message; none that is no mail while what came back is."""
        live = self.live.get((message.mailbox, message.identity))
        if live and opened.outcome is Outcome.MAIL and live.outcome in _NOT_TO_COMPARE:
            return None
        return live


def candidates(messages: Iterable[Message]) -> Iterator[Candidate]:
    """Make messages ready to be drawn."""
    for one in messages:
        yield Candidate(one.key, one.mailbox, one.size_bytes, one.arrived_s)


@contextmanager
def scratch_folder(base: Path | None, needed_bytes: int) -> Iterator[Path]:
    """Yield an empty folder with so much room and remove it; `NotReached` where there is none."""
    try:
        scratch = Scratch(str(base) if base else None)
    except Refused as refusal:
        raise NotReached("scratch", f"无法建立暂存目录（{refusal}）") from None
    with scratch as name:
        folder = Path(name)
        folder.chmod(0o711)  # a throw-away server runs as somebody else
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < needed_bytes:
            text = f"暂存空间不足：需要 {needed_bytes >> 20} MiB，只剩 {free_bytes >> 20} MiB"
            raise NotReached("scratch", text)
        yield folder


def run_drill(
    copy: Keeper,
    live: Keeper | None,
    sample: Sample,
    *,
    recorded: Recorded,
    base: Path | None,
    opens_mail: bool = True,
) -> Drilled:
    """Restore a sample, open and compare it.

    `recorded` tells the SHA-256 that a full reading found, by mailbox and identity. `opens_mail`
    is false for stores whose files are not messages themselves (dbox): they are compared only.
    """
    with scratch_folder(base, ROOM_FACTOR * sum(one.size_bytes for one in sample)) as folder:
        wanted = _messages_of(copy, sample)
        started = perf_counter()
        restored = list(copy.restore(list(wanted), _below(folder, "copy")))
        restore_s = perf_counter() - started
        opened = dict(zip(_keys(restored), open_all(_files(restored)), strict=True))
        original = Original(_live_ones(live, wanted, _below(folder, "live")), recorded)
        compared = tuple(
            _compared(wanted[one.key], one, opened.get(one.key), original, opens_mail=opens_mail)
            for one in restored
        )
        size_bytes = sum(one.size_bytes for one in opened.values())
        return Drilled(sample, compared, size_bytes, restore_s)


def _below(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def _messages_of(copy: Keeper, sample: Sample) -> dict[bytes, Message]:
    keys = {one.key for one in sample}
    mailboxes = {one.mailbox for one in sample}
    return {one.key: one for one in copy.messages(mailboxes) if one.key in keys}


def _keys(restored: Iterable[Restored]) -> list[bytes]:
    return [one.key for one in restored if one.path]


def _files(restored: Iterable[Restored]) -> Iterator[tuple[Path, int | None]]:
    for one in restored:
        if one.path:
            yield one.path, stated_bytes(one.key.rpartition(b"/")[2])


def _live_ones(
    live: Keeper | None, wanted: Mapping[bytes, Message], scratch: Path
) -> dict[Name, Opened]:
    """Return the live messages of the same names, opened, as far as they are still there.

    Where the live store cannot be read there are none: a drill is needed then more than ever.
    """
    try:
        return _read_live(live, wanted, scratch) if live else {}
    except NotReached:
        return {}


def _read_live(live: Keeper, wanted: Mapping[bytes, Message], scratch: Path) -> dict[Name, Opened]:
    names = {(one.mailbox, one.identity) for one in wanted.values()}
    found = {
        one.key: (one.mailbox, one.identity)
        for one in live.messages({mailbox for mailbox, _ in names})
        if (one.mailbox, one.identity) in names
    }
    restored = [one for one in live.restore(list(found), scratch) if one.path]
    opened = open_all((one.path, None) for one in restored if one.path)
    return {found[one.key]: told for one, told in zip(restored, opened, strict=True)}


def _compared(
    message: Message,
    restored: Restored,
    opened: Opened | None,
    original: Original,
    *,
    opens_mail: bool,
) -> Compared:
    size = opened.size_bytes if opened else 0
    is_odd = opens_mail and opened is not None and opened.outcome is Outcome.NOT_MAIL
    is_sealed = opened is not None and opened.outcome is Outcome.SEALED

    def told(against: str, fault: str = "", note: str = "", *, unproven: bool = False) -> Compared:
        doubt = unproven or (is_sealed and not fault)
        return Compared(message.key, message.mailbox, size, against, fault, note, doubt, is_odd)

    if opened is None:
        return told("", restored.problem or "没有恢复出来")
    live = original.against(message, opened)
    recorded = original.recorded(message.mailbox, message.identity)
    if live is not None and live.normal_sha256:
        same = live.normal_sha256 == opened.normal_sha256
        return told("live", "" if same else "与在线邮件内容不同", opened.reason)
    if recorded is not None and opened.sha256:
        fault = "" if recorded == opened.sha256 else "与上次完整读取时的记录不同"
        # What was recorded may have been as bad from the beginning.
        return told("manifest", fault, opened.reason, unproven=is_odd and not fault)
    if not opens_mail or opened.outcome in (Outcome.INTACT, Outcome.SEALED):
        return told("", note=opened.reason or "无可对照", unproven=True)
    return told("mail", "" if opened.outcome is Outcome.MAIL else opened.reason)


def judge_drill(drilled: Drilled, *, total_bytes: int | None) -> Judgement:
    """Say what a drill proves: passed messages, the confidence, every mailbox, the speed."""
    bad = [one for one in drilled.compared if one.fault]
    unproven = sum(one.is_unproven for one in drilled.compared)
    examined = len(drilled.compared)
    coverage = Coverage(
        len(drilled.sample), examined, examined - len(bad) - unproven, len(bad), unproven
    )
    return judged(Level.L4, coverage, tuple(_remarks(drilled, bad, total_bytes)))


def _remarks(drilled: Drilled, bad: list[Compared], total_bytes: int | None) -> Iterator[Remark]:
    yield Remark("confidence", statement(_draw_of(drilled)), Weight.NOTE)
    yield Remark("seed", f"抽样种子 {drilled.sample.seed}", Weight.NOTE)
    came_back = {one.mailbox for one in drilled.compared if not one.fault}
    text = f"有邮件恢复成功的邮箱 {len(came_back)}/{drilled.sample.mailboxes} 个"
    missing = len(came_back) < drilled.sample.mailboxes
    yield Remark("mailboxes", text, Weight.FAILS if missing else Weight.NOTE)
    yield Remark("against", _against(drilled.compared), Weight.NOTE)
    yield Remark("rto", _speed(drilled, total_bytes), Weight.NOTE)
    odd = sum(one.is_odd for one in drilled.compared)
    if is_mass(odd, len(drilled.compared)):
        text = f"{odd} / {len(drilled.compared)} 封恢复出来不是邮件，疑遭加密或覆盖"
        yield Remark("ransomware", text, Weight.FAILS)
    if sealed := sum(one.note == SEALED and not one.fault for one in drilled.compared):
        text = f"无法衡量：{sealed} 封{SEALED}，只能核对字节"
        yield Remark("sealed", text, Weight.DEGRADES)
    for one in bad[:SHOWN]:
        name = one.key.decode("utf-8", "backslashreplace")
        yield Remark("message", f"{one.mailbox} {name}：{one.fault}", Weight.FAILS)
    for note in list(dict.fromkeys(one.note for one in drilled.compared if one.note))[:SHOWN]:
        yield Remark("opened", f"个别邮件：{note}", Weight.NOTE)


def _draw_of(drilled: Drilled) -> Draw:
    failed = {one.key for one in drilled.compared if one.fault or one.is_unproven}
    sample = drilled.sample
    return Draw(
        sample.population,
        chosen=len(sample.chosen),
        chosen_bad=sum(one.key in failed for one in sample.chosen),
        drawn=len(sample.drawn),
        drawn_bad=sum(one.key in failed for one in sample.drawn),
    )


def _against(compared: Collection[Compared]) -> str:
    def count(word: str) -> int:
        return sum(one.against == word for one in compared)

    return (
        f"与在线邮件逐字节核对 {count('live')} 封，与上次读取的记录核对 {count('manifest')} 封，"
        f"仅解析 {count('mail')} 封"
    )


def _speed(drilled: Drilled, total_bytes: int | None) -> str:
    size, seconds = drilled.restored_bytes, max(drilled.restore_s, 1e-3)
    text = f"实测恢复 {len(drilled.compared)} 封、{size / 1e6:.1f} MB 用时 {seconds:.1f} 秒"
    if not (total_bytes and size):
        return text
    hours = total_bytes / (size / seconds) / 3600
    return (
        f"{text}；按此速度推算，恢复全部 {total_bytes / 1e9:.2f} GB 约需 {_duration(hours)}"
        "（抽样恢复的速度，不含新主机准备与切换）"
    )


def _duration(hours: float) -> str:
    if hours >= 1:
        return f"{hours:.1f} 小时"
    return f"{max(hours * 60, 0.1):.1f} 分钟"
