"""What levels, clocks, events and their words are called, on pages, in letters and in a shell."""

from datetime import datetime

from mailcare.clock import BEIJING
from mailcare.deadlines import Unit
from mailcare.faults.clocks import Clock, Kind, State
from mailcare.faults.standing import Stage
from mailcare.workdays import ONE_DAY

KIND_TITLES = {Kind.RESPONSE: "响应", Kind.RESOLUTION: "处理", Kind.REPORT: "报告"}
STATE_TITLES = {
    State.RUNNING: "计时中",
    State.HELD: "暂停",
    State.MET: "按时完成",
    State.SUPERSEDED: "已由新一轮取代",
    State.CANCELLED: "已撤销或合并",
}
STAGE_TITLES = {
    Stage.DECLARED: "待受理",
    Stage.ACCEPTED: "处理中",
    Stage.PAUSED: "已暂停",
    Stage.HANDLED: "已处理，待送报告",
    Stage.REPORTED: "报告已送达",
    Stage.SIGNED: "客户已签字",
    Stage.CANCELLED: "已撤销",
    Stage.MERGED: "已合并",
}
RUNG_TITLES = {"engineer": "工程师", "manager": "主管", "director": "总监"}
REASON_TITLES = {
    "awaiting_authorisation": "等待远程授权",
    "customer_change_window": "等待客户变更窗口",
    "customer_asked": "客户要求等待",
    "third_party": "合同外第三方原因",
}
WORD_TITLES = REASON_TITLES | {
    "worsened": "情况恶化",
    "misclassified": "定级更正",
    "fix": "彻底解决",
    "workaround": "替代方法，经确认有效",
    "phone": "电话",
    "chat": "即时通讯",
    "email": "邮件",
    "onsite": "现场",
    "auto": "自动回复",
    "program": "程序",
}


def state_title(clock: Clock) -> str:
    """Say how a clock stands."""
    if clock.state is State.LATE:
        return breach_word(is_soft=clock.is_soft)
    return STATE_TITLES[clock.state]


def breach_word(*, is_soft: bool) -> str:
    """Say what an exceeded deadline is called: a target is not a promise."""
    return "超目标" if is_soft else "违约"


def left_of(clock: Clock, at: datetime) -> str:
    """Say how much time a clock has left, by how much it is over, or how it stands."""
    if clock.stopped_at or clock.is_held or clock.due_at is None:
        return state_title(clock)
    left_s = (clock.due_at - at).total_seconds()
    return f"还剩 {duration(left_s)}" if left_s >= 0 else f"已超 {duration(left_s)}"


def due_text(clock: Clock) -> str:
    """Say when a clock is due, and what makes that uncertain; a day's end is its 24:00."""
    if clock.due_at is None:
        return "恢复后确定"
    mark = ""
    if clock.is_provisional and clock.earliest_due_at:
        mark = f"（暂行，最早 {_ends(clock.earliest_due_at, clock.unit)}）"
    return f"{_ends(clock.due_at, clock.unit)}{mark}"


def _ends(due_at: datetime, unit: Unit | None) -> str:
    if unit is Unit.DAYS:
        return f"{due_at.astimezone(BEIJING).date() - ONE_DAY} 24:00"
    return moment(due_at)


def duration(length_s: float) -> str:
    """Write a length of time to the minute, its two greatest units only; the sign is left out."""
    minutes = int(abs(length_s)) // 60
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days}天{hours}小时"
    return f"{hours}小时{rest}分" if hours else f"{rest}分"


def moment(at: datetime) -> str:
    """Write a moment in Beijing time, to the second."""
    return f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"
