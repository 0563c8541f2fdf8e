"""The figures of faults 故障统计: what was kept, how long it took, by whom and when. Pure.

Everything is reckoned from the clocks, which are reckoned from the events. A superseded or
cancelled epoch counts where it had broken, its time nowhere: no promise was broken less for what
became of the fault. An open clock that has not broken is neither kept nor broken.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import pandas as pd

from mailcare.clock import BEIJING
from mailcare.faults.clocks import Clock, Kind, State

ALL = "全部"
NOBODY = "（无工程师）"
P90 = 0.9
OUT = (State.SUPERSEDED, State.CANCELLED)
COLUMNS = ("group", "clock", "is_met", "is_breached", "is_soft", "is_stopped", "gross_s", "net_s")


class Grouping(StrEnum):
    """What faults are told apart by; a month is that of the declaration, in Beijing."""

    LEVEL = "level"
    CUSTOMER = "customer"
    ENGINEER = "engineer"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Told:
    """A fault as the figures need it; `reasons` say for a clock's epoch why it took so long."""

    number: str
    customer: str
    engineer: str
    level: str
    declared_at: datetime
    clocks: tuple[Clock, ...]
    reasons: Mapping[tuple[Kind, int], str]

    @property
    def month(self) -> str:
        """Return the month of the declaration, such as 2026-03."""
        return f"{self.declared_at.astimezone(BEIJING):%Y-%m}"


@dataclass(frozen=True, slots=True)
class Kept:
    """How one promise was kept: clocks in all, kept, 违约, 超目标, and still open.

    `rate_pct` is kept / (kept + 违约 + 超目标); seconds are those of stopped clocks. None where
    there is nothing to reckon with: that is no nought.
    """

    count: int
    met: int
    breached: int
    missed_target: int
    open: int
    rate_pct: float | None
    net_median_s: float | None
    net_p90_s: float | None
    gross_median_s: float | None
    gross_p90_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """A group's faults and how each promise was kept for them."""

    name: str
    faults: int
    kept: Mapping[Kind, Kept]


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that broke, and what was written about why."""

    number: str
    customer: str
    engineer: str
    level: str
    clock: Kind
    is_soft: bool
    breached_at: datetime
    gross_s: int
    net_s: int
    reason: str


def figures_of_all(told: Sequence[Told]) -> Figures:
    """Return the figures of all faults together."""
    return _figures(ALL, len(told), _frame((ALL, one) for one in told))


def figures_by(told: Sequence[Told], grouping: Grouping) -> tuple[Figures, ...]:
    """Return the figures of each group, by its name; each fault belongs to one group."""
    named = [(str(getattr(one, grouping)) or NOBODY, one) for one in told]
    frame = _frame(named)
    sizes = pd.Series([name for name, _ in named], dtype=object).value_counts().sort_index()
    return tuple(
        _figures(str(name), int(count), frame[frame["group"] == name])
        for name, count in sizes.items()
    )


def breaches(told: Iterable[Told]) -> tuple[Breach, ...]:
    """Return every promise that broke, the latest first, 超目标 included."""
    found = [
        Breach(
            one.number, one.customer, one.engineer or NOBODY, clock.level, clock.clock,
            clock.is_soft, clock.breached_at, clock.gross_s, clock.net_s,
            one.reasons.get((clock.clock, clock.epoch), ""),
        )
        for one in told
        for clock in one.clocks
        if clock.breached_at
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda one: one.breached_at, reverse=True))


def trend(told: Sequence[Told]) -> dict[str, object] | None:
    """Return the share of promises kept by month as a chart of lines, None without any."""
    months = figures_by(told, Grouping.MONTH)
    rates = {kind: [one.kept[kind].rate_pct for one in months] for kind in Kind}
    lines = [
        {"label": LINE_TITLES[kind], "values": values}
        for kind, values in rates.items()
        if any(value is not None for value in values)
    ]
    if not lines:
        return None
    return {
        "kind": "lines",
        "title": "各月按时率",
        "unit": "%",
        "lines": lines,
        "dates": [one.name for one in months],
        "more": 0,
    }


LINE_TITLES = {Kind.RESPONSE: "响应", Kind.RESOLUTION: "处理", Kind.REPORT: "报告"}


def _frame(named: Iterable[tuple[str, Told]]) -> pd.DataFrame:
    return pd.DataFrame(
        [row for name, one in named for row in _rows(name, one.clocks)], columns=list(COLUMNS)
    )


def _rows(name: str, clocks: Iterable[Clock]) -> Iterator[tuple[object, ...]]:
    for one in clocks:
        is_out = one.state in OUT
        if not is_out or one.breached_at:
            yield (
                name, str(one.clock), one.state is State.MET, one.breached_at is not None,
                one.is_soft, one.stopped_at is not None and not is_out, one.gross_s, one.net_s,
            )  # fmt: skip


def _figures(name: str, count: int, frame: pd.DataFrame) -> Figures:
    kept = {kind: _kept(frame[frame["clock"] == str(kind)]) for kind in Kind}
    return Figures(name, count, kept)


def _kept(frame: pd.DataFrame) -> Kept:
    broken, soft = frame["is_breached"].astype(bool), frame["is_soft"].astype(bool)
    met, late = int(frame["is_met"].astype(bool).sum()), int(broken.sum())
    stopped = frame[frame["is_stopped"].astype(bool)]
    return Kept(
        count=len(frame),
        met=met,
        breached=int((broken & ~soft).sum()),
        missed_target=int((broken & soft).sum()),
        open=len(frame) - met - late,
        rate_pct=100 * met / (met + late) if met + late else None,
        net_median_s=_quantile(stopped["net_s"], 0.5),
        net_p90_s=_quantile(stopped["net_s"], P90),
        gross_median_s=_quantile(stopped["gross_s"], 0.5),
        gross_p90_s=_quantile(stopped["gross_s"], P90),
    )


def _quantile(seconds: "pd.Series[float]", share: float) -> float | None:
    """Return a quantile, between two values in proportion; None of nothing."""
    return None if seconds.empty else float(seconds.astype(float).quantile(share))
