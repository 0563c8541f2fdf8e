"""Reckon the clocks a second time, tick by tick, sharing nothing with the product but its values.

Time is counted in ticks of 15 minutes from a Monday's midnight in Beijing. Nothing is solved: every
tick since the declaration is looked at, and a list says of each whether it was held.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mailcare.clock import BEIJING
from mailcare.deadlines import Level, Promise, Unit
from mailcare.faults.events import (
    Cancelled,
    Change,
    Channel,
    Declared,
    Event,
    FirstContact,
    Handled,
    LevelChanged,
    Merged,
    Paused,
    Reopened,
    ReportReturned,
    ReportSent,
    Resumed,
)
from tests.faults.story import STANDARD

ORIGIN = datetime(2026, 3, 2, tzinfo=BEIJING)
TICK = timedelta(minutes=15)
DAY = 96
TERMS = replace(
    STANDARD,
    response_minutes=30,
    resolution=(
        Promise(2, Unit.HOURS),
        Promise(5, Unit.HOURS),
        Promise(1, Unit.DAYS, is_soft=True),
        Promise(2, Unit.DAYS, is_soft=True),
    ),
    reopen_within_hours=48,
)
ALLOWED = {Level.P1: 8, Level.P2: 20}
DAYS = {Level.P3: 1, Level.P4: 2}
GRAVITY = [Level.P1, Level.P2, Level.P3, Level.P4]


@dataclass
class Row:
    clock: str
    epoch: int
    level: Level
    start: int
    promises: list  # of (start, level): the first is its own
    fixed_due: int | None = None
    stop: int | None = None
    end: str = ""
    breach: int | None = None
    frozen: tuple = ()


@dataclass
class Replay:
    """The fault at a tick; `held` says for each tick before it whether the clocks stood."""

    now: int = 0
    held: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    paused: bool = False
    handled: int | None = None
    level: Level | None = None

    def due_of(self, start: int, level: Level) -> tuple | None:
        """Walk the ticks from `start` until the allowance is used up."""
        soft = level in DAYS
        left = ((start // DAY) + 1 + DAYS[level]) * DAY - start if soft else ALLOWED[level]
        tick, end = start, self.now if self.handled is None else self.handled
        while left and tick < end:
            left -= not self.held[tick]
            tick += 1
        if left and self.paused:
            return None
        tick += left
        if soft:
            while tick % DAY:
                tick += 1
        return (tick, not soft)

    def due(self, row: Row) -> tuple | None:
        if row.end:
            return row.frozen[0]
        if row.fixed_due is not None:
            return (row.fixed_due, row.clock == "response")
        found = [due for start, level in row.promises if (due := self.due_of(start, level))]
        return min(found) if found else None

    def passed(self, row: Row) -> bool:
        due, until = self.due(row), self.now if row.stop is None else row.stop
        return due is not None and (until > due[0] if due[1] else until >= due[0])

    def look(self) -> None:
        for row in self.rows:
            if not row.end and row.breach is None and self.passed(row):
                row.breach = self.due(row)[0]

    def run_to(self, tick: int) -> None:
        while self.now < tick:
            self.look()
            self.held.append(self.paused or self.handled is not None)
            self.now += 1
        self.look()

    def of(self, clock: str) -> list:
        return [row for row in self.rows if row.clock == clock]

    def close(self, row: Row, end: str) -> None:
        if row.stop is None:
            row.frozen = (self.due(row),)
            row.stop, row.end = self.now, end

    def take(self, event: Event) -> None:
        self.take_level(event)
        self.take_work(event)
        self.take_turn(event)
        self.look()

    def take_level(self, event: Event) -> None:
        if isinstance(event, Declared):
            self.held = [False] * self.now
            self.level = event.level
            self.rows.append(Row("response", 1, event.level, self.now, [], self.now + 2))
            self.rows.append(Row("resolution", 1, event.level, self.now, [(self.now, event.level)]))
        if isinstance(event, LevelChanged):
            row = self.of("resolution")[-1]
            lighter = GRAVITY.index(event.level) > GRAVITY.index(row.level)
            drop = self.passed(row) or (lighter and event.customer_agreed)
            caps = [] if drop else row.promises
            self.level = event.level
            if event.why is Change.WORSENED:
                self.close(row, "superseded")
                row = Row("resolution", row.epoch + 1, event.level, self.now, [])
                self.rows.append(row)
            row.level, row.promises = event.level, [(row.start, event.level), *caps]

    def take_work(self, event: Event) -> None:
        if isinstance(event, FirstContact) and event.channel is not Channel.AUTO:
            self.stop("response")
        if isinstance(event, Paused | Resumed):
            self.paused = isinstance(event, Paused)
        if isinstance(event, Handled):
            self.paused = False
            self.stop("response")
            self.stop("resolution")
            self.handled = self.now if self.handled is None else self.handled
            epoch = len(self.of("report")) + 1
            self.rows.append(Row("report", epoch, self.level, self.now, [], self.report_due()))
        if isinstance(event, ReportSent):
            self.stop("report")

    def take_turn(self, event: Event) -> None:
        if isinstance(event, Reopened):
            self.handled = None
            self.of("resolution")[-1].stop = None
            for row in self.of("report"):
                self.close(row, "superseded")
        if isinstance(event, Cancelled | Merged):
            self.paused = False
            for row in self.rows:
                self.close(row, "cancelled")

    def stop(self, clock: str) -> None:
        for row in self.of(clock):
            if row.stop is None:
                row.stop = self.now

    def report_due(self) -> int:
        day, count = self.now // DAY, 0
        while count < 3:
            day += 1
            count += day % 7 < 5
        return (day + 1) * DAY

    def answer(self) -> list:
        """Return each row as (clock, epoch, level, start, due, stop, state, breach, gross,
        net, soft)."""
        order = ["response", "resolution", "report"]
        rows = sorted(self.rows, key=lambda row: (row.start, order.index(row.clock), row.epoch))
        return [self.line(row) for row in rows]

    def line(self, row: Row) -> tuple:
        until = self.now if row.stop is None else row.stop
        held = sum(self.held[row.start : until]) if row.clock == "resolution" else 0
        due, gross = self.due(row), until - row.start
        state = row.end or self.state(row)
        due_tick = due[0] if due else None
        return (
            *(row.clock, row.epoch, row.level, row.start, due_tick),
            *(row.stop, state, row.breach, gross, gross - held),
            row.clock == "resolution" and row.level in DAYS,
        )

    def state(self, row: Row) -> str:
        if row.breach is not None:
            return "late"
        if row.stop is not None:
            return "met"
        return "held" if self.paused and row.clock == "resolution" else "running"


def replay(events: tuple[Event, ...], now: int) -> list:
    """Reckon the rows of a story that is in order and may happen.

    A report that came back is the story told anew without its sending.
    """
    told = []
    for event in events:
        if (event.at - ORIGIN) // TICK > now:
            break
        told.append(event)
        if isinstance(event, ReportReturned):
            told.remove(event)
            told.remove(ReportSent(at=event.sent_at))
    course = Replay()
    for event in told:
        course.run_to((event.at - ORIGIN) // TICK)
        course.take(event)
    course.run_to(now)
    return course.answer()
