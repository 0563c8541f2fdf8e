"""The form of the seed's annex 2: every field, in its order and wording, and what answers it.

A field is answered by what a person wrote, else by what the site file declares and the results of
the checks that it names. What was not checked or not measured says so: it never looks like good
news.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from mailcare.inspection.check import Area
from mailcare.papers.document import Json
from mailcare.papers.formats import BLANK
from mailcare.papers.items import Item, in_state
from mailcare.papers.wording import AREAS, STATES
from mailcare.systems.site import Contact, Deployment, Site
from mailcare.systems.system import System

Select = Callable[[Item], bool]
Tell = Callable[[Sequence[Item]], list[str]]

NOT_CHECKED = "本次未检查"
LINES_MAX = 4
REASONS_MAX = 2


def in_areas(*areas: Area) -> Select:
    """Select the results of these areas."""
    return lambda item: item.check.area in areas


def named(*patterns: str) -> Select:
    """Select the results of the checks whose names match."""
    return lambda item: any(fnmatchcase(item.check.name, pattern) for pattern in patterns)


def tell_each(items: Sequence[Item]) -> list[str]:
    """Tell what each result says, with its state where that is not simply good."""
    lines = [_line(item) for item in items[:LINES_MAX]]
    rest = len(items) - LINES_MAX
    return [*lines, f"其余 {rest} 项见第三部分"] if rest > 0 else lines


def tell_named(items: Sequence[Item]) -> list[str]:
    """Tell what each result says under the title of its check."""
    lines = [f"{item.check.title}：{_line(item)}" for item in items[:LINES_MAX]]
    rest = len(items) - LINES_MAX
    return [*lines, f"其余 {rest} 项见第三部分"] if rest > 0 else lines


def tell_need(items: Sequence[Item]) -> list[str]:
    """Tell whether something has to be done, and what; as `tell_state` where nothing is wrong."""
    told = tell_state(items)
    if any(item.is_bad for item in items):
        return [f"需要（{told[0].removeprefix('异常：')}）", *told[1:]]
    if in_state(items, "ok"):
        return [f"目前不需要：{told[0]}", *told[1:]]
    return told


def tell_state(items: Sequence[Item]) -> list[str]:
    """Tell whether all is well, then the worst problems, the unmeasured and the manual ones."""
    own = [item for item in items if item.is_bad and item.cause is None]
    explained = [item for item in items if item.is_bad and item.cause is not None]
    lines = [] if _is_only_reasons(items) else [verdict(items)]
    lines.extend(_line(item) for item in own[:LINES_MAX])
    if len(own) > LINES_MAX:
        lines.append(f"其余 {len(own) - LINES_MAX} 项见第三部分")
    if explained:
        lines.append(f"另有 {len(explained)} 项由其他问题引起，见第三部分")
    lines.extend(_reasons("unmeasured", items))
    lines.extend(_reasons("manual", items))
    return lines


def verdict(items: Sequence[Item]) -> str:
    """Say in a few words how these results stand together."""
    bad = in_state(items, "critical", "warning")
    notices, good = in_state(items, "notice"), in_state(items, "ok")
    unmeasured = in_state(items, "unmeasured")
    if bad:
        return "异常：" + "，".join(_counted(bad, state) for state in _states_in(bad))
    if notices:
        return f"未见异常，有 {len(notices)} 项提示" + _and_unmeasured(unmeasured)
    if good and unmeasured:
        return f"已测的 {len(good)} 项正常" + _and_unmeasured(unmeasured)
    if good:
        return f"正常（{len(good)} 项检查）"
    return _nothing_measured(items)


def _is_only_reasons(items: Sequence[Item]) -> bool:
    return bool(items) and all(item.state in {"unmeasured", "manual"} for item in items)


def _nothing_measured(items: Sequence[Item]) -> str:
    if not items:
        return NOT_CHECKED
    if in_state(items, "unmeasured"):
        return STATES["unmeasured"]
    return "待人工确认" if in_state(items, "manual") else "本系统不涉及"


def _and_unmeasured(unmeasured: Sequence[Item]) -> str:
    return f"，另有 {len(unmeasured)} 项未测得" if unmeasured else ""


def _states_in(items: Iterable[Item]) -> list[str]:
    return list(dict.fromkeys(item.state for item in items))


def _counted(items: Iterable[Item], state: str) -> str:
    return f"{STATES[state]} {len(in_state(items, state))} 项"


def _line(item: Item) -> str:
    # An on-site field about the system as a whole needs no "整个系统" before each answer.
    where = f"{item.target}：" if item.result.target.node or item.result.target.part else ""
    if item.state == "unmeasured":
        return f"{where}未测得：{item.says}"
    if item.state == "manual":
        return f"{where}待人工确认：{item.says}"
    return f"{where}{item.says}" if item.state == "ok" else f"{where}{_marked(item)}"


def _marked(item: Item) -> str:
    return f"〔{STATES[item.state]}〕{item.says}"


def _reasons(state: str, items: Sequence[Item]) -> list[str]:
    reasons = list(dict.fromkeys(item.says for item in in_state(items, state)))
    if not reasons:
        return []
    word = "未测得" if state == "unmeasured" else "待人工确认"
    more = " 等" if len(reasons) > REASONS_MAX else ""
    return [f"{word}：{'；'.join(reasons[:REASONS_MAX])}{more}"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `select` and `tell` turn results into its answer, `remark` stands before it.

    `core` is the check that the field asks about by name, with what to call it: without a result
    of it the answer says that this much was not checked, however good the rest is.
    """

    key: str
    label: str
    select: Select | None = None
    tell: Tell = tell_state
    remark: str = ""
    core: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of the form with its fields."""

    title: str
    fields: tuple[Field, ...]


REMOTE, ON_SITE = "（远程测得）", "（现场测得）"
_LOADS = ("*.cpu", "*.memory", "*.load", "hardware.history")


def _is_of_cpu_or_memory(item: Item) -> bool:
    """Tell whether it answers the field; load and history only where they are a worry."""
    is_worry = item.state in ("warning", "critical")
    return named("*.cpu", "*.memory")(item) or (is_worry and named(*_LOADS)(item))


SECTIONS = (
    Section(
        "系统环境检查",
        (
            Field("os", "1、操作系统安装，版本信息", named("os.release"), tell_each),
            Field(
                "deployment",
                "2、服务器部署情况: (单机/双机/集群/分布式)",
                in_areas(Area.CLUSTER),
            ),
            Field(
                "secondary",
                "3、是否运行着二次开发后的功能",
                named("app.secondary_development*"),
                tell_each,
            ),
        ),
    ),
    # The seed's own numbers: 3 and 5 are not there.
    Section(
        "Turbomail 运行状况检查 (请详细填写)",
        (
            Field("mail_service", "1、mail 服务是否正常运行", in_areas(Area.SERVICE)),
            Field("web_service", "2、web 服务是否正常运行", in_areas(Area.WEB)),
            Field("version", "4、邮件系统目前的版本号", named("app.version"), tell_each),
            Field(
                "patches",
                "6、是否需要升级或补丁更新",
                named("app.advisory", "os.updates", "os.restart"),
                tell_need,
            ),
            Field(
                "os_bugs",
                "7、对操作系统全面地进行检查测试对出现的严重 Bug 及时通告",
                in_areas(Area.OS),
                core=("os.serious_bugs", "严重 Bug"),
            ),
            Field("loops", "8、邮件收发是否正常", in_areas(Area.LOOP, Area.QUEUE)),
            Field(
                "functions",
                "9、邮件系统高级功能如归档、审核、查询能是否正常",
                in_areas(Area.FUNCTION),
                tell_named,
            ),
        ),
    ),
    Section(
        "现场部分",
        (
            Field("cpu_memory", "1、CPU、Memory 使用率", _is_of_cpu_or_memory, tell_each, REMOTE),
            Field(
                "devices",
                "2、设备及温度",
                lambda item: in_areas(Area.HARDWARE)(item) and not named(*_LOADS)(item),
            ),
            Field(
                "bandwidth",
                "3、网络带宽占用是否正常",
                named("network.bandwidth*", "network.errors*"),
            ),
        ),
    ),
    Section(
        "客户培训及内容",
        (
            Field("training_screens", "1、界面使用"),
            Field("training_commands", "2、命令操作"),
            Field("training_architecture", "3、系统架构"),
        ),
    ),
    Section(
        "故障排除",
        (
            Field("faults_network", "1、网络", in_areas(Area.NETWORK)),
            Field("faults_dns", "2、DNS", in_areas(Area.DNS)),
            Field("faults_storage", "3、存储", in_areas(Area.STORAGE)),
        ),
    ),
)

# The areas that no field of the form asks about are told under 其他.
OTHER_AREAS = (Area.TLS, Area.SECURITY, Area.BACKUP)
OTHERS = "others"
FIELD_KEYS = frozenset(field.key for section in SECTIONS for field in section.fields) | {OTHERS}


def fill_form(
    system: System, items: Sequence[Item], written: Mapping[str, str], *, place: str = ""
) -> dict[str, Json]:
    """Return the form's content; `written` are a person's own words by field key.

    `place` is where people were on site; without it the inspection was a remote one.
    Raise `ValueError` for a key that the form has no field for.
    """
    if unknown := set(written) - FIELD_KEYS:
        raise ValueError(f"no such fields: {sorted(unknown)}")
    declared = _from_site(system)
    return {
        "customer": _customer(system.site) | ({"place": place} if place else {}),
        "sections": [
            _section(_held_at(section, place), items, declared, written) for section in SECTIONS
        ],
        "others": [written[OTHERS]] if OTHERS in written else _others(items),
    }


def _held_at(section: Section, place: str) -> Section:
    """Return the section as it reads on site, where its answers were not had from afar."""
    if not place:
        return section
    there = (replace(one, remark=ON_SITE if one.remark else "") for one in section.fields)
    return replace(section, fields=tuple(there))


def _section(
    section: Section,
    items: Sequence[Item],
    declared: Mapping[str, str],
    written: Mapping[str, str],
) -> dict[str, Json]:
    fields: list[Json] = [
        {
            "label": field.label,
            "answer": [written[field.key]]
            if field.key in written
            else _answer(field, items, declared.get(field.key, "")),
        }
        for field in section.fields
    ]
    return {"title": section.title, "fields": fields}


def _answer(field: Field, items: Sequence[Item], declared: str) -> list[str]:
    if field.select is None:
        return [BLANK]
    found = [item for item in items if field.select(item)]
    if declared:
        return [declared, *_seen(field, found)]
    if not found:
        return [NOT_CHECKED]
    lines = [*field.tell(found), *_core_missing(field, found)]
    measured = any(item.state not in {"unmeasured", "manual", "not_applicable"} for item in found)
    return [f"{field.remark}{lines[0]}", *lines[1:]] if measured else lines


def _seen(field: Field, found: Sequence[Item]) -> list[str]:
    """Return what the checks found of what the site file declares."""
    seen = [item for item in found if item.state != "not_applicable"]
    if not found:
        return [f"与实际对照：{NOT_CHECKED}"]
    told = field.tell(seen) if seen else []
    return [f"与实际对照：{told[0]}", *told[1:]] if told else []


def _core_missing(field: Field, found: Sequence[Item]) -> list[str]:
    if field.core is None:
        return []
    name, word = field.core
    return [] if any(item.check.name == name for item in found) else [f"{word}：{NOT_CHECKED}"]


def _others(items: Sequence[Item]) -> list[str]:
    told = [(area, [item for item in items if item.check.area is area]) for area in OTHER_AREAS]
    return [f"{AREAS[area]}：{verdict(found)}" for area, found in told if found] or ["无"]


def _from_site(system: System) -> dict[str, str]:
    chosen = system.site.system.deployment
    boxes = (f"{'☑' if one is chosen else '☐'} {one.label}" for one in Deployment)
    return {
        "deployment": f"{'　'.join(boxes)}（按客户档案）",
        "secondary": _secondary(system),
    }


def _secondary(system: System) -> str:
    known = system.profile.secondary_development.value
    if known is None:
        return ""
    names = "、".join(one.name for one in known)
    return f"是：{names}（按客户档案）" if known else "无（按客户档案）"


def _customer(site: Site) -> dict[str, Json]:
    contact = contact_of(site)
    return {
        "name": site.customer.name,
        "place": site.system.place,
        "contact": contact.name,
        "phone": contact.phone,
    }


def contact_of(site: Site) -> Contact:
    """Return who gets the papers at the customer's, else the first contact."""
    contacts = site.customer.contacts
    return next((one for one in contacts if one.gets_papers), contacts[0])
