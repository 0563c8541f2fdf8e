"""Surveys: the seam between the records, the rules and those who ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from mailcare.calendars.steps import working_calendar
from mailcare.clock import BEIJING, utc_now
from mailcare.contracts.forms import complain
from mailcare.errors import InputError
from mailcare.listing import Page, Wish
from mailcare.papers.document import Json
from mailcare.papers.keeping import keep_paper, pages
from mailcare.papers.numbering import Series, paper_number
from mailcare.papers.signing import file_return
from mailcare.papers.survey import survey_sheet
from mailcare.records.session import reading, transaction
from mailcare.settings import read_settings
from mailcare.surveys import following, lists, opening, recording, telling
from mailcare.surveys.asking import CaseKind, EndedCase
from mailcare.surveys.ended import ended_cases
from mailcare.surveys.following import Follow
from mailcare.surveys.forms import AnswerForm, CallForm, CorrectionForm, PeriodForm
from mailcare.surveys.gathering import gather
from mailcare.surveys.lists import SurveyDetail, SurveyRow
from mailcare.surveys.statistics import (
    Asked,
    Figures,
    Grouping,
    figures_by,
    figures_of_all,
    trend,
)
from mailcare.surveys.tables import figures_xlsx
from mailcare.systems.evidence import Evidence, read_evidence

__all__ = ["CaseKind", "EndedCase"]  # what a caller of `open_survey` needs of this seam


@dataclass(frozen=True, slots=True)
class SurveyFigures:
    """Figures of all surveys and of each group; `chart` is None where nobody answered."""

    overall: Figures
    groups: Mapping[Grouping, tuple[Figures, ...]]
    chart: Mapping[str, Json] | None
    commented: tuple[Asked, ...]


def open_survey(session: Session, case: EndedCase, *, at: datetime) -> int:
    """Return the survey of a case's version in the caller's transaction, opened where none is.

    However often a case is said to have ended, its customer is asked once a version.
    """
    survey = opening.add_survey(session, case, at=at)
    telling.tell_asked(session, survey, at=at)
    return survey


def open_due() -> int:
    """Ask about every case that ended lately and was not asked about; return how many there are."""
    with transaction() as session:
        now = utc_now()
        cases = tuple(ended_cases(session, at=now))
        for case in cases:
            open_survey(session, case, at=now)
    return len(cases)


def follow_up(*, today: date) -> tuple[Follow, ...]:
    """Remind of surveys that nobody answered, at most twice each, and let the old ones go."""
    calendar = working_calendar()
    with transaction() as session:
        now = utc_now()
        done = following.follow_up(session, calendar, today=today, at=now)
        for one in done:
            telling.tell_followed(session, one, at=now)
    return done


def list_surveys(wish: Wish) -> Page[SurveyRow]:
    """Return a page of all surveys; sorts: customer subject case_kind state asked_at."""
    with reading() as session:
        return lists.survey_rows(session, wish)


def list_calls(wish: Wish) -> Page[SurveyRow]:
    """Return a page of the calls to make, the next one first; sorts as `list_surveys`."""
    with reading() as session:
        return lists.call_rows(session, wish)


def survey_detail(survey: int) -> SurveyDetail:
    """Return a survey with its calls and answer; raise `InputError` for one not recorded."""
    with reading() as session:
        return lists.describe_survey(session, survey)


def objection_to(survey: int, *, by: str) -> str:
    """Return why somebody may not record what the customer said; empty where they may.

    Raise `InputError` for a survey that is not recorded.
    """
    with reading() as session:
        return recording.objection(session, recording.find_survey(session, survey), by)


def scan_of(survey: int) -> Evidence:
    """Return the scan of a survey's signed sheet; raise `InputError` where there is none."""
    with reading() as session:
        return lists.scan_of(session, survey)


def sheet_of(survey: int) -> int:
    """Return the paper of a survey's form 《客户满意度调查表》, printed where it is new.

    Raise `InputError` for a survey that is not recorded.
    """
    with reading() as session:
        row = recording.find_survey(session, survey)
        case = lists.case_of(session, survey)
    number = paper_number(Series.SURVEY, survey, at=row.asked_at)
    document = survey_sheet(case, number=number, vendor=read_settings().vendor)
    return keep_paper(
        document, lambda: pages(document), system=row.system_id, customer=row.customer_id
    )


def figures(form: PeriodForm) -> SurveyFigures:
    """Return the figures of the surveys that were asked from a day to another."""
    with reading() as session:
        asked = gather(session, since=form.since, until=form.until)
    return SurveyFigures(
        figures_of_all(asked),
        {one: figures_by(asked, one) for one in Grouping},
        trend(asked),
        tuple(one for one in asked if one.comments),
    )


def figures_file(form: PeriodForm) -> bytes:
    """Return the same figures, and each survey, as an Excel file."""
    with reading() as session:
        asked = gather(session, since=form.since, until=form.until)
    return figures_xlsx(asked, since=form.since, until=form.until)


def record_call(survey: int, form: CallForm, *, by: str) -> None:
    """Record a call that brought no answer; see `recording.add_call` for what is refused."""
    with transaction() as session:
        recording.add_call(session, survey, form, by=by, at=utc_now())


def record_answer(survey: int, form: AnswerForm, *, by: str) -> None:
    """Record what a customer said by phone; see `recording.add_answer` for what is refused."""
    with transaction() as session:
        now = utc_now()
        recording.add_answer(session, survey, form, None, by=by, at=now)
        telling.tell_worst(session, survey, form, at=now)


def record_sheet(survey: int, form: AnswerForm, scan: tuple[str, bytes] | None, *, by: str) -> None:
    """Record a signed sheet with its scan (name and content), filed as the sheet's signed return.

    Raise `FormError` without a usable scan.
    """
    evidence = _scan(scan)
    with reading() as session:  # before the sheet that it is filed with is printed
        recording.refuse_answer(session, survey, form, recording.ANSWERABLE, by=by, at=utc_now())
    paper = sheet_of(survey)
    with transaction() as session:
        now = utc_now()
        recording.add_answer(session, survey, form, evidence, by=by, at=now)
        signed_on = form.answered_at.astimezone(BEIJING).date()
        file_return(
            session, paper, evidence, signer=form.answered_by, signed_on=signed_on, by=by, at=now
        )
        telling.tell_worst(session, survey, form, at=now)


def correct_answer(survey: int, form: CorrectionForm, *, by: str) -> None:
    """Write an answer anew that was written down wrongly; see `recording.correct_answer`."""
    with transaction() as session:
        now = utc_now()
        recording.correct_answer(session, survey, form, by=by, at=now)
        telling.tell_worst(session, survey, form, at=now)


def _scan(scan: tuple[str, bytes] | None) -> Evidence:
    if scan is None:
        raise complain("file", "请附上签字表的扫描件")
    try:
        return read_evidence(*scan)
    except InputError as error:
        raise complain("file", str(error)) from None
