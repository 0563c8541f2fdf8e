"""Open the copies and live stores that a site file declares, whatever they are made of."""

import subprocess
from collections.abc import Sequence

from mailcare.backup.local import LiveSource, LocalSource
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.source import Live, NotReached, Source
from mailcare.systems.backups import AccountsFrom, BackupCopy, LiveStore

ACCOUNTS_TIMEOUT_S = 60


def open_source(copy: BackupCopy) -> Source:
    """Return the source of a copy; raise `NotReached` for one that cannot be reached from here."""
    if copy.node or copy.kind.is_repository or not copy.kind.holds_mail:
        raise NotReached("tool", f"这里不能验证 {copy.kind} 副本", subject=copy.label)
    return LocalSource(copy)


def open_live(copy: BackupCopy) -> Live | None:
    """Return the live store that a copy is held against; None where none is declared."""
    if copy.live is None:
        return None
    if copy.live.node:
        raise NotReached("tool", "这里不能读取远程的邮件存储", subject=copy.label)
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
