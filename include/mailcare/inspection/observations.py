"""What a person saw on site, as a reply that is held against the check's own limits. Pure.

A person answers a check about one target: how it stands in their judgement, what they saw, and
numbers where the check has limits for them. The worse of the person's word and the limits counts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime
from math import inf

from pydantic import TypeAdapter, ValidationError

from mailcare.inspection.check import (
    Ask,
    Channel,
    Finding,
    Reply,
    ReplyError,
    Severity,
    Target,
)
from mailcare.inspection.levels import Ceiling, Floor
from mailcare.inspection.planning import AnyCheck

Limit = Ceiling | Floor
ON_SITE = "现场"  # tells a person's finding from a measured one of the same target
SINGLE = "value"  # the number of a check whose limits are one pair
_WARNING = "_warning"
PERCENT = "%"
PERSON = "person://"  # begins the source of what a login saw


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that a person can read off a panel or a screen; others than these are slips."""

    title: str
    unit: str = ""
    least: float = 0
    most: float = 1e12


NUMBERS: Mapping[str, Quantity] = {
    SINGLE: Quantity("测得值"),
    "temperature_c": Quantity("温度", "℃", -60, 200),
    "used_pct": Quantity("使用率", PERCENT, most=100),
    "available_pct": Quantity("可用内存", PERCENT, most=100),
    "errors_pct": Quantity("错误包", PERCENT, most=100),
    "corrected": Quantity("已纠正的内存错误", "次"),
    "reallocated": Quantity("重映射扇区", "个"),
    "worn_pct": Quantity("寿命已用", PERCENT),  # NVM Express counts beyond 100
}


@dataclass(frozen=True, slots=True)
class Observation:
    """A person's answer; `numbers` are by the names of `limits_for`."""

    verdict: Severity
    says: str
    advice: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


_FORM = TypeAdapter(Observation)


def person_ask(check: str, target: Target) -> Ask:
    """Return the ask that a person answers about a check and a target."""
    words = (check, str(target.port), target.part)
    return Ask(Channel.PERSON, words, node=target.node)


def write_observation(observation: Observation, *, by: str, at: datetime) -> Reply:
    """Return an observation as the reply that is kept; `by` is the login of who was there."""
    return Reply(_FORM.dump_json(observation).decode(), 0, at, f"{PERSON}{by}")


def read_observation(reply: Reply) -> Observation:
    """Read an observation back; raise `ReplyError` for a text that is none."""
    try:
        return _FORM.validate_json(reply.text)
    except ValidationError:
        raise ReplyError("现场记录的内容无法识别") from None


def limits_for(check: AnyCheck) -> dict[str, Limit]:
    """Return the limits of a check that a number on site can be held against, by its name."""
    if isinstance(check.limits, Ceiling | Floor):
        return {SINGLE: check.limits}
    found = dict(_limits(check.limits)) if is_dataclass(check.limits) else {}
    return {name: limit for name, limit in found.items() if name in NUMBERS}


def _limits(limits: object) -> Iterator[tuple[str, Limit]]:
    assert is_dataclass(limits)
    for one in fields(limits):
        value = getattr(limits, one.name)
        if isinstance(value, Ceiling | Floor):
            yield one.name, value
        elif _WARNING in one.name:
            yield one.name.replace(_WARNING, ""), Ceiling(value, inf)


def quantities_of(check: AnyCheck) -> dict[str, Quantity]:
    """Return the numbers that may be entered about a check, by their names."""
    found = {name: (NUMBERS[name], limit) for name, limit in limits_for(check).items()}
    return {name: _with_unit(quantity, limit.unit) for name, (quantity, limit) in found.items()}


def _with_unit(quantity: Quantity, unit: str) -> Quantity:
    if not unit:
        return quantity
    return replace(quantity, unit=unit, most=100 if unit == PERCENT else quantity.most)


def objections(check: AnyCheck, numbers: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    """Yield the name of each number that cannot be, and what is wrong with it."""
    quantities = quantities_of(check)
    for name, value in numbers.items():
        one = quantities.get(name)
        if one is None:
            yield name, "这一项没有这个数值"
        elif not one.least <= value <= one.most:
            yield name, f"{value:g} 不在 {one.least:g} 至 {one.most:g} 之间"


def judge_observation(check: AnyCheck, target: Target, reply: Reply) -> Finding:
    """Return what a person saw as a finding; raise `ReplyError` where the reply says nothing."""
    seen = read_observation(reply)
    limits = limits_for(check)
    held = {name: limits[name] for name in seen.numbers if name in limits}
    severities = [limit.severity(seen.numbers[name]) for name, limit in held.items()]
    quantities = quantities_of(check)
    told = [_told(quantities[one], seen.numbers[one], limit) for one, limit in held.items()]
    severity = max([seen.verdict, *severities])
    advice = seen.advice or ("请按所列界限处理后复查。" if severity > Severity.OK else "")
    return Finding(
        check.name,
        target,
        severity,
        "；".join([seen.says, *told]),
        advice,
        (f"{reply.source} {seen.says}",),
        {name: seen.numbers[name] for name in held if name != SINGLE},
    )


def _told(quantity: Quantity, value: float, limit: Limit) -> str:
    sign = "≥" if isinstance(limit, Ceiling) else "≤"
    critical = f"，严重 {sign} {limit.critical:g}" if limit.critical != inf else ""
    return (
        f"{quantity.title} {value:g} {quantity.unit}".rstrip()
        + f"（警告 {sign} {limit.warning:g}{critical}）"
    )
