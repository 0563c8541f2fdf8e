"""Write `docs/checks.md` from the checks themselves and their recorded replies.

`python -m setup.checks_page` writes it, `--stale` ends with 1 where the page is not what the code
says. Limits and sources are those that judge; the advice is what the recorded bad replies get.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mailcare.inspection.check import Channel, Question, Severity
from mailcare.inspection.checks import all_checks
from mailcare.inspection.planning import AnyCheck
from mailcare.papers.inspection import limits_text
from mailcare.papers.wording import AREAS, STATES
from mailcare.systems.profile import ProfileGap
from tests.inspection.checks.reply_files import advice_of
from tests.inspection.samples import lab_system

PAGE = Path(__file__).resolve().parents[1] / "docs" / "checks.md"
COMMAND_WIDTH = 100
ASKS_MAX = 4

HEAD = """\
# 检查项

<!-- 由 `python -m setup.checks_page` 从代码生成，请勿手工修改。 -->

每次巡检做以下 {count} 项检查。“命令与探测”以实验环境为例；“建议”取自各检查的样例回复，
实际报告按测得的值给出。没有取得数据的检查记为“未测得”，既不算正常，也不算故障。
"""


def page() -> str:
    """Return the whole page as Markdown."""
    checks = sorted(all_checks(), key=lambda check: (list(AREAS).index(check.area), check.name))
    titles = {check.name: check.title for check in checks}
    parts = [HEAD.format(count=len(checks))]
    for area, title in AREAS.items():
        own = [check for check in checks if check.area is area]
        if own:
            parts.append(f"## {title}\n")
            parts.extend(_section(check, titles) for check in own)
    return "\n".join(parts)


def _section(check: AnyCheck, titles: dict[str, str]) -> str:
    rows = [
        ("命令与探测", "；".join(f"`{one}`" for one in _asked(check))),
        ("界限", limits_text(check.limits)),
        ("依据", check.source),
        ("先看", "、".join(titles[name] for name in check.after)),
    ]
    lines = [f"### {check.title} `{check.name}`\n", f"{check.question}\n"]
    lines += [f"- {label}：{text}" for label, text in rows if text]
    advice = list(_advice(check))
    lines += ["- 建议：", *advice] if advice else []
    return "\n".join([*lines, ""])


def _asked(check: AnyCheck) -> Iterator[str]:
    asks = [ask for question in _questions(check)[:1] for ask in question.asks]
    for ask in dict.fromkeys((ask.channel, ask.words) for ask in asks[:ASKS_MAX]):
        channel, words = ask
        text = " ".join(" ".join(words).split()).replace("`", "'")
        shown = text if len(text) <= COMMAND_WIDTH else f"{text[:COMMAND_WIDTH]}…"
        yield "人工" if channel is Channel.PERSON else f"{channel}: {shown}"


def _questions(check: AnyCheck) -> Sequence[Question]:
    try:
        return list(check.ask(lab_system()))
    except ProfileGap:
        return ()


def _advice(check: AnyCheck) -> Iterator[str]:
    found = advice_of(check.name)
    for advice in dict.fromkeys(
        text for _, text in sorted(found, key=lambda row: (-row[0], row[1]))
    ):
        levels = [
            STATES[one.name.lower()] for one in sorted(Severity)[::-1] if (one, advice) in found
        ]
        yield f"  - {'、'.join(levels)}：{' '.join(advice.split())}"


def main(words: Sequence[str]) -> int:
    """Write the page, or tell whether it is stale."""
    text = page()
    if "--stale" not in words:
        PAGE.write_text(text, "utf-8")
        return 0
    if PAGE.read_text("utf-8") == text:
        return 0
    sys.stderr.write("docs/checks.md is stale: run `make fix`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
