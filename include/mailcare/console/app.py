"""The console as an application: its routes, and what is said when something goes wrong."""

from pathlib import Path

from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Route

from mailcare.console import (
    audit,
    authorisations,
    backups,
    calendar,
    contracts,
    customers,
    due,
    duty,
    fault_page,
    faults,
    importing,
    mails,
    outbox,
    papers,
    report_figures,
    reports,
    reviews,
    staff,
    surveys,
    systems,
    visits,
)
from mailcare.console.access import (
    STYLE_PATH,
    NoRole,
    Reader,
    current_person,
    refuse_open_routes,
)
from mailcare.console.entered import Form
from mailcare.console.guard import Guard
from mailcare.console.pages import go, show
from mailcare.console.words import LANGUAGE_COOKIE, LANGUAGES
from mailcare.errors import InputError, MailcareError

STYLE = Path(__file__).parent / "static" / "console.css"
YEAR_S = 365 * 24 * 3600
SENTENCES = {
    status.HTTP_401_UNAUTHORIZED: (
        "请登录",
        "没有登录，或登录已过期。请在 Airflow 重新登录后再打开本页；未保存的内容没有写入。",
    ),
    status.HTTP_403_FORBIDDEN: (
        "不能访问",
        "登录无效，或您在 Airflow 中没有运行巡检（Dag inspect_system）的权限。",
    ),
    status.HTTP_404_NOT_FOUND: ("没有找到", "没有这个地址，或记录已不存在。"),
}


def create_app() -> FastAPI:
    """Return the console; raise `TypeError` where a route is open to people without a role."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(current_person)],
        redirect_slashes=False,
    )
    for subject in (
        due, faults, fault_page, customers, contracts, importing, systems, backups,
        authorisations, papers, outbox, surveys, calendar, staff, visits, audit, duty, reviews,
        mails,
        report_figures, reports,
    ):  # fmt: skip
        app.include_router(subject.router)
    app.router.routes.append(Route(STYLE_PATH, _style))
    app.add_api_route("/language", _choose_language, methods=["POST"])
    app.add_exception_handler(StarletteHTTPException, _say_refusal)
    app.add_exception_handler(RequestValidationError, _say_unknown)
    app.add_exception_handler(MailcareError, _say_trouble)
    app.add_middleware(Guard)
    refuse_open_routes(app)
    return app


def _style(_request: Request) -> FileResponse:
    return FileResponse(STYLE, media_type="text/css; charset=utf-8")


def _choose_language(request: Request, _person: Reader, form: Form) -> Response:
    chosen = form.one("language")
    answer = go(request, "/")
    if chosen in LANGUAGES:
        answer.set_cookie(
            LANGUAGE_COOKIE, chosen, max_age=YEAR_S, httponly=True, samesite="lax",
            path=request.scope.get("root_path") or "/",
        )  # fmt: skip
    return answer


def _say_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    if isinstance(error, NoRole):
        return show(request, "no_role.html", code=error.status_code, login=error.login, title="")
    title, sentence = SENTENCES.get(error.status_code, ("出错了", ""))
    is_ours = getattr(request.state, "person", None) is not None and error.detail
    said = str(error.detail) if is_ours and error.status_code != status.HTTP_404_NOT_FOUND else ""
    return _trouble(request, error.status_code, title, said or sentence or str(error.detail))


def _say_unknown(request: Request, _error: Exception) -> Response:
    # A number in the address that is none: there is no such record.
    return _say_refusal(request, HTTPException(status.HTTP_404_NOT_FOUND))


def _say_trouble(request: Request, error: Exception) -> Response:
    assert isinstance(error, MailcareError)
    is_ours = isinstance(error, InputError)
    code = status.HTTP_400_BAD_REQUEST if is_ours else status.HTTP_503_SERVICE_UNAVAILABLE
    return _trouble(request, code, "出错了", str(error))


def _trouble(request: Request, code: int, title: str, sentence: str) -> Response:
    return show(request, "trouble.html", code=code, title=title, sentence=sentence)
