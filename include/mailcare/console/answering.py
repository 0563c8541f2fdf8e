"""The page on which a customer answers an offer of days: no login, one link, nothing else.

It stands apart from the console: no page of the console is reachable here, and every address but
that of a link that works is refused. Looking changes nothing; only the form's answer acts.
"""

import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, status
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from mailcare.console.access import STYLE_PATH
from mailcare.console.entered import Form
from mailcare.console.guard import Guard
from mailcare.console.pages import explained, show
from mailcare.console.visits import answered
from mailcare.contracts.forms import FormError, read_form
from mailcare.errors import InputError, MailcareError
from mailcare.visits import steps
from mailcare.visits.answering import Knock, LinkRefused
from mailcare.visits.forms import AnswerForm
from mailcare.visits.links import Refusal
from mailcare.visits.steps import Offer, TooManyRefusals

log = logging.getLogger(__name__)
STYLE = Path(__file__).parent / "static" / "console.css"
TITLE = "现场巡检日期确认"
THANKS = "您的答复已登记，谢谢。约定的日期以随后收到的日程邀请为准。"
NOT_TAKEN = "没有办成，本次没有登记任何内容。再试也无济于事，请与我们联系。"
MISSING = "没有这个页面。请使用邮件中的完整链接。"
GONE = frozenset({Refusal.USED, Refusal.EXPIRED, Refusal.SUPERSEDED})


def create_answering() -> FastAPI:
    """Return the application; it has one page, behind a token."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.router.routes.append(Route(STYLE_PATH, _style))
    app.add_api_route("/{number}/{token}", _show, methods=["GET"])
    app.add_api_route("/{number}/{token}", _answer, methods=["POST"])
    app.add_exception_handler(HTTPException, _say_missing)
    app.add_exception_handler(MailcareError, _say_refused)
    app.add_middleware(Guard)
    return app


def _style(_request: Request) -> FileResponse:
    return FileResponse(STYLE, media_type="text/css; charset=utf-8")


def _show(request: Request, number: str, token: str) -> Response:
    """Show the days to choose from."""
    return _page(request, steps.show_offer(_knock(request, number, token)), {})


def _answer(request: Request, number: str, token: str, form: Form) -> Response:
    """Take the answer, once."""
    knock, data = _knock(request, number, token), answered(form)
    try:
        steps.answer_by_link(knock, read_form(AnswerForm, data))
    except FormError as error:
        return _page(request, steps.show_offer(knock), data, error=error)
    return _say(request, status.HTTP_200_OK, THANKS, is_done=True)


def _knock(request: Request, number: str, token: str) -> Knock:
    return Knock(number, token, request.client.host if request.client else "")


def _page(
    request: Request, offer: Offer, values: dict[str, Any], *, error: FormError | None = None
) -> Response:
    said = explained(error) if error else {}
    return show(
        request, "answer.html", code=422 if error else 200, title=TITLE, offer=offer,
        values=defaultdict(str, values), sentence="", is_done=False, **said,
    )  # fmt: skip


def _say_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, MailcareError)
    if isinstance(error, LinkRefused):
        gone = error.refusal in GONE
        return _say(request, status.HTTP_410_GONE if gone else 404, str(error))
    if isinstance(error, TooManyRefusals):
        return _say(request, status.HTTP_429_TOO_MANY_REQUESTS, str(error))
    log.error("a customer's answer was not taken: %s", error)
    if isinstance(error, InputError):
        return _say(request, status.HTTP_400_BAD_REQUEST, NOT_TAKEN)
    return _say(request, status.HTTP_503_SERVICE_UNAVAILABLE, "暂时无法处理，请稍后再试。")


def _say_missing(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _say(request, error.status_code, MISSING)


def _say(request: Request, code: int, sentence: str, *, is_done: bool = False) -> Response:
    return show(
        request, "answer.html", code=code, title=TITLE, offer=None, values={},
        sentence=sentence, is_done=is_done,
    )  # fmt: skip
