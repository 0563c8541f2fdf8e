"""What levels, clocks, events and their words are called, on pages, in letters and in a shell."""

from datetime import datetime, timedelta

from mailcare.clock import BEIJING
from mailcare.deadlines import Level
from mailcare.faults.clocks import Clock, Kind, State

# 服务方案第五部分「故障等级设定」
LEVEL_MEANINGS = {
    Level.P1: "现有的网络停机，或对最终用户的业务运作有重大影响",
    Level.P2: "现有网络的操作性能严重降级，或由于网络性能失常严重影响用户业务运作",
    Level.P3: "网络的操作性能受损，但大部分业务运作仍可正常工作",
    Level.P4: "在产品功能、安装或配置方面需要信息或支持，对用户的业务运作几乎没有影响",
}
KIND_TITLES = {Kind.RESPONSE: "响应", Kind.RESOLUTION: "处理", Kind.REPORT: "报告"}
STATE_TITLES = {
    State.RUNNING: "计时中",
    State.HELD: "暂停",
    State.MET: "按时完成",
    State.SUPERSEDED: "已由新一轮取代",
    State.CANCELLED: "已撤销或合并",
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
    return (
        breach_word(is_soft=clock.is_soft)
        if clock.state is State.LATE
        else (STATE_TITLES[clock.state])
    )


def breach_word(*, is_soft: bool) -> str:
    """Say what an exceeded deadline is called: a target is not a promise."""
    return "超目标" if is_soft else "违约"


def duration(length: timedelta) -> str:
    """Write a length of time to the minute, its greatest two units only."""
    minutes = int(abs(length).total_seconds()) // 60
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days}天{hours}小时"
    return f"{hours}小时{rest}分" if hours else f"{rest}分"


def moment(at: datetime) -> str:
    """Write a moment in Beijing time, to the second."""
    return f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"
