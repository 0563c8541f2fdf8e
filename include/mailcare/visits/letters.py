"""The letters about a visit, in words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from mailcare.clock import BEIJING

GREETING = "您好！"


@dataclass(frozen=True, slots=True)
class About:
    """Which visit a letter is about, and who writes it."""

    number: str
    customer: str
    system: str
    place: str
    engineer: str
    vendor: str


@dataclass(frozen=True, slots=True)
class Text:
    """Subject and body."""

    subject: str
    body: str


def offer(
    about: About, offered: Sequence[Sequence[date]], *, link: str, until: datetime, note: str
) -> Text:
    """Return the letter that proposes days; without `link` the answer comes by phone or mail."""
    choices = "\n".join(f"  {number}. {_listed(days)}" for number, days in enumerate(offered, 1))
    answer = (
        f"请在 {until.astimezone(BEIJING):%Y-%m-%d %H:%M}（北京时间）前打开以下链接，选定其中一项，"
        f"或提出您方便的日期。链接只能使用一次，无需登录，请勿转发：\n\n{link}\n"
        if link
        else "请电话或回复本邮件告知您选定的日期，或提出您方便的日期。\n"
    )
    body = (
        f"拟于以下日期之一进行现场巡检（连续 3 个工作日）：\n\n{choices}\n\n{_said(note)}{answer}"
    )
    return _text(about, "请确认现场巡检日期", body)


def agreed(about: About, days: Sequence[date], *, note: str = "") -> Text:
    """Return the letter that confirms days."""
    body = f"现场巡检日期已约定：{_listed(days)}。随信附上日程邀请，请接受。\n{_said(note)}"
    return _text(about, "现场巡检日期已约定", f"{body}{_programme()}")


def moved(about: About, days: Sequence[date], *, note: str) -> Text:
    """Return the letter that says that days were moved."""
    body = f"现场巡检改期至：{_listed(days)}。随信附上更新后的日程邀请。\n{_said(note)}"
    return _text(about, "现场巡检改期", body)


def reassigned(about: About, days: Sequence[date]) -> Text:
    """Return the letter that says that another engineer comes, or to another place."""
    body = (
        f"{_listed(days)} 的现场巡检，工程师或服务地点有变更，以下列信息为准，日期不变。"
        "随信附上更新后的日程邀请。\n"
    )
    return _text(about, "现场巡检人员或地点变更", body)


def released(about: About, days: Sequence[date]) -> Text:
    """Return the letter to an engineer who no longer goes."""
    body = f"{_listed(days)} 的现场巡检改由 {about.engineer} 前往，随信附上日程取消通知。\n"
    return _text(about, "现场巡检改派", body)


def called_off(about: About, days: Sequence[date], *, note: str) -> Text:
    """Return the letter that takes agreed days back."""
    told = f"原定 {_listed(days)} 的现场巡检取消，本次服务次数退回，随信附上日程取消通知。\n"
    body = f"{told}{_said(note)}"
    return _text(about, "现场巡检取消", body)


def reminder(about: About, days: Sequence[date], *, ahead: int) -> Text:
    """Return the letter that reminds of agreed days, so many working days ahead."""
    body = (
        f"提醒：{ahead} 个工作日后开始现场巡检，日期 {_listed(days)}。\n"
        "请预先安排机房出入、管理员陪同及培训场地；如需改期请尽快告知。\n"
    )
    return _text(about, f"现场巡检提醒（提前 {ahead} 个工作日）", body)


def countered(about: About, days: Sequence[date], *, said_by: str, note: str) -> Text:
    """Return what our own people are told when the customer wants other days."""
    wish = f"客户（{said_by}）希望改在 {_listed(days)} 进行现场巡检。"
    body = f"{wish}请在控制台接受，或另行提出日期。\n"
    return _text(about, "客户另提现场巡检日期", f"{body}{_said(note)}")


def _text(about: About, title: str, body: str) -> Text:
    facts = (
        f"编号：{about.number}\n客户：{about.customer}\n系统：{about.system}\n"
        f"地点：{about.place}\n工程师：{about.engineer or '待定'}\n"
    )
    return Text(
        f"【{title}】{about.customer} {about.number}",
        f"{GREETING}\n\n{body}\n{facts}\n{about.vendor}\n",
    )


def _programme() -> str:
    return "第一天：硬件设备运行情况；第二天：系统整体性能运行分析；第三天：培训与交流。\n"


def _said(note: str) -> str:
    return f"说明：{note}\n" if note else ""


def _listed(days: Sequence[date]) -> str:
    return "、".join(f"{day:%Y-%m-%d}" for day in days)
