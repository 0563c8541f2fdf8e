"""Sign kept papers, tell what their signatures are worth, and file what customers send back."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailcare.clock import BEIJING
from mailcare.errors import InputError
from mailcare.papers.certificates import signing_identity, trusted_roots
from mailcare.papers.keeping import PaperBody, file_values, paper_file
from mailcare.papers.pades import Signature, sign, verify
from mailcare.records.alerts import StaffMember
from mailcare.records.audit import note_change
from mailcare.records.changes import add_once
from mailcare.records.papers import FileKind, Paper, PaperFile, SignedReturn
from mailcare.records.people import EvidenceFile
from mailcare.records.session import reading, transaction
from mailcare.systems.authorising import keep_evidence
from mailcare.systems.evidence import Evidence

PDF_TYPE = "application/pdf"


@dataclass(frozen=True, slots=True)
class Returned:
    """A signed scan or file that came back; `signatures` are those in it, where it is a PDF."""

    id: int
    name: str
    sha256: str
    signer: str
    signed_on: date
    recorded_by: str
    recorded_at: datetime
    signatures: tuple[Signature, ...]


def sign_paper(paper: int, *, login: str, signer: str, reason: str, at: datetime) -> int:
    """Return the signed file of a paper's version; signed by the first who asks, once.

    `signer` is the name on the seal, that of who logs in as `login`. Raise `InputError` for a paper
    without signature boxes, or an unusable certificate.
    """
    if known := signed_file(paper):
        return known
    pdf = paper_file(paper, FileKind.PDF).body
    identity = signing_identity(login, signer, now=at)
    signed = sign(pdf, identity, signer=signer, reason=reason, at=at)
    with transaction() as session:
        values = file_values(FileKind.SIGNED, signed) | {"paper_id": paper}
        added = add_once(session, PaperFile, values)
        if added is not None:
            said: dict[str, object] = {"signer": signer, "sha256": values["sha256"]}
            subject = f"paper/{paper}"
            note_change(session, by=login, at=at, action="sign", subject=subject, after=said)
    # Of two who signed at once, the other one's file may be the one that was kept.
    return added or _signed_now(paper)


def name_of(login: str) -> str:
    """Return the name of who logs in as `login`, as the staff list has it."""
    with reading() as session:
        named = select(StaffMember.name).where(StaffMember.login == login)
        return session.scalar(named) or login


def signed_file(paper: int) -> int | None:
    """Return the id of the signed file of a paper's version."""
    of_paper = select(PaperFile.id).where(
        PaperFile.paper_id == paper, PaperFile.kind == FileKind.SIGNED
    )
    with reading() as session:
        return session.scalar(of_paper)


def _signed_now(paper: int) -> int:
    found = signed_file(paper)
    assert found is not None  # the unique key said that it is there
    return found


def signatures_of(paper: int) -> tuple[Signature, ...]:
    """Return the signatures of a paper's signed file, none where nobody signed."""
    if signed_file(paper) is None:
        return ()
    return verify(paper_file(paper, FileKind.SIGNED).body, trusted_roots())


def verify_file(pdf: bytes) -> tuple[Signature, ...]:
    """Return the signatures of any PDF; raise `InputError` for what is none."""
    return verify(pdf, trusted_roots())


def file_signed_return(
    paper: int, evidence: Evidence, *, signer: str, signed_on: date, by: str, at: datetime
) -> int:
    """Keep what a customer signed and sent back, and return its id; the same file once.

    `signer` is who signed at the customer's. Raise `InputError` for a day after today in
    Beijing, or before the paper's first version was there to be signed.
    """
    with transaction() as session:
        _refuse_before_paper(session, paper, signed_on)
        return file_return(
            session, paper, evidence, signer=signer, signed_on=signed_on, by=by, at=at
        )


def _refuse_before_paper(session: Session, paper: int, signed_on: date) -> None:
    of_number = select(Paper.number).where(Paper.id == paper).scalar_subquery()
    first_at = session.scalar(select(func.min(Paper.created_at)).where(Paper.number == of_number))
    if first_at and signed_on < first_at.astimezone(BEIJING).date():
        raise InputError("签字日期不能早于文书生成之日")


def file_return(
    session: Session,
    paper: int,
    evidence: Evidence,
    *,
    signer: str,
    signed_on: date,
    by: str,
    at: datetime,
) -> int:
    """File a signed return as `file_signed_return`, in the caller's transaction."""
    if signed_on > at.astimezone(BEIJING).date():
        raise InputError("签字日期不能晚于今天")
    if session.get(Paper, paper) is None:
        raise InputError("没有这份文书", subject=str(paper))
    file = keep_evidence(session, evidence, by=by)
    values = {"signer": signer, "signed_on": signed_on, "recorded_by": by, "recorded_at": at}
    key = {"paper_id": paper, "evidence_file_id": file}
    added = add_once(session, SignedReturn, key | values)
    if added is None:
        return session.scalars(select(SignedReturn.id).filter_by(**key)).one()
    said: dict[str, object] = {"signer": signer, "signed_on": signed_on.isoformat()}
    subject = f"paper/{paper}"
    note_change(session, by=by, at=at, action="file_return", subject=subject, after=said)
    return added


def returns_of(paper: int) -> tuple[Returned, ...]:
    """Return what came back of a paper's version, the oldest first."""
    filed = (
        select(SignedReturn, EvidenceFile)
        .join(EvidenceFile, EvidenceFile.id == SignedReturn.evidence_file_id)
        .where(SignedReturn.paper_id == paper)
        .order_by(SignedReturn.id)
    )
    with reading() as session:
        return tuple(_returned(row, file) for row, file in session.execute(filed))


def returned_file(paper: int, returned: int) -> PaperBody:
    """Return what a customer sent back, as it came; raise `InputError` where there is none."""
    of_paper = (
        select(EvidenceFile)
        .join(SignedReturn, SignedReturn.evidence_file_id == EvidenceFile.id)
        .where(SignedReturn.id == returned, SignedReturn.paper_id == paper)
    )
    with reading() as session:
        file = session.scalar(of_paper)
        if file is None:
            raise InputError("没有这份文件", subject=str(returned))
        return PaperBody(file.name, file.media_type, file.body)


def _returned(row: SignedReturn, file: EvidenceFile) -> Returned:
    return Returned(
        row.id,
        file.name,
        file.sha256,
        row.signer,
        row.signed_on,
        row.recorded_by,
        row.recorded_at,
        _signatures_in(file),
    )


def _signatures_in(file: EvidenceFile) -> tuple[Signature, ...]:
    if file.media_type != PDF_TYPE:
        return ()
    try:
        return verify(file.body, trusted_roots())
    except InputError:
        return ()  # a scan that pyHanko cannot take apart has no signature that we could vouch for
