"""Temperatures, fans and power supplies, from the kernel's sensors and the management controller.

hwmon and thermal zones tell millidegrees, with the limits that the maker set; `ipmitool sdr` tells
the controller's own verdict on each sensor.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailcare.inspection.check import (
    Area,
    Check,
    Question,
    Reply,
    ReplyError,
    Severity,
    Subject,
    Target,
    Verdict,
)
from mailcare.inspection.hosts import LOGIN_FIRST, NOT_FOUND, asked_hosts, host_ask, lines_of
from mailcare.inspection.levels import Ceiling
from mailcare.inspection.machines import KIND, kind_of, nothing_to_judge
from mailcare.systems.site import Machine
from mailcare.systems.system import System

# Kernels before 3.x keep the files of a chip in its device directory.
_KERNEL = (
    "sh",
    "-c",
    'first() { head -n 1 "$@" 2>/dev/null; }; '
    "for chip in /sys/class/hwmon/hwmon*; do "
    'for file in "$chip"/temp*_input "$chip"/fan*_input "$chip"/device/temp*_input '
    '"$chip"/device/fan*_input; do [ -r "$file" ] || continue; one=${file%_input}; '
    'name=$(first "$chip/name"); [ -n "$name" ] || name=$(first "$chip/device/name"); '
    'echo "hwmon|$name|${one##*/}|$(first "${one}_label")|$(first "$file")|'
    '$(first "${one}_max")|$(first "${one}_crit")|$(first "${one}_min")"; done; done; '
    "for zone in /sys/class/thermal/thermal_zone*; do "
    '[ -r "$zone/temp" ] || continue; limit=; for trip in "$zone"/trip_point_*_type; do '
    '[ "$(first "$trip")" = critical ] && limit=$(first "${trip%_type}_temp"); done; '
    'echo "zone|$(first "$zone/type")|${zone##*/}||$(first "$zone/temp")||$limit|"; done; '
    "echo end",
)
_CONTROLLER = (
    "sh",
    "-c",
    "command -v ipmitool >/dev/null || exit 127; "
    "[ -e /dev/ipmi0 ] || [ -e /dev/ipmi/0 ] || [ -e /dev/ipmidev/0 ] || exit 127; "
    "ipmitool sdr elist 2>/dev/null || sudo -n ipmitool sdr elist",
)
_CONTROLLER_S = 30.0
_NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)
_DEGREES = re.compile(r"^(-?\d{1,3}) degrees C$", re.ASCII)
_TROUBLE = re.compile(
    r"failure detected|ac lost|input lost|redundancy lost|predictive failure(?! deasserted)|"
    r"\bfault\b|non-recoverable|drive fault|over-?temp",
    re.IGNORECASE,
)
_STATUSES = {
    "ok": Severity.OK,
    "nc": Severity.WARNING,
    "lnc": Severity.WARNING,
    "unc": Severity.WARNING,
    "cr": Severity.CRITICAL,
    "lcr": Severity.CRITICAL,
    "ucr": Severity.CRITICAL,
    "nr": Severity.CRITICAL,
    "lnr": Severity.CRITICAL,
    "unr": Severity.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class Thermometer:
    """A temperature in degrees Celsius; `high_c` and `critical_c` are the maker's limits."""

    name: str
    value_c: float
    high_c: float | None
    critical_c: float | None


@dataclass(frozen=True, slots=True)
class Fan:
    """A fan that turns slower than its maker allows is failing; 0 where no limit is set."""

    name: str
    value_rpm: int
    least_rpm: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A sensor of the management controller, and how bad the controller finds it."""

    name: str
    severity: Severity
    text: str
    value_c: float | None


@dataclass(frozen=True, slots=True)
class Sensors:
    """All that a host can tell of its own hardware."""

    kind: Machine | None
    thermometers: tuple[Thermometer, ...]
    fans: tuple[Fan, ...]
    readings: tuple[Reading, ...]
    is_controller_mute: bool = False


@dataclass(frozen=True, slots=True)
class SensorLimits:
    """Degrees, for sensors without limits of their own."""

    temperature_c: Ceiling


def _ask(system: System) -> Iterator[Question]:
    for node in asked_hosts(system):
        kernel, kind = host_ask(node, *_KERNEL), host_ask(node, *KIND)
        controller = host_ask(node, *_CONTROLLER, timeout_s=_CONTROLLER_S)
        yield Question(Target(node.name), (kernel, controller, kind))


def _parse(replies: tuple[Reply, ...]) -> Sensors:
    lines = lines_of(replies[0].text, width=300)
    if "end" not in lines:
        raise ReplyError("传感器的读取没有完成")
    rows = [line.split("|") for line in lines if line.count("|") == 7]
    readings = () if replies[1].exit_code == NOT_FOUND else _readings(replies[1])
    is_mute = replies[1].exit_code != NOT_FOUND and not readings
    sensors = Sensors(kind_of(replies[2]), _thermometers(rows), _fans(rows), readings, is_mute)
    if is_mute and not sensors.thermometers:
        raise ReplyError("ipmitool 读取失败：请授权巡检账号以 sudo 免密执行 ipmitool sdr elist")
    return sensors


def _thermometers(rows: list[list[str]]) -> tuple[Thermometer, ...]:
    found = []
    for kind, chip, sensor, label, value, high, critical, _least in rows:
        degrees = _celsius(value)
        # A pin without a sensor behind it reads as one end of the scale.
        is_sensed = degrees is not None and -30 < degrees < 120 and not label.startswith("AUXTIN")
        if degrees and is_sensed and (kind == "zone" or sensor.startswith("temp")):
            name = f"{chip} {label or sensor}"
            found.append(Thermometer(name, degrees, _celsius(high), _celsius(critical)))
    return tuple(found)


def _celsius(text: str) -> float | None:
    """Return millidegrees as degrees; None for what is no number or no limit worth the name."""
    degrees = int(text) / 1000 if _NUMBER.fullmatch(text) else 0
    return degrees or None


def _fans(rows: list[list[str]]) -> tuple[Fan, ...]:
    return tuple(
        Fan(f"{row[1]} {row[3] or row[2]}", int(row[4]), int(row[7] or 0))
        for row in rows
        if row[2].startswith("fan")
        and _NUMBER.fullmatch(row[4])
        and (not row[7] or _NUMBER.fullmatch(row[7]))
    )


def _readings(reply: Reply) -> tuple[Reading, ...]:
    found = []
    for line in lines_of(reply.text, width=300):
        words = [word.strip() for word in line.split("|")]
        if len(words) == 5 and words[2] in _STATUSES:
            degrees = _DEGREES.match(words[4])
            severity = Severity.CRITICAL if _TROUBLE.search(words[4]) else _STATUSES[words[2]]
            value_c = float(degrees[1]) if degrees else None
            found.append(Reading(words[0], severity, words[4], value_c))
    return tuple(found)


def _judge(sensors: Sensors, limits: SensorLimits, subject: Subject) -> Iterator[Verdict]:
    if not (sensors.thermometers or sensors.readings):
        raise nothing_to_judge(
            sensors.kind,
            subject,
            virtual="虚拟机，没有自己的温度、风扇与电源传感器",
            physical="系统内读不到传感器：请查看服务器面板或管理口（BMC）的温度、风扇、电源和指示灯。",
        )
    bad = [*_hot(sensors, limits), *_slow(sensors), *_reported(sensors)]
    yield from bad
    if not bad:
        yield _calm(sensors, limits)


def _hot(sensors: Sensors, limits: SensorLimits) -> Iterator[Verdict]:
    for one in sensors.thermometers:
        ceiling = _ceiling(one, limits.temperature_c)
        if severity := ceiling.severity(one.value_c):
            yield Verdict(
                severity,
                f"{one.name} 温度 {one.value_c:.0f} ℃"
                f"（警告 ≥ {ceiling.warning:g} ℃，严重 ≥ {ceiling.critical:g} ℃）",
                "请检查机房空调、风扇转速、防尘网和散热器；持续升高时先安排停机，以免损坏硬件。",
                metrics={"temperature_c": one.value_c},
                part=one.name,
            )


def _ceiling(one: Thermometer, default: Ceiling) -> Ceiling:
    critical = one.critical_c or max(default.critical, one.high_c or 0)
    high = one.high_c if one.high_c and one.high_c < critical else default.warning
    return Ceiling(min(high, critical), critical)


def _slow(sensors: Sensors) -> Iterator[Verdict]:
    for fan in sensors.fans:
        if fan.value_rpm < fan.least_rpm:
            yield Verdict(
                Severity.WARNING,
                f"{fan.name} 转速 {fan.value_rpm} RPM，低于下限 {fan.least_rpm} RPM",
                "请现场检查该风扇，必要时更换。",
                metrics={"fan_rpm": float(fan.value_rpm)},
                part=fan.name,
            )


def _reported(sensors: Sensors) -> Iterator[Verdict]:
    for one in sensors.readings:
        if one.severity:
            yield Verdict(
                one.severity,
                f"管理控制器报告 {one.name} 异常：{one.text}（应为 ok）",
                "请在管理口（BMC）核对该部件及系统事件日志，联系硬件厂商更换。",
                evidence=(f"{one.name} | {one.text}",),
                part=one.name,
            )


def _calm(sensors: Sensors, limits: SensorLimits) -> Verdict:
    degrees = [one.value_c for one in (*sensors.thermometers, *sensors.readings) if one.value_c]
    count = len(sensors.thermometers) + len(sensors.fans) + len(sensors.readings)
    unread = "；管理控制器未能读取，风扇与电源未全部检查" if sensors.is_controller_mute else ""
    if not degrees:
        return Verdict(Severity.OK, f"{count} 个传感器均正常（没有温度读数）{unread}")
    highest, ceiling = max(degrees), limits.temperature_c
    return Verdict(
        Severity.OK,
        f"{count} 个传感器均正常，最高温度 {highest:.0f} ℃"
        f"（部件无自带界限时：警告 ≥ {ceiling.warning:g} ℃，严重 ≥ {ceiling.critical:g} ℃）"
        f"{unread}",
        metrics={"temperature_c": highest},
    )


CHECKS = (
    Check(
        name="hardware.sensors",
        area=Area.HARDWARE,
        title="设备及温度",
        question="设备的温度、风扇、电源是否正常？",
        ask=_ask,
        parse=_parse,
        judge=_judge,
        limits=SensorLimits(temperature_c=Ceiling(warning=85, critical=95)),
        source="内核 hwmon sysfs-interface（部件自带的 max、crit）；ipmitool(1) sdr；"
        "无自带界限时为经验值",
        after=LOGIN_FIRST,
    ),
)
