"""文书: every version, its files and signatures, signing it, and what the customer sent back."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mailcare.clock import utc_now
from mailcare.console.access import (
    ENGINEERS,
    EVERYBODY,
    OVERSIGHT,
    STAFF,
    Engineer,
    Person,
    Reader,
    Staff,
    refuse_others,
)
from mailcare.console.entered import Form, RowId
from mailcare.console.pages import (
    Action,
    add_list,
    download,
    explained,
    go,
    moment,
    or_404,
    show,
)
from mailcare.console.tables import Cell, Column, Shape, plain_table
from mailcare.console.words import label
from mailcare.contracts.forms import Day, Line, complain, read_form
from mailcare.errors import InputError
from mailcare.papers import steps
from mailcare.papers.steps import (
    FileRow,
    PaperRow,
    Returned,
    Signature,
    list_papers,
    paper_file,
)
from mailcare.systems.evidence import Evidence, read_evidence
from mailcare.systems.profile import Strict

router = APIRouter()
VERDICTS = {"intact": "good", "extended": "good", "changed": "bad"}
KINDS = {"pdf": "PDF", "html": "HTML", "xlsx": "Excel", "signed": "签字 PDF"}


def _may_see(person: Reader, paper: RowId) -> Person:
    """Let everybody see a customer's paper; one of the whole desk only who answers for it."""
    with or_404():
        is_internal = steps.is_internal(paper)
    if is_internal:
        refuse_others(person, OVERSIGHT)
    return person


PaperReader = Annotated[Person, Depends(_may_see)]


class ReturnForm(Strict):
    """Who signed at the customer's, and when."""

    signer: Line
    signed_on: Day


def _file(kind: str) -> Column[PaperRow]:
    def cell(row: PaperRow) -> Cell:
        has_one = kind in row.kinds.split()
        return Cell(KINDS[kind], f"/papers/{row.id}/{kind}") if has_one else Cell("")

    return Column(KINDS[kind], cell)


def _link(name: str | None, href: str) -> Cell:
    return Cell(name, href) if name else Cell("")


PAPERS: tuple[Column[PaperRow], ...] = (
    Column("编号", lambda row: Cell(row.number, f"/papers/{row.id}"), "number"),
    Column("版本", lambda row: str(row.version)),
    Column("类型", lambda row: label(row.template)),
    Column("客户", lambda row: _link(row.customer, f"/customers/{row.customer_id}"), "customer"),
    Column("系统", lambda row: _link(row.system, f"/systems/{row.system_id}"), "system"),
    Column("生成时间", lambda row: moment(row.made_at), "made_at"),
    _file("signed"),
    _file("pdf"),
    _file("xlsx"),
    _file("html"),
)
add_list(
    router,
    Shape("/papers", "文书", PAPERS, list_papers),
    EVERYBODY,
    actions=(Action("核对签字文件", "/papers/verify", EVERYBODY),),
)


@dataclass(frozen=True, slots=True)
class _OwnFile:
    """A rendered file and whose it is, for its link."""

    paper: int
    file: FileRow


@dataclass(frozen=True, slots=True)
class _OwnReturn:
    """What came back and of which paper, for its link."""

    paper: int
    returned: Returned


FILES: tuple[Column[_OwnFile], ...] = (
    Column(
        "文件",
        lambda row: Cell(KINDS[row.file.kind], f"/papers/{row.paper}/{row.file.kind}"),
    ),
    Column("SHA-256", lambda row: Cell(row.file.sha256, mark="hash")),
    Column("字节", lambda row: f"{row.file.size_bytes:,}"),
)


def _origin(one: Signature) -> Cell:
    if not one.is_known:
        return Cell("签发者不在信任之列", mark="warn")
    return Cell("测试证书", mark="warn") if one.is_test else Cell("已核实", mark="good")


SIGNATURES: tuple[Column[Signature], ...] = (
    Column("结论", lambda row: Cell(label(row.verdict), mark=VERDICTS[row.verdict])),
    Column("签字人", lambda row: row.signer),
    Column("签字时间", lambda row: moment(row.signed_at)),
    Column("事由", lambda row: row.reason),
    Column("证书", lambda row: row.certificate),
    Column("证书来源", _origin),
)
RETURNED: tuple[Column[_OwnReturn], ...] = (
    Column(
        "文件",
        lambda row: Cell(row.returned.name, f"/papers/{row.paper}/returned/{row.returned.id}"),
    ),
    Column("签字人", lambda row: row.returned.signer),
    Column("签字日期", lambda row: row.returned.signed_on.isoformat()),
    Column("登记人", lambda row: row.returned.recorded_by),
    Column("登记时间", lambda row: moment(row.returned.recorded_at)),
    Column("文件内的签字", lambda row: _said(row.returned.signatures)),
    Column("SHA-256", lambda row: Cell(row.returned.sha256, mark="hash")),
)


def _said(signatures: tuple[Signature, ...]) -> str:
    return "；".join(f"{one.signer}：{label(one.verdict)}" for one in signatures) or "/"


@router.get("/papers/verify")
def verification(request: Request, _person: Reader) -> Response:
    """Ask for a PDF whose signatures are to be checked."""
    return show(request, "verify.html", title="核对签字文件", name="", table=None)


@router.post("/papers/verify")
def verify_upload(request: Request, _person: Reader, form: Form) -> Response:
    """Show what the signatures of a PDF are worth; nothing of it is kept."""
    name, body = form.file("file") or ("", b"")
    try:
        found = steps.verify_file(body)
    except InputError as error:
        said = explained(complain("file", str(error)))
        return show(
            request, "verify.html", code=422, title="核对签字文件", name="", table=None, **said
        )
    table = plain_table(SIGNATURES, found)
    return show(request, "verify.html", title="核对签字文件", name=name, table=table)


@router.get("/papers/{paper}")
def show_paper(request: Request, person: PaperReader, paper: RowId) -> Response:
    """Show a version of a paper with its files, signatures and what came back."""
    return _page(request, person, paper, {})


def _page(
    request: Request,
    person: Person,
    paper: int,
    values: dict[str, str],
    *,
    error: InputError | None = None,
) -> Response:
    with or_404():
        detail = steps.paper_detail(paper)
    own = [_OwnFile(paper, one) for one in detail.files]
    back = [_OwnReturn(paper, one) for one in detail.returned]
    is_signed = "signed" in detail.row.kinds.split()
    return show(
        request, "paper.html", code=422 if error else 200,
        title=f"{detail.row.number} v{detail.row.version}", paper=detail,
        files=plain_table(FILES, own), signatures=plain_table(SIGNATURES, detail.signatures),
        returned=plain_table(RETURNED, back), may_file=person.may(STAFF),
        may_sign=person.may(ENGINEERS) and not is_signed,
        values={"signer": "", "signed_on": ""} | values, **(explained(error) if error else {}),
    )  # fmt: skip


@router.post("/papers/{paper}/sign")
def sign_paper(request: Request, person: Engineer, paper: RowId) -> Response:
    """Sign a paper in the name of who is logged in; a second time changes nothing."""
    with or_404():
        steps.paper_detail(paper)
    try:
        steps.sign_as(paper, login=person.login, at=utc_now())
    except InputError as error:
        return _page(request, person, paper, {}, error=error)
    return go(request, f"/papers/{paper}", done="signed")


@router.post("/papers/{paper}/returned")
def file_return(request: Request, person: Staff, paper: RowId, form: Form) -> Response:
    """Keep what the customer signed and sent back."""
    data = {"signer": form.one("signer"), "signed_on": form.one("signed_on")}
    try:
        entered = read_form(ReturnForm, data)
        _file_it(paper, form.file("file"), entered.signer, entered.signed_on, person.login)
    except InputError as error:
        return _page(request, person, paper, data, error=error)
    return go(request, f"/papers/{paper}", done="recorded")


def _file_it(
    paper: int, file: tuple[str, bytes] | None, signer: str, signed_on: date, login: str
) -> None:
    at = utc_now()
    steps.file_signed_return(
        paper, _evidence(file), signer=signer, signed_on=signed_on, by=login, at=at
    )


def _evidence(file: tuple[str, bytes] | None) -> Evidence:
    if file is None:
        raise complain("file", "请附上签字件")
    try:
        return read_evidence(*file)
    except InputError as error:
        raise complain("file", str(error)) from None


@router.get("/papers/{paper}/returned/{returned}")
def returned_download(_person: PaperReader, paper: RowId, returned: RowId) -> Response:
    """Hand out what came back, as it came in."""
    with or_404():
        file = steps.returned_file(paper, returned)
    return download(file.name, file.media_type, file.body)


@router.get("/papers/{paper}/{kind}")
def paper_download(_person: PaperReader, paper: RowId, kind: str) -> Response:
    """Hand out a rendered file, held against its stored SHA-256."""
    with or_404():
        file = paper_file(paper, kind)
    return download(file.name, file.media_type, file.body)
