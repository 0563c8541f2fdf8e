"""满意度: the calls to make, all surveys, one survey with its forms, and the figures."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from mailcare.clock import BEIJING, utc_now
from mailcare.console.access import EVERYBODY, OFFICE, STAFF, Office, Reader, Staff
from mailcare.console.entered import Entered, Form, RowId
from mailcare.console.pages import (
    XLSX,
    Action,
    add_list,
    download,
    explained,
    go,
    moment,
    or_404,
    show,
    today,
)
from mailcare.console.tables import Cell, Column, Shape, Table, plain_table
from mailcare.contracts.forms import FormError, complain, read_form
from mailcare.errors import InputError
from mailcare.settings import read_settings
from mailcare.surveys import steps
from mailcare.surveys.forms import AnswerForm, CallForm, CorrectionForm, PeriodForm, Unanswered
from mailcare.surveys.lists import AnswerRow, CallRow, SurveyDetail, SurveyRow
from mailcare.surveys.scores import QUESTIONS, SCORE_WORDS, score_text
from mailcare.surveys.statistics import Asked, Figures, Grouping
from mailcare.surveys.tables import (
    FIGURE_COLUMNS,
    distribution_head,
    distribution_rows,
    figure_texts,
)
from mailcare.surveys.wording import (
    CASE_TITLES,
    GROUPING_TITLES,
    OUTCOME_TITLES,
    QUESTION_TITLES,
    STATE_TITLES,
    WAY_TITLES,
)
from mailcare.systems.complaints import Complaint

router = APIRouter()
HINT = "搜索"
MARKS = {"asked": "warn", "reminded": "bad", "answered": "good", "refused": "quiet"}
CALL_TEXTS = ("attempt", "outcome", "call_again_at", "best_hours", "note")
ANSWER_TEXTS = (*QUESTIONS, "comments", "answered_by", "answered_at")
YEAR = timedelta(days=365)


def _state(row: SurveyRow) -> Cell:
    return Cell(STATE_TITLES[row.state], mark=MARKS.get(row.state, ""))


SURVEYS: tuple[Column[SurveyRow], ...] = (
    Column("事由", lambda row: Cell(row.subject, f"/surveys/{row.id}"), "subject"),
    Column("类型", lambda row: CASE_TITLES[row.case_kind], "case_kind"),
    Column("客户", lambda row: Cell(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("联系人", lambda row: row.contact or "/"),
    Column("电话", lambda row: row.phone or "/"),
    Column("状态", _state, "state"),
    Column("发起时间", lambda row: moment(row.asked_at), "asked_at"),
    Column("已打", lambda row: str(row.calls)),
    Column("约定再打", lambda row: moment(row.call_again_at)),
    Column("催办", lambda row: str(row.reminders)),
)
CALLS: tuple[Column[CallRow], ...] = (
    Column("次序", lambda row: str(row.attempt)),
    Column("时间", lambda row: moment(row.called_at)),
    Column("谁", lambda row: row.by),
    Column("结果", lambda row: OUTCOME_TITLES[row.outcome]),
    Column("约定再打", lambda row: moment(row.call_again_at)),
    Column("方便时间", lambda row: row.best_hours),
    Column("备注", lambda row: row.note),
)
CORRECTED: tuple[Column[AnswerRow], ...] = (
    Column("版本", lambda row: str(row.version)),
    *(
        Column(title, lambda row, name=name: score_text(getattr(row, name)))
        for name, title in QUESTIONS.items()
    ),
    Column("意见与建议", lambda row: row.comments),
    Column("作答人", lambda row: row.answered_by),
    Column("登记人", lambda row: row.recorded_by),
    Column("登记时间", lambda row: moment(row.recorded_at)),
    Column("更正原因", lambda row: row.reason or "/"),
)
COMMENTS: tuple[Column[Asked], ...] = (
    Column("日期", lambda row: str(row.asked_on)),
    Column("客户", lambda row: row.customer),
    Column("事由", lambda row: Cell(row.subject, f"/surveys/{row.survey}")),
    Column("意见与建议", lambda row: row.comments),
)
FIGURES = Action("统计", "/surveys/figures", EVERYBODY)
add_list(
    router,
    Shape("/calls", "满意度回访", SURVEYS, steps.list_calls, HINT),
    EVERYBODY,
    actions=(Action("全部调查", "/surveys", EVERYBODY), FIGURES),
)
add_list(
    router,
    Shape("/surveys", "满意度调查", SURVEYS, steps.list_surveys, HINT),
    EVERYBODY,
    actions=(Action("满意度回访", "/calls", EVERYBODY), FIGURES),
)


@router.get("/surveys/figures")
def figures_page(request: Request, _person: Reader) -> Response:
    """Show the figures of the surveys that were asked in some days: a year up to now, unasked."""
    values = _period(request)
    try:
        found = steps.figures(read_form(PeriodForm, values))
    except InputError as error:
        none = {"overall": None, "distribution": None, "groups": (), "chart": None}
        return show(
            request, "survey_figures.html", code=422, title="满意度统计", values=values,
            comments=plain_table(COMMENTS, ()), **none, **explained(error),
        )  # fmt: skip
    return show(
        request,
        "survey_figures.html",
        title="满意度统计",
        values=values,
        overall=_figures_table("范围", (found.overall,)),
        distribution=_texts_table(distribution_head(), distribution_rows(found.overall)),
        groups=[(one, _figures_table(title, found.groups[one])) for one, title in _groupings()],
        chart=found.chart,
        comments=plain_table(COMMENTS, found.commented),
    )


@router.get("/surveys/figures.xlsx")
def figures_file(request: Request, _person: Reader) -> Response:
    """Hand out the same figures as an Excel file."""
    values = _period(request)
    body = steps.figures_file(read_form(PeriodForm, values))
    return download(f"满意度统计-{values['since']}-{values['until']}.xlsx", XLSX, body)


@router.get("/surveys/{survey}")
def show_survey(request: Request, person: Reader, survey: RowId) -> Response:
    """Show a survey: whom to call and what to say, the forms, the calls and the answer."""
    return _page(request, _detail(survey), person.login)


@router.post("/surveys/{survey}/call")
def record_call(request: Request, person: Staff, survey: RowId, form: Form) -> Response:
    """Record a call that brought no answer."""
    detail = _detail(survey)
    try:
        _refuse_both(form)
        entered = read_form(CallForm, {name: form.one(name) for name in CALL_TEXTS})
        steps.record_call(survey, entered, by=person.login)
    except InputError as error:
        return _page(request, detail, person.login, form=form, error=error)
    return go(request, f"/surveys/{survey}", done="recorded")


@router.post("/surveys/{survey}/answer")
def record_answer(request: Request, person: Staff, survey: RowId, form: Form) -> Response:
    """Record what the customer said by phone, or the signed sheet where its scan comes along."""
    detail = _detail(survey)
    try:
        _refuse_both(form)
        entered = read_form(AnswerForm, {name: form.one(name) for name in ANSWER_TEXTS})
        if form.one("way") == "sheet":
            steps.record_sheet(survey, entered, form.file("file"), by=person.login)
        else:
            steps.record_answer(survey, entered, by=person.login)
    except InputError as error:
        return _page(request, detail, person.login, form=form, error=error)
    return go(request, f"/surveys/{survey}", done="recorded")


@router.post("/surveys/{survey}/correct")
def correct_answer(request: Request, person: Office, survey: RowId, form: Form) -> Response:
    """Write an answer anew that was written down wrongly; the one before it is kept."""
    detail = _detail(survey)
    names = (*ANSWER_TEXTS, "version", "reason")
    try:
        _refuse_both(form)
        entered = read_form(CorrectionForm, {name: form.one(name) for name in names})
        steps.correct_answer(survey, entered, by=person.login)
    except InputError as error:
        return _page(request, detail, person.login, form=form, error=error)
    return go(request, f"/surveys/{survey}", done="recorded")


@router.post("/surveys/{survey}/sheet")
def sheet(request: Request, _person: Staff, survey: RowId) -> Response:
    """Print the form for the customer's signature, once a version, and hand it out."""
    with or_404():
        paper = steps.sheet_of(survey)
    return go(request, f"/papers/{paper}/pdf")


@router.get("/surveys/{survey}/scan")
def scan(_person: Reader, survey: RowId) -> Response:
    """Hand out the signed sheet as it came in, as a download only."""
    with or_404():
        file = steps.scan_of(survey)
    return download(file.name, file.media_type, file.body)


def _refuse_both(form: Entered) -> None:
    """Raise `FormError` for two answers to one question, and for an answer that there was none."""
    if twice := [one for one in QUESTIONS if _is_twice(form, one)]:
        raise FormError(tuple(Complaint((one,), "选了两个答案，只能有一个") for one in twice))
    if form.one("outcome") and any(form.one(one) for one in QUESTIONS):
        raise complain("outcome", "客户打了分的，不能同时登记为没有答复")


def _kept(form: Entered, name: str) -> str:
    """Return what the form shows again; of two answers none, for nobody chooses between them."""
    return "" if _is_twice(form, name) else form.one(name)


def _is_twice(form: Entered, name: str) -> bool:
    return len(set(form.every(name))) > 1


def _detail(survey: int) -> SurveyDetail:
    with or_404():
        return steps.survey_detail(survey)


def _page(
    request: Request,
    detail: SurveyDetail,
    login: str,
    *,
    form: Entered | None = None,
    error: InputError | None = None,
) -> Response:
    said = explained(error) if error else {}
    names = (*ANSWER_TEXTS, *CALL_TEXTS, "way", "reason")
    return show(
        request,
        "survey.html",
        code=422 if error else 200,
        title=f"满意度调查 {detail.row.subject}",
        survey=detail,
        mark=MARKS.get(detail.row.state, ""),
        calls=plain_table(CALLS, detail.calls),
        corrected=plain_table(CORRECTED, detail.corrected),
        values={name: _kept(form, name) for name in names} if form else _empty(detail),
        script=tuple(_script(detail, read_settings().vendor or "邮件系统维保服务商")),
        questions=QUESTIONS,
        words=SCORE_WORDS,
        outcomes={one: OUTCOME_TITLES[one] for one in Unanswered},
        titles={"state": STATE_TITLES, "case": CASE_TITLES, "way": WAY_TITLES},
        staff=STAFF,
        office=OFFICE,
        objection=steps.objection_to(detail.row.id, by=login),
        **said,
    )


def _script(detail: SurveyDetail, vendor: str) -> Iterator[str]:
    """Yield what customer service says in the call, in its order."""
    row = detail.row
    yield (
        f"您好，请问是{row.customer}的{row.contact or '邮件系统管理员'}吗？我是{vendor}的客服，"
        f"想占用您两分钟，就「{row.subject}」这次服务做一个回访，现在方便吗？"
        "（不方便：约定再打的时间；不愿意：登记谢绝，致谢后结束。）"
    )
    yield f"这次服务由工程师于 {moment(detail.finished_at)} 完成。"
    if detail.outcome:
        yield f"服务完成情况：{detail.outcome}"
    yield "请您按 0 至 5 分评价：5 很好，4 好，3 一般，2 较差，1 很差，0 恶性事件。"
    for title in QUESTIONS.values():
        yield f"您对本次的「{title}」打几分？（不愿评的一项留作「未评」，不得代填。）"
    yield "您还有什么意见与建议？（逐字记录。）"
    yield "谢谢您。什么时间给您打电话比较方便，我记下来。"


def _empty(detail: SurveyDetail) -> dict[str, str]:
    """Return the form as it is first shown: no score stands in it but those to be corrected."""
    blank = dict.fromkeys((*ANSWER_TEXTS, *CALL_TEXTS, "way", "reason"), "")
    if answer := detail.answer:
        said = {name: getattr(answer, name) for name in (*QUESTIONS, "comments", "answered_by")}
        texts = {name: "" if value is None else str(value) for name, value in said.items()}
        answered_at = f"{answer.answered_at.astimezone(BEIJING):%Y-%m-%dT%H:%M}"
        return blank | texts | {"answered_at": answered_at}
    now = f"{utc_now().astimezone(BEIJING):%Y-%m-%dT%H:%M}"
    return blank | {"answered_by": detail.row.contact, "answered_at": now}


def _period(request: Request) -> dict[str, str]:
    usual = {"since": str(today() - YEAR), "until": str(today())}
    return {name: request.query_params.get(name, "") or day for name, day in usual.items()}


def _groupings() -> tuple[tuple[Grouping, str], ...]:
    return tuple(GROUPING_TITLES.items())


def _figures_table(title: str, found: tuple[Figures, ...]) -> Table:
    head = (title, *FIGURE_COLUMNS, *QUESTION_TITLES.values())
    return _texts_table(head, [(one.name, *figure_texts(one)) for one in found])


def _texts_table(head: tuple[str, ...], rows: Any) -> Table:  # noqa: ANN401 - rows of texts
    columns: tuple[Column[Mapping[int, str]], ...] = tuple(
        Column(title, lambda row, place=place: row[place]) for place, title in enumerate(head)
    )
    return plain_table(columns, rows)
