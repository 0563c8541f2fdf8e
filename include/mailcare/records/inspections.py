"""Services, their inspections, the verbatim replies, and what was judged of them."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailcare.records.base import AppendOnly, Base, SentenceText, Stateful, VerbatimText
from mailcare.records.contracts import Contract
from mailcare.records.customers import Authorisation, System


class ServiceKind(StrEnum):
    """What is done for the customer."""

    REMOTE_INSPECTION = "remote_inspection"
    VISIT = "visit"
    BACKUP_VERIFICATION = "backup_verification"
    REVIEW = "review"


class ServicePurpose(StrEnum):
    """Whether the contract year's inspection is used up."""

    ANNUAL = "annual"
    FOLLOW_UP = "follow_up"


class ServiceState(StrEnum):
    """How far a service has come; one that a changed contract no longer owes is withdrawn."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    WITHDRAWN = "withdrawn"


class FindingState(StrEnum):
    """What became of a check; only a measured one has a severity."""

    MEASURED = "measured"
    UNMEASURED = "unmeasured"
    NOT_APPLICABLE = "not_applicable"
    MANUAL = "manual"


class FindingSeverity(StrEnum):
    """How bad a measured finding is."""

    OK = "ok"
    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"


class Service(Stateful[ServiceState], Base):
    """One service; `key` is derived from what caused it, so that it is created once.

    `contract_id` and `contract_year` tell which promise it keeps, `is_provisional` that `due_on`
    rests on holidays that are not published.
    """

    __tablename__ = "services"
    __table_args__ = (Index(None, "state", "due_on"),)

    system_id: Mapped[int] = mapped_column(ForeignKey(System.id), index=True)
    kind: Mapped[ServiceKind]
    purpose: Mapped[ServicePurpose]
    key: Mapped[str] = mapped_column(unique=True)
    due_on: Mapped[date | None]
    is_provisional: Mapped[bool] = mapped_column(server_default=false())
    contract_id: Mapped[int | None] = mapped_column(ForeignKey(Contract.id), index=True)
    contract_year: Mapped[int | None]
    state: Mapped[ServiceState]


class Inspection(Base):
    """One inspection of a service; `current_judgement_id` is the one that papers show.

    `definition` is the system's site file as it was when the inspection began, `scope` the names
    of its checks (empty: all), `bundle` the file that is judged instead of asking the hosts.
    """

    __tablename__ = "inspections"

    service_id: Mapped[int] = mapped_column(ForeignKey(Service.id), unique=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    definition: Mapped[dict[str, object]]
    scope: Mapped[list[str]]
    bundle: Mapped[str | None]
    current_judgement_id: Mapped[int | None] = mapped_column(
        ForeignKey("judgements.id", use_alter=True)
    )


class Connection(AppendOnly, Base):
    """Who connected where and when, under which authorisation; written before the connection."""

    __tablename__ = "connections"

    inspection_id: Mapped[int] = mapped_column(ForeignKey(Inspection.id), index=True)
    authorisation_id: Mapped[int] = mapped_column(ForeignKey(Authorisation.id), index=True)
    node: Mapped[str]
    address: Mapped[str]
    login: Mapped[str]
    connected_at: Mapped[datetime]


class Reply(AppendOnly, Base):
    """What an ask brought back, verbatim, or the reason why nothing came.

    `ask_key` is the digest of the ask; the answer of its highest `attempt` counts.
    """

    __tablename__ = "replies"
    __table_args__ = (
        UniqueConstraint("inspection_id", "ask_key", "attempt"),
        CheckConstraint(
            "(text IS NULL) <> (reason IS NULL)"
            " AND (text IS NULL) = (exit_code IS NULL)"
            " AND (reason IS NULL) = (permanent IS NULL)",
            name="text_or_reason",
        ),
    )

    inspection_id: Mapped[int] = mapped_column(ForeignKey(Inspection.id))
    ask_key: Mapped[str]
    attempt: Mapped[int]
    node: Mapped[str]
    channel: Mapped[str]
    words: Mapped[list[str]]
    timeout_s: Mapped[float]
    sample: Mapped[int]
    text: Mapped[VerbatimText | None]
    exit_code: Mapped[int | None]
    reason: Mapped[SentenceText | None]
    permanent: Mapped[bool | None]
    taken_at: Mapped[datetime]
    source: Mapped[SentenceText]


class Judgement(AppendOnly, Base):
    """One reading of an inspection's replies by one version of the product."""

    __tablename__ = "judgements"
    __table_args__ = (UniqueConstraint("inspection_id", "fingerprint"),)

    inspection_id: Mapped[int] = mapped_column(ForeignKey(Inspection.id))
    fingerprint: Mapped[str]
    judged_at: Mapped[datetime]
    product_version: Mapped[str]

    findings: Mapped[list["Finding"]] = relationship(order_by="Finding.ordinal")


class Finding(AppendOnly, Base):
    """One result of a judgement; whatever was not measured has a reason instead of a severity."""

    __tablename__ = "findings"
    __table_args__ = (
        UniqueConstraint("judgement_id", "ordinal"),
        CheckConstraint(
            "(state = 'measured') = (severity IS NOT NULL)", name="severity_if_measured"
        ),
        CheckConstraint("(state = 'measured') = (reason IS NULL)", name="reason_if_not_measured"),
    )

    judgement_id: Mapped[int] = mapped_column(ForeignKey(Judgement.id))
    ordinal: Mapped[int]
    check_name: Mapped[str]
    area: Mapped[str]
    node: Mapped[str]
    port: Mapped[int]
    part: Mapped[SentenceText]
    state: Mapped[FindingState]
    severity: Mapped[FindingSeverity | None]
    summary: Mapped[SentenceText]
    advice: Mapped[SentenceText]
    reason: Mapped[SentenceText | None]
    evidence: Mapped[list[str]]
    metrics: Mapped[dict[str, float]]
    caused_by: Mapped[str | None]
