"""What an on-site visit adds to the inspection report: three days, training, work done, photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from mailcare.papers.document import Json
from mailcare.papers.formats import quantity


@dataclass(frozen=True, slots=True)
class Taught:
    """What was taught on a topic; `field` is the key of annex 2's field that it answers."""

    field: str
    topic: str
    taught_on: date
    hours: str
    content: str
    attendees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo or file that was kept as evidence; `body` is there of the photos that are shown."""

    name: str
    about: str
    caption: str
    size_bytes: int
    sha256: str
    taken_at: datetime
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class OnSite:
    """A visit as its report tells it; `days` are pairs of a day and what was looked at.

    `words` are the engineer's, by the keys of annex 2's fields; `causes` and `done` stand in the
    visit's own part.
    """

    number: str
    place: str
    engineer: str
    days: tuple[tuple[date, str], ...]
    taught: tuple[Taught, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    done: str = ""
    causes: str = ""
    pictures: tuple[Picture, ...] = ()

    def written(self) -> dict[str, str]:
        """Return the answers of annex 2 that people gave in words."""
        taught = {one.field: _in_a_line(one) for one in self.taught}
        return {**taught, **{key: text for key, text in self.words.items() if text}}


def tell_onsite(visit: OnSite) -> dict[str, Json]:
    """Return the section's content."""
    return {
        "number": visit.number,
        "place": visit.place,
        "engineer": visit.engineer,
        "days": [[day.isoformat(), title] for day, title in visit.days],
        "taught": [_taught(one) for one in visit.taught],
        "done": _lines(visit.done),
        "causes": _lines(visit.causes),
        "shown": [_picture(one) for one in visit.pictures if one.body],
        "files": [_picture(one) for one in visit.pictures if not one.body],
    }


def _in_a_line(one: Taught) -> str:
    return f"{one.content}（{one.taught_on}，{one.hours} 小时，{len(one.attendees)} 人）"


def _taught(one: Taught) -> dict[str, Json]:
    return {
        "topic": one.topic,
        "taught_on": one.taught_on.isoformat(),
        "hours": one.hours,
        "content": _lines(one.content),
        "attendees": "、".join(one.attendees),
        "count": len(one.attendees),
    }


def _picture(one: Picture) -> dict[str, Json]:
    return {
        "name": one.name,
        "about": one.about,
        "caption": one.caption,
        "size": quantity(one.size_bytes, "字节"),
        "sha256": one.sha256,
        "taken_at": one.taken_at.isoformat(),
    }


def _lines(text: str) -> Sequence[str]:
    return text.splitlines() or ["无"]
