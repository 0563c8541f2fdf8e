"""Open the copies and live stores that a site file declares, whatever they are made of."""

import platform
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from mailcare.backup.agent.seats import Here, Seat, Within
from mailcare.backup.agent.ssh import There
from mailcare.backup.borg import BorgSource
from mailcare.backup.local import LiveSource, LocalSource
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.parts import Parts
from mailcare.backup.remote import RemoteSource, RemoteStore
from mailcare.backup.repository import Repository
from mailcare.backup.restic import ResticSource
from mailcare.backup.source import Live, NotReached, Source
from mailcare.backup.spots import Spot
from mailcare.errors import InputError
from mailcare.inspection.collect.scene import Scene
from mailcare.systems.backups import AccountsFrom, BackupCopy, LiveStore
from mailcare.systems.copies import CopyKind, StoreFormat
from mailcare.systems.profile import ProfileGap

ACCOUNTS_TIMEOUT_S = 60


def open_source(
    copy: BackupCopy,
    scene: Scene,
    *,
    scratch: Path,
    parts: Parts | None = None,
    tell: Callable[[str], None],
) -> Source:
    """Return the source of a copy; raise `NotReached` for one that cannot be reached from here.

    `parts` is for what reads long, and `tell` is told how far that is.
    """
    if copy.kind is CopyKind.RESTIC:
        return ResticSource(_repository(copy, scene, scratch, tell), parts)
    if copy.kind is CopyKind.BORG:
        return BorgSource(_repository(copy, scene, scratch, tell))
    store = _map(copy, copy.layout, scene)
    if not copy.node:
        return LocalSource(copy, store)
    return RemoteSource(copy, store, seat_of(copy.node, scene), scratch)


def _repository(
    copy: BackupCopy, scene: Scene, scratch: Path, tell: Callable[[str], None]
) -> Repository:
    store = _map(copy, copy.layout, scene)
    password, seat = _password(copy, scene), seat_of(copy.node, scene)
    place = None if copy.node else str(scratch)  # over there it is the host's own
    return Repository(seat, str(copy.path), password, store, copy.inside, place, tell)


def _map(copy: BackupCopy, layout: str, scene: Scene) -> StoreMap:
    """Return the map of a store; a product's own tree is known by what its profile says of it."""
    if copy.format is not StoreFormat.TURBOMAIL or not copy.kind.holds_mail:
        return StoreMap(copy.format, layout)
    try:
        return StoreMap(copy.format, layout, scene.system.profile.need("mail_files"))
    except ProfileGap as gap:
        text = f"{gap}，分不清邮件与其他文件"
        raise NotReached("tool", text, subject=copy.label) from None


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


def spot_of(path: Path, node: str | None, scene: Scene) -> Spot:
    """Return a path as it is seen from a host of the site, or from this machine."""
    if node is None:
        return Spot(Within(), str(path), frozenset({platform.node(), "localhost"}))
    host = scene.system.node(node)
    names = frozenset({host.address, host.hostname.lower()})
    return Spot(There(host, scene), str(path), names)


def open_live(copy: BackupCopy, scene: Scene) -> Live | None:
    """Return the live store that a copy is held against; None where none is declared."""
    if copy.live is None:
        return None
    store = _map(copy, copy.live.layout, scene)
    if copy.live.node:
        return RemoteStore(seat_of(copy.live.node, scene), str(copy.live.path), store)
    return LiveSource(copy.live.path, store)


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
