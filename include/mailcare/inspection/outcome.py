"""An inspection's outcome as counts, as `findings.json`, and as a file of verbatim replies."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter, ValidationError

from mailcare.errors import InputError
from mailcare.inspection.check import (
    NEVER_AT,
    Answer,
    Area,
    Ask,
    Channel,
    Finding,
    Manual,
    NoReply,
    Reply,
    Result,
    Severity,
    Unmeasured,
)
from mailcare.systems.profile import Strict

COUNTED = ("ok", "notice", "warning", "critical", "unmeasured", "not_applicable", "manual")


def state_of(result: Result) -> str:
    """Return measured, unmeasured, not_applicable or manual."""
    if isinstance(result, Finding):
        return "measured"
    if isinstance(result, Unmeasured):
        return "unmeasured"
    return "manual" if isinstance(result, Manual) else "not_applicable"


def count_results(results: Iterable[Result]) -> dict[str, int]:
    """Count the results by severity where measured and by state where not."""
    counter = Counter(
        result.severity.name.lower() if isinstance(result, Finding) else state_of(result)
        for result in results
    )
    return {key: counter[key] for key in COUNTED}


def by_urgency(results: Iterable[Result]) -> list[Result]:
    """Sort: what was measured as bad, then the unmeasured, the manual, the good, the inapplicable.

    Of the bad the worst comes first; of equals, what no other check explains.
    """
    return sorted(results, key=_urgency)


def _urgency(result: Result) -> tuple[int, int, bool, str, str]:
    severity = result.severity if isinstance(result, Finding) else Severity.OK
    caused = isinstance(result, Finding | Unmeasured) and result.caused_by is not None
    return (_group(result), -severity, caused, result.check, str(result.target))


def _group(result: Result) -> int:
    if isinstance(result, Finding):
        return 0 if result.severity > Severity.OK else 3
    return {"unmeasured": 1, "manual": 2, "not_applicable": 4}[state_of(result)]


def findings_document(
    site: str,
    results: Sequence[Result],
    areas: Mapping[str, Area],
    *,
    started_at: datetime,
    finished_at: datetime,
) -> dict[str, Any]:
    """Return the content of `findings.json`, schema 1; `areas` maps a check's name to its area."""
    return {
        "schema": 1,
        "site": site,
        "started_at": started_at.isoformat(),
        "finished_at": finished_at.isoformat(),
        "counts": count_results(results),
        "results": [_row(result, areas[result.check]) for result in by_urgency(results)],
    }


def _row(result: Result, area: Area) -> dict[str, Any]:
    row: dict[str, Any] = {
        "check": result.check,
        "area": area,
        "target": str(result.target),
        "state": state_of(result),
        "severity": None,
        "reason": None,
        "summary": "",
        "advice": "",
        "caused_by": None,
        "evidence": [],
        "metrics": {},
    }
    if isinstance(result, Finding):
        row |= {
            "severity": result.severity.name.lower(),
            "summary": result.summary,
            "advice": result.advice,
            "caused_by": result.caused_by,
            "evidence": list(result.evidence),
            "metrics": dict(result.metrics),
        }
    else:
        row["reason"] = result.reason
        row["caused_by"] = result.caused_by if isinstance(result, Unmeasured) else None
    return row


@dataclass(frozen=True, slots=True)
class Recorded:
    """An ask with its answer: one line of a file of replies."""

    ask: Ask
    answer: Reply | NoReply


RECORDED = TypeAdapter(Recorded)


def write_replies(answers: Mapping[Ask, Answer]) -> bytes:
    """Write the answers as JSON lines, UTF-8; `read_replies` reads them back."""
    return b"".join(
        RECORDED.dump_json(Recorded(ask, answer)) + b"\n" for ask, answer in answers.items()
    )


def _credible(moment: datetime) -> datetime:
    if not 2000 <= moment.year <= 2100:
        raise ValueError("the year is out of range")
    return moment


def _credible_or_never(moment: datetime) -> datetime:
    return moment if moment == NEVER_AT else _credible(moment)


class _AskLine(Strict):
    channel: Channel
    words: tuple[str, ...]
    timeout_s: Annotated[float, Field(gt=0, le=86400)]
    node: str
    sample: Annotated[int, Field(ge=1, le=16)]


class _ReplyLine(Strict):
    text: str
    exit_code: Annotated[int, Field(ge=0, le=255)]
    taken_at: Annotated[AwareDatetime, AfterValidator(_credible)]
    source: str

    def answer(self) -> Answer:
        return Reply(**dict(self))


class _NoReplyLine(Strict):
    reason: str
    taken_at: Annotated[AwareDatetime, AfterValidator(_credible_or_never)]
    source: str
    permanent: bool

    def answer(self) -> Answer:
        return NoReply(**dict(self))


class _Line(Strict):
    """One line of a file of replies, which a stranger may have written."""

    ask: _AskLine
    answer: _ReplyLine | _NoReplyLine


def read_replies(data: bytes) -> dict[Ask, Answer]:
    """Read JSON lines back; raise `InputError` with the line that is no reply."""
    if not data:
        raise InputError("文件是空的")
    answers: dict[Ask, Answer] = {}
    for number, text in enumerate(data.splitlines(), start=1):
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as error:
            raise InputError(
                f"第 {number} 行不是回复记录（{error.error_count()} 处不符）"
            ) from None
        answers[Ask(**dict(line.ask))] = line.answer.answer()
    return answers
