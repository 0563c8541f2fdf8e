"""Open the copies and live stores that a site file declares, whatever they are made of."""

import subprocess
from collections.abc import Sequence

from mailcare.backup.agent.seats import Here, Seat, There
from mailcare.backup.borg import BorgSource
from mailcare.backup.local import LiveSource, LocalSource
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.repository import Repository
from mailcare.backup.restic import ResticSource
from mailcare.backup.source import Live, NotReached, Source
from mailcare.errors import InputError
from mailcare.inspection.collect.scene import Scene
from mailcare.systems.backups import AccountsFrom, BackupCopy, CopyKind, LiveStore

ACCOUNTS_TIMEOUT_S = 60


def open_source(copy: BackupCopy, scene: Scene) -> Source:
    """Return the source of a copy; raise `NotReached` for one that cannot be reached from here."""
    if copy.kind is CopyKind.RESTIC:
        return ResticSource(_repository(copy, scene))
    if copy.kind is CopyKind.BORG:
        return BorgSource(_repository(copy, scene))
    if copy.node or not copy.kind.holds_mail:
        raise NotReached("tool", f"这里不能验证 {copy.kind} 副本", subject=copy.label)
    return LocalSource(copy)


def _repository(copy: BackupCopy, scene: Scene) -> Repository:
    store = StoreMap(copy.format, copy.layout)
    password = _password(copy, scene)
    return Repository(seat_of(copy.node, scene), str(copy.path), password, store, copy.inside)


def _password(copy: BackupCopy, scene: Scene) -> str:
    credential = copy.credential()
    if credential is None:
        return ""
    try:
        return scene.find_secret(credential).password or ""
    except InputError as error:
        raise NotReached("tool", str(error), subject=copy.label) from None


def seat_of(node: str | None, scene: Scene) -> Seat:
    """Return where an agent runs: a host of the site, or this machine."""
    return There(scene.system.node(node), scene) if node else Here()


def open_live(copy: BackupCopy, scene: Scene) -> Live | None:
    """Return the live store that a copy is held against; None where none is declared.

    Raise `NotReached` for one that cannot be reached from here.
    """
    if copy.live is None:
        return None
    if copy.live.node:
        told = f"这里不能读取远程的邮件存储（{scene.system.node(copy.live.node).name}）"
        raise NotReached("tool", told, subject=copy.label)
    return LiveSource(copy.live.path, StoreMap(copy.format, copy.live.layout))


def listed_accounts(live: LiveStore | None) -> Sequence[str]:
    """Return the accounts of the customer's own list; raise `NotReached` where it is not there."""
    if live is None or live.accounts.source is AccountsFrom.FOLDERS:
        return ()
    if live.accounts.path:
        try:
            text = live.accounts.path.read_text("utf-8", "replace")
        except OSError as error:
            raise NotReached("unreadable", f"账号列表无法读取（{error.strerror}）") from None
    else:
        text = _printed(live.accounts.words)
    return sorted({line.strip() for line in text.splitlines() if line.strip()})


def _printed(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            words, capture_output=True, timeout=ACCOUNTS_TIMEOUT_S, stdin=subprocess.DEVNULL,
            check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise NotReached("tool", f"列出账号的命令失败（{type(error).__name__}）") from None
    return done.stdout.decode("utf-8", "replace")
