"""Run the benchmarks and write `docs/benchmarks.md`: `python -m bench [SECTION …]`."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import peers, targets
from bench.backups import backups
from bench.planning import planning
from bench.sweeping import sweeping

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
RUNS = 5
FLEETS = (1, 10, 20)
LIGHT_FLEETS = (100, 1000)

Outcome = dict[str, float]


def say(text: str) -> None:
    """Tell the person before the terminal how far it is."""
    print(text, file=sys.stderr, flush=True)


def ask(how: str, count: int, port: int, folder: Path) -> Outcome:
    """Ask hosts in a process of its own; raise `RuntimeError` where one is lost."""
    words = [sys.executable, "-m", "bench.ask", how, str(count), str(port), str(folder)]
    outcome = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    if outcome["lost"]:
        raise RuntimeError(f"{how}: {outcome['lost']} of {count} hosts lost")
    return outcome


def facts(folder: Path) -> Iterator[str]:
    """Yield the rows of the facts' table: the ways take turns, the median counts."""
    yield "| 主机数 | mailcare | asyncssh 裸连接 | 比值 | Ansible setup | 倍数 | pyinfra | 倍数 |"
    yield "|---|---|---|---|---|---|---|---|"
    with targets.sshd(folder):
        for count in FLEETS:
            say(f"facts of {count} hosts")
            times: dict[str, list[float]] = {"ours": [], "bare": [], "ansible": [], "pyinfra": []}
            for _ in range(RUNS):
                for how in ("ours", "bare"):
                    times[how].append(ask(how, count, targets.SSHD_PORT, folder)["seconds"])
                times["ansible"].append(peers.ansible(count, folder))
                times["pyinfra"].append(peers.pyinfra(count, folder))
            yield _facts_row(count, {how: statistics.median(one) for how, one in times.items()})


def _facts_row(count: int, seconds: dict[str, float]) -> str:
    own = seconds["ours"]
    cells = [f"{own:.2f} s", f"{seconds['bare']:.2f} s", f"{own / seconds['bare']:.2f}"]
    for how in ("ansible", "pyinfra"):
        cells += [f"{seconds[how]:.2f} s", f"{seconds[how] / own:.1f} ×"]
    return f"| {count} | {' | '.join(cells)} |"


def fleet(folder: Path) -> Iterator[str]:
    """Yield the rows of the light fleets' table, and what each further host costs."""
    yield "| 主机数 | 用时 | 峰值内存 | 回复总量 | 丢失 |"
    yield "|---|---|---|---|---|"
    outcomes: dict[int, Outcome] = {}
    with targets.light(folder):
        for count in LIGHT_FLEETS:
            say(f"{count} light hosts")
            outcome = ask("light", count, targets.LIGHT_PORT, folder)
            outcomes[count] = outcome
            peak_mib, reply_mib = outcome["peak_kib"] / 1024, outcome["reply_bytes"] / 1024**2
            cells = f"{outcome['seconds']:.1f} s | {peak_mib:.0f} MiB | {reply_mib:.1f} MiB"
            yield f"| {count} | {cells} | {outcome['lost']:.0f} |"
    few, many = LIGHT_FLEETS
    grown_kib = (outcomes[many]["peak_kib"] - outcomes[few]["peak_kib"]) / (many - few)
    reply_kib = outcomes[many]["reply_bytes"] / 1024 / many
    yield ""
    yield f"每增加一台主机内存增长 {grown_kib:.1f} KiB，其中它自己的回复 {reply_kib:.1f} KiB。"


def _facts_part(folder: Path) -> Iterator[str]:
    yield (
        f"本机 sshd 的 N 个回环地址，各 {RUNS} 次，取两个对照也收集的信息："
        f"{'、'.join(targets.FACTS)}。"
        "裸连接用 asyncssh 运行同一份采集脚本。"
        f"对照：{'、'.join(peers.VERSIONS)}，同时连接全部主机，Ansible 打开 pipelining。"
    )
    yield ""
    say("peers")
    peers.install()
    yield from facts(folder)


def _fleet_part(folder: Path) -> Iterator[str]:
    yield "一个进程询问应答极快的 SSH 服务。"
    yield ""
    yield from fleet(folder)


def _planning_part(folder: Path) -> Iterator[str]:
    yield "一个进程、SQLite：首次为各合同三年的服务建立计划，再一次则没有新的内容。"
    yield ""
    yield from planning(folder)


def _sweeping_part(folder: Path) -> Iterator[str]:
    yield (
        "一个进程、SQLite：十万个未结故障、一百万个事件，一次检查。依次为：每个故障都须重算而无须通知；没有到期的；"
        "一分钟内到期一千个；停机三天之后，每个故障都有一至两步要通知（各写一条告警和一封信）。"
        "最长事务是写锁一次占用的时间，两个事务之间让其他人先写。"
    )
    yield ""
    yield from sweeping(folder)


PARTS: dict[str, Callable[[Path], Iterator[str]]] = {
    "取得主机信息": _facts_part,
    "大量主机": _fleet_part,
    "服务计划": _planning_part,
    "时限检查": _sweeping_part,
    "备份验证": lambda folder: backups(folder, say),
}


def _head() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"# 性能\n\n由 `make bench` 测得（`PART=备份验证` 只重测一节）：{os.cpu_count()} 核、"
        f"{memory_gib:.0f} GiB 内存，{platform.system()} {platform.release()}，"
        f"Python {platform.python_version()}。"
        "各方式轮流运行，除另有说明外取中位数；看比值，不看绝对值。\n"
    )


def page(old: str, titles: Collection[str], folder: Path) -> str:
    """Return the page as Markdown, with these sections measured anew and the others as before."""
    kept = dict(_section(one) for one in old.split("\n## ")[1:])
    for title in titles:
        measured = "\n".join(PARTS[title](folder))
        kept[title] = f"{datetime.now(UTC):%Y-%m-%d} 测得。{measured}"
    sections = [f"\n## {title}\n\n{kept[title]}\n" for title in PARTS if title in kept]
    return "".join([_head(), *sections])


def _section(text: str) -> tuple[str, str]:
    title, _, body = text.partition("\n")
    return title, body.strip()


def main(titles: Collection[str]) -> None:
    """Measure the named sections, or all, and write the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # the service drill's server runs as somebody else
        targets.make_keys(folder)
        PAGE.write_text(page(PAGE.read_text("utf-8"), titles, folder), "utf-8")
    say(str(PAGE))


if __name__ == "__main__":
    main(sys.argv[1:] or PARTS)
