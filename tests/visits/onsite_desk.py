"""A visit of the lab's system whose three days have begun."""

from functools import cache
from pathlib import Path

from mailcare.contracts.forms import read_form
from mailcare.inspection.check import Channel
from mailcare.inspection.collect.script import ask_key
from mailcare.inspection.outcome import read_replies
from mailcare.systems.steps import import_site
from mailcare.visits import steps
from mailcare.visits.forms import ObservationForm, PhotoForm, TrainingForm
from tests.inspection.samples import LAB_SITE
from tests.papers.sample import photo
from tests.visits import desk

SITE = "shili-bank-lab"
RECORDED = LAB_SITE.parent / "recorded.jsonl"
PNG = b"\x89PNG\r\n\x1a\n" + b"not much of a picture"
TRAINING = {
    "topic": "commands",
    "taught_on": desk.FIRST,
    "hours": "2.5",
    "content": "队列查看与服务启停",
    "attendees": "王示例、赵示例",
}


def begun_visit(clock, site: str = SITE, file: Path = LAB_SITE) -> str:
    import_site(file, recorded_by="test")
    number = desk.planned_visit(systems=[site])
    desk.assign(number)
    desk.confirm(number)
    clock.move_to(f"{desk.FIRST}T09:00:00+08:00")
    steps.start_visit(number, by="lin")
    return number


def look(number: str, check: str = "hardware.sensors", node: str = "mx1", **changes) -> None:
    usual = {"check": check, "node": node, "verdict": "ok", "says": "指示灯全绿"}
    form = read_form(ObservationForm, usual | changes)
    steps.observe(number, form, None, PhotoForm(), by="lin")


def teach(number: str, **changes) -> None:
    steps.record_training(number, read_form(TrainingForm, TRAINING | changes), by="lin")


def completed_visit(clock) -> str:
    number = begun_visit(clock)
    clock.move_to("2026-05-13T17:00:00+08:00")
    complete(number)
    return number


def complete(number: str) -> None:
    """Write what the three days were about, and end the visit."""
    look(number, numbers={"temperature_c": 43})
    look(number, check="hardware.cpu", says="空闲", numbers={"used_pct": 12})
    look(number, check="app.version", says="6.0.1")
    teach(number)
    steps.write_entries(number, {"done": "清理队列", "faults_dns": "无"}, by="lin")
    told = PhotoForm(about="机柜", caption="机柜正面")
    steps.add_photo(number, ("IMG_1.jpg", photo((640, 480))), told, by="lin")
    steps.complete_visit(number, by="lin")


@cache
def output() -> bytes:
    """Return what the collector says on mx1, made of the replies that were recorded there."""
    frames = [b"==mailcare:1:begin== 1778461200 sh mx1\n"]
    for ask, reply in read_replies(RECORDED.read_bytes()).items():
        if ask.channel is Channel.SSH and ask.node == "mx1" and ask.words:
            body = reply.text.encode()
            head = f"==mailcare:1:reply== {ask_key(ask)} {reply.exit_code} {len(body)}\n"
            frames.append(head.encode() + body + b"\n")
    return b"".join([*frames, b"==mailcare:1:end== 1778461300 - mx1\n"])
