"""A small system and small checks for tests of the rules around checks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from mailcare.inspection.check import (
    Area,
    Ask,
    Channel,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.levels import Ceiling
from mailcare.systems.site import load_site
from mailcare.systems.system import System

AT = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
LAB_SITE = Path(__file__).resolve().parents[2] / "lab" / "site.yaml"


@cache  # reading YAML takes longer than most tests; a system is never changed
def lab_system() -> System:
    site = load_site(LAB_SITE)
    return System(site, site.profile())


def reply(text: str, exit_code: int = 0, source: str = "ssh://mx1") -> Reply:
    return Reply(text, exit_code, AT, source)


MX1 = Target("mx1")


@dataclass(frozen=True, slots=True)
class Number:
    value: float


def ask_mx1(*words: str) -> Ask:
    return Ask(Channel.SSH, words, node="mx1")


def parse_number(replies: tuple[Reply, ...]) -> Number:
    try:
        return Number(float(replies[0].text))
    except ValueError:
        raise ReplyError(f"不是数字：{replies[0].text}") from None


def judge_number(fact: Number, limits: Ceiling, _subject: Subject) -> Iterable[Verdict]:
    yield Verdict(limits.severity(fact.value), f"值 {fact.value:g}", "请处理")


def number_check(
    name: str, *, after: tuple[str, ...] = (), target: Target = MX1
) -> Check[Number, Ceiling]:
    return Check(
        name=name,
        area=Area.OS,
        title=name,
        question="是多少？",
        ask=lambda _system: [Question(target, (ask_mx1("cat", name),))],
        parse=parse_number,
        judge=judge_number,
        limits=Ceiling(5, 9),
        source="test",
        after=after,
    )


BAD = Severity.CRITICAL
