"""The calendar invitation of a visit that is agreed (RFC 5545, RFC 5546). Pure."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from icalendar import Calendar, Event, vCalAddress, vText

from mailcare.workdays import ONE_DAY

PRODUCT = "-//mailcare//visits//ZH"


class Purpose(StrEnum):
    """What an invitation asks of the calendar.

    To hold the days (anew), to let them go, or to let them go for these attendees only.
    """

    HOLD = "hold"
    CALL_OFF = "call_off"
    UNINVITE = "uninvite"


METHODS = {Purpose.HOLD: "REQUEST", Purpose.CALL_OFF: "CANCEL", Purpose.UNINVITE: "CANCEL"}
# RFC 5546, 3.2.5: no status where the event goes on without these attendees.
STATUSES = {Purpose.HOLD: "CONFIRMED", Purpose.CALL_OFF: "CANCELLED"}


@dataclass(frozen=True, slots=True)
class Meeting:
    """What both sides agree on; `sequence` grows with each change, the number stays.

    `days` are the working days; the event spans them, and says them where rest days lie between.
    """

    number: str
    sequence: int
    days: tuple[date, ...]
    customer: str
    system: str
    place: str
    engineer: str
    organizer: str
    attendees: tuple[str, ...]


def invitation(meeting: Meeting, purpose: Purpose, *, at: datetime) -> bytes:
    """Return the .ics file; `at` is the moment of the change."""
    event = Event()
    event.add("uid", f"{meeting.number}@mailcare")
    event.add("dtstamp", at)
    event.add("sequence", meeting.sequence)
    event.add("summary", f"现场巡检 {meeting.number}（{meeting.customer}）")
    event.add("dtstart", meeting.days[0])
    event.add("dtend", meeting.days[-1] + ONE_DAY)  # the end of a whole-day event is left out
    event.add("location", meeting.place)
    event.add("description", _description(meeting))
    if purpose in STATUSES:
        event.add("status", STATUSES[purpose])
    event.add("transp", "OPAQUE")
    event.add("organizer", vCalAddress(f"mailto:{meeting.organizer}"))
    for one in meeting.attendees:
        event.add("attendee", _attendee(one))
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("method", METHODS[purpose])
    calendar.add_component(event)
    return calendar.to_ical()


def _description(meeting: Meeting) -> str:
    days = "、".join(day.isoformat() for day in meeting.days)
    return (
        f"系统：{meeting.system}\n工作日：{days}\n工程师：{meeting.engineer}\n"
        "第一天：硬件设备运行情况；第二天：系统整体性能运行分析；第三天：培训与交流。"
    )


def _attendee(address: str) -> vCalAddress:
    attendee = vCalAddress(f"mailto:{address}")
    attendee.params["ROLE"] = vText("REQ-PARTICIPANT")
    attendee.params["PARTSTAT"] = vText("NEEDS-ACTION")
    attendee.params["RSVP"] = vText("FALSE")
    return attendee
