"""The surveys' figures as tables, and as an Excel file."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

import pandas as pd

from mailcare.papers.workbook import write_workbook
from mailcare.surveys.scores import QUESTIONS, SCORE_WORDS
from mailcare.surveys.statistics import (
    Asked,
    Figures,
    figures_by,
    figures_of_all,
)
from mailcare.surveys.wording import GROUPING_TITLES, QUESTION_TITLES, STATE_TITLES

FIGURE_COLUMNS = ("调查", "待答复", "已答复", "谢绝", "过期", "答复率（%）")
MEAN_DIGITS = 2


def figure_texts(figures: Figures) -> tuple[str, ...]:
    """Return a group's counts, its rate and the mean of each question, as they are shown."""
    counts = (figures.asked, figures.open, figures.answered, figures.refused, figures.expired)
    means = (figures.tallies[one].mean for one in QUESTION_TITLES)
    return (*map(str, counts), rate_text(figures.rate_pct), *map(mean_text, means))


def rate_text(rate_pct: float | None) -> str:
    """Write a response rate; 「/」 while nothing has ended."""
    return "/" if rate_pct is None else f"{rate_pct:.0f}"


def mean_text(mean: float | None) -> str:
    """Write a mean; 「/」 where nobody gave a score, which is no nought."""
    return "/" if mean is None else f"{mean:.{MEAN_DIGITS}f}"


def distribution_rows(figures: Figures) -> tuple[tuple[str, ...], ...]:
    """Return a row for each question: its title, n, mean, and how often each score was given."""
    return tuple(
        (title, str(tally.count), mean_text(tally.mean), *map(str, tally.counts.values()))
        for title, tally in ((QUESTION_TITLES[name], one) for name, one in figures.tallies.items())
    )


def distribution_head() -> tuple[str, ...]:
    """Return the titles of `distribution_rows`."""
    return ("项目", "份数", "平均", *(f"{score} {word}" for score, word in SCORE_WORDS.items()))


def figures_xlsx(asked: Sequence[Asked], *, since: date, until: date) -> bytes:
    """Return the figures as an Excel file: a sheet for each grouping, scores and surveys."""
    overall = figures_of_all(asked)
    sheets = {
        "汇总": _figures_frame(f"{since} 至 {until}", [overall]),
        "评分分布": _distribution_frame(overall),
    }
    for grouping, title in GROUPING_TITLES.items():
        sheets[f"按{title}"] = _figures_frame(title, figures_by(asked, grouping))
    sheets["逐份"] = pd.DataFrame(map(_survey_row, asked), columns=list(_SURVEY_COLUMNS))
    return write_workbook(sheets)


def _figures_frame(title: str, found: Iterable[Figures]) -> pd.DataFrame:
    head = [title, *FIGURE_COLUMNS, *QUESTION_TITLES.values()]
    return pd.DataFrame(map(_figures_row, found), columns=head)


def _figures_row(figures: Figures) -> tuple[object, ...]:
    """Return numbers where `figure_texts` has texts; an empty cell where there is none."""
    rate = None if figures.rate_pct is None else round(figures.rate_pct, 1)
    means = (figures.tallies[one].mean for one in QUESTION_TITLES)
    return (
        figures.name,
        figures.asked,
        figures.open,
        figures.answered,
        figures.refused,
        figures.expired,
        rate,
        *(None if mean is None else round(mean, MEAN_DIGITS) for mean in means),
    )


def _distribution_frame(figures: Figures) -> pd.DataFrame:
    rows = (
        (QUESTION_TITLES[name], one.count, one.mean, *one.counts.values())
        for name, one in figures.tallies.items()
    )
    return pd.DataFrame(rows, columns=list(distribution_head()))


_SURVEY_COLUMNS = (
    "日期",
    "客户",
    "服务",
    "编号",
    "工程师",
    "状态",
    *QUESTIONS.values(),
    "意见与建议",
)


def _survey_row(one: Asked) -> tuple[object, ...]:
    engineers = "、".join(one.engineers)
    state = STATE_TITLES[one.state]
    said = (one.asked_on, one.customer, one.service, one.subject, engineers, state)
    return (*said, *_scores_of(one), one.comments)


def _scores_of(one: Asked) -> Iterator[int | None]:
    given = one.scores.given() if one.scores else {}
    return (given.get(name) for name in QUESTIONS)
