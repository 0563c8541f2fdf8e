"""When each of the regular jobs last ran, and how that ended."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.orm import Mapped, Session, mapped_column

from mailcare.records.base import Base, SentenceText
from mailcare.records.changes import add_once


class JobRun(Base):
    """A job that runs every few minutes, named as its Dag; the console shows when it last ran."""

    __tablename__ = "job_runs"

    job: Mapped[str] = mapped_column(unique=True)
    ended_at: Mapped[datetime]
    outcome: Mapped[SentenceText]


def note_run(session: Session, job: str, *, at: datetime, outcome: str) -> None:
    """Write down that a job has just run, over what stood there of its last run."""
    values = {"ended_at": at, "outcome": outcome}
    if add_once(session, JobRun, {"job": job, **values}) is None:
        session.execute(update(JobRun).where(JobRun.job == job).values(values))
