"""What only a person can find out: the items of the seed's annex 2 that no check measures."""

from collections.abc import Callable, Iterator

from mailcare.inspection.check import (
    Area,
    Ask,
    Channel,
    Check,
    Question,
    Reply,
    ReplyError,
    Subject,
    Target,
    Verdict,
)
from mailcare.systems.system import System

ANNEX_2 = "服务方案附件二《巡检报告》"


def _ask_person(sentence: str) -> Callable[[System], Iterator[Question]]:
    def ask(_system: System) -> Iterator[Question]:
        yield Question(Target(), (Ask(Channel.PERSON, (sentence,)),))

    return ask


def _ask_secondary_development(system: System) -> Iterator[Question]:
    known = system.profile.secondary_development.value
    if known == ():
        return
    functions = (
        "、".join(one.name for one in known) if known else "（档案未填写，请先向客户核实有无）"
    )
    yield from _ask_person(f"逐项确认二次开发后的功能运行正常：{functions}。")(system)


def _parse(_replies: tuple[Reply, ...]) -> None:
    raise ReplyError("此项由工程师人工确认，尚未填写")


def _judge(_fact: None, _limits: None, _subject: Subject) -> Iterator[Verdict]:
    return iter(())


def _check(
    name: str, area: Area, title: str, question: str, *, ask: Callable[[System], Iterator[Question]]
) -> Check[None, None]:
    return Check(
        name=name,
        area=area,
        title=title,
        question=question,
        ask=ask,
        parse=_parse,
        judge=_judge,
        limits=None,
        source=ANNEX_2,
    )


CHECKS = (
    _check(
        "app.patches",
        Area.APP,
        "邮件系统升级与补丁",
        "邮件系统是否需要升级或补丁更新？",
        ask=_ask_person("将邮件系统当前版本与厂商最新发布对照，确认是否需要升级或补丁更新。"),
    ),
    _check(
        "app.secondary_development",
        Area.APP,
        "二次开发功能",
        "二次开发后的功能是否正常？",
        ask=_ask_secondary_development,
    ),
    _check(
        "os.serious_bugs",
        Area.OS,
        "操作系统严重缺陷",
        "操作系统是否存在已知的严重缺陷？",
        ask=_ask_person("对照操作系统厂商的安全公告，检查待装安全更新与已知严重 Bug，并及时通告。"),
    ),
    _check(
        "function.advanced",
        Area.FUNCTION,
        "高级功能",
        "归档、审核、查询等高级功能是否正常？",
        ask=_ask_person(
            "登录管理界面，确认归档、审核、查询功能可用：归档能检索、审核能放行、查询有结果。"
        ),
    ),
    _check(
        "hardware.temperature",
        Area.HARDWARE,
        "设备及温度",
        "设备温度、风扇、电源和指示灯是否正常？",
        ask=_ask_person(
            "查看服务器面板或管理口（BMC）：指示灯、电源、风扇、磁盘状态和温度是否正常。"
        ),
    ),
    _check(
        "network.bandwidth",
        Area.NETWORK,
        "网络带宽占用",
        "网络带宽占用是否正常？",
        ask=_ask_person("查看交换机或出口设备的流量图，确认邮件系统高峰时段的带宽占用是否正常。"),
    ),
)
