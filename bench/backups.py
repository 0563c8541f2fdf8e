"""Verify backups of a synthetic store beside the tools of the trade, and count what it takes."""

import base64
import ctypes
import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from bench import backup_work
from bench.backup_work import LISTED_MAILBOXES, LISTED_MESSAGES, MAILBOXES, MESSAGES, PASSWORD

TEXT_BYTES = 12_000
RUNS = 5

_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h

Cost = tuple[float, float]  # CPU seconds of the process and its children, wall seconds


def make_store(root: Path) -> int:
    """Write 100,000 messages whose sizes spread as mail's do; return the bytes."""
    source = random.Random(1)
    words = [source.randbytes(3).hex() for _ in range(20_000)]
    total = 0
    for box in range(MAILBOXES):
        folder = root / "bench.example" / f"u{box:03}" / "cur"
        folder.mkdir(parents=True)
        for number in range(MESSAGES):
            head = b"From: a@bench.example\nMessage-ID: <%d.%d@b>\n\n" % (box, number)
            text = head + _body(source, words, min(int(source.lognormvariate(8.9, 1.5)), 400_000))
            name = f"{1790000000 + number}.M{number}P{box}.mx1,S={len(text)}:2,S"
            (folder / name).write_bytes(text)
            total += len(text)
    return total


def _body(source: random.Random, words: Sequence[str], size: int) -> bytes:
    """Return a body that no compressor and no deduplication has met before.

    What is long is an attachment in base64, as in real mail; what is short is text.
    """
    if size > TEXT_BYTES:
        return base64.encodebytes(source.randbytes(size * 3 // 4))
    return " ".join(source.choices(words, k=size // 8 + 1)).encode()


def _ours(work: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", backup_work.__name__, work, str(folder)]


def _cost(words: Sequence[str], folder: Path) -> Cost:
    """Run a command and return what it and all its descendants took, left behind or not."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = perf_counter()
    subprocess.run(words, check=True, capture_output=True, env=_environment(folder))
    wall_s = perf_counter() - started
    with suppress(ChildProcessError):
        while os.wait():  # a server of worker processes outlives its user, and is nobody's else
            pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall_s


def _environment(folder: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return own | {  # programs start compiled, as they do where they are in use
        "RESTIC_PASSWORD": PASSWORD,
        "RESTIC_CACHE_DIR": str(folder / "cache"),
        "BORG_PASSPHRASE": PASSWORD,
        "BORG_BASE_DIR": str(folder / "borg-home"),
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }


def _rows(folder: Path) -> Iterator[tuple[str, str, list[str], list[str], str]]:
    """Yield title, peer's name, our words, the peer's words, and what is promised."""
    at = str(folder)
    yield (
        "目录，逐封 SHA-256",
        "只读取并计算 SHA-256",
        _ours("files", folder),
        _ours("limit-files", folder),
        "≤ 1.2",
    )
    yield (
        "tar，逐封 SHA-256",
        "整个文件读取并计算 SHA-256",
        _ours("tar", folder),
        _ours("limit-tar", folder),
        "≤ 1.5",
    )
    gzip, zstd = ["gzip", "-t", f"{at}/store.tar.gz"], ["zstd", "-tq", f"{at}/store.tar.zst"]
    yield "tar.gz，逐封 SHA-256", "gzip -t", _ours("tar.gz", folder), gzip, "< 1"
    yield "tar.zst，逐封 SHA-256", "zstd -t", _ours("tar.zst", folder), zstd, "≤ 1.3"
    check = ["restic", "-r", f"{at}/restic", "check", "--read-data", "--no-lock"]
    yield (
        "restic 全部数据",
        "restic check --read-data",
        _ours("restic", folder),
        check,
        "工具加数秒",
    )
    verify = ["borg", "check", "--verify-data", f"{at}/borg"]
    yield "borg 全部数据", "borg check --verify-data", _ours("borg", folder), verify, "工具加数秒"
    find = ["find", f"{at}/store", "-type", "f", "-printf", "%p %s %T@\\n"]
    yield "L2 清点 100,000 封", "find -printf", _ours("census", folder), find, "≤ 2"


def _prepare(folder: Path) -> int:
    """Make the store and its copies; return the store's bytes."""
    size_bytes = make_store(folder / "store")
    for words in (
        ["tar", "-C", str(folder), "-cf", str(folder / "store.tar"), "store"],
        ["gzip", "-k", "-6", str(folder / "store.tar")],
        ["zstd", "-q", "-3", str(folder / "store.tar")],
        ["restic", "init", "-q", "-r", str(folder / "restic")],
        ["restic", "backup", "-q", "-r", str(folder / "restic"), str(folder / "store")],
        ["borg", "init", "-e", "repokey", str(folder / "borg")],
        ["borg", "create", f"{folder / 'borg'}::one", "store"],
    ):
        env = _environment(folder)
        subprocess.run(words, check=True, capture_output=True, env=env, cwd=folder)
    os.sync()  # else the disk is still busy with it while others are measured
    return size_bytes


def backups(folder: Path, say: Callable[[str], None]) -> Iterator[str]:
    """Yield the rows of the table: ours and the peer take turns, the least of each counts."""
    say("backup store of 100,000 messages")
    size_bytes = _prepare(folder)
    count = f"{MAILBOXES * MESSAGES:,} 封、{size_bytes / 1e6:.0f} MB"
    load = os.getloadavg()[0]
    yield f"{count}的合成邮件，缓存已热，双方轮流各 {RUNS} 次，取最小；负载 {load:.0f}。"
    yield "都按整条命令计，启动 Python 在内；CPU 为本进程与子进程之和。"
    yield ""
    titles = ("工作", "mailcare CPU / 用时", "对照", "对照 CPU / 用时")
    ratios = ("CPU 比值", "用时比值", "目标")
    yield f"| {' | '.join((*titles, *ratios))} |"
    yield "|---|---|---|---|---|---|---|"
    for title, peer, ours, theirs, promise in _rows(folder):
        say(title)
        costs = [(_cost(ours, folder), _cost(theirs, folder)) for _ in range(RUNS)]
        yield _row(title, peer, costs, promise)
    yield ""
    yield from _alone(folder, say)


def _row(title: str, peer: str, costs: Sequence[tuple[Cost, Cost]], promise: str) -> str:
    own = [min(one[0][index] for one in costs) for index in (0, 1)]
    other = [min(one[1][index] for one in costs) for index in (0, 1)]
    cells = (
        title,
        f"{own[0]:.2f} / {own[1]:.2f} s",
        peer,
        f"{other[0]:.2f} / {other[1]:.2f} s",
        f"{own[0] / other[0]:.2f}",
        f"{own[1] / other[1]:.2f}",
        promise,
    )
    return f"| {' | '.join(cells)} |"


def _alone(folder: Path, say: Callable[[str], None]) -> Iterator[str]:
    say("inventory of ten million messages, service drill")
    words = _ours("inventory", folder)
    done = subprocess.run(words, check=True, capture_output=True, env=_environment(folder))
    peak_mib = json.loads(done.stdout)["peak_kib"] / 1024
    count = LISTED_MAILBOXES * LISTED_MESSAGES
    boxes = f"{LISTED_MAILBOXES:,} 个邮箱"
    yield f"- 清点 {count:,} 封（{boxes}）：内存峰值 {peak_mib:.0f} MiB（目标 < 100）。"
    words = _ours("service", folder)
    done = subprocess.run(words, check=True, capture_output=True, env=_environment(folder))
    rate = 10 * MESSAGES / json.loads(done.stdout)["seconds"]
    yield f"- L5 服务演练：10 个邮箱 {10 * MESSAGES:,} 封，每秒 {rate:,.0f} 封（目标 ≥ 1,000）。"
