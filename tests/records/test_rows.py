from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from mailcare.records.customers import Authorisation, Customer, System
from mailcare.records.inspections import (
    Finding,
    FindingSeverity,
    FindingState,
    Inspection,
    Judgement,
    Reply,
)
from mailcare.records.papers import FileKind, Paper, PaperFile
from mailcare.records.session import reading, transaction
from tests.records.rows import (
    NOW,
    add_authorisation,
    add_inspection,
    add_service,
    add_system,
    reply,
)

SHANGHAI = timezone(timedelta(hours=8))


def test_a_moment_comes_back_in_utc_whatever_zone_it_had(engine: Engine) -> None:
    local = datetime(2026, 3, 2, 9, 30, 0, 123456, tzinfo=SHANGHAI)
    with transaction(engine) as session:
        inspection = session.get_one(Inspection, add_inspection(session))
        inspection.finished_at = local

    with reading(engine) as session:
        stored = session.scalars(select(Inspection.finished_at)).one()
    assert stored == local
    assert stored.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(engine: Engine) -> None:
    naive = datetime(2026, 3, 2, 9, 30)  # noqa: DTZ001 - the point
    with pytest.raises(StatementError, match="without a zone"), transaction(engine) as session:
        session.add(reply(add_inspection(session), taken_at=naive))

    with reading(engine) as session:
        assert session.scalars(select(Inspection)).all() == []


def test_moments_compare_in_the_database_as_moments(engine: Engine) -> None:
    with transaction(engine) as session:
        add_authorisation(session)
    inside = (NOW + timedelta(days=7) - timedelta(microseconds=1)).astimezone(SHANGHAI)

    def valid_at(moment: datetime) -> list[int]:
        query = select(Authorisation.id).where(
            Authorisation.valid_from <= moment, moment < Authorisation.valid_to
        )
        with reading(engine) as session:
            return list(session.scalars(query))

    assert len(valid_at(inside)) == 1
    assert valid_at(inside + timedelta(microseconds=1)) == []
    assert valid_at(NOW - timedelta(microseconds=1)) == []


def test_the_database_writes_down_when_a_row_was_made(engine: Engine) -> None:
    with transaction(engine) as session:
        add_system(session)

    with reading(engine) as session:
        system = session.scalars(select(System)).one()
    assert system.created_at.tzinfo is UTC
    assert system.created_at.year >= 2025
    assert system.updated_at == system.created_at


def test_json_comes_back_as_it_went_in(engine: Engine) -> None:
    with transaction(engine) as session:
        add_authorisation(session)

    with reading(engine) as session:
        assert session.scalars(select(Authorisation.nodes)).one() == ["mx1", "bak1"]
        definition = session.scalars(select(System.definition)).one()
    assert definition == {"schema": 1, "customer": {"name": "示例银行"}}


@pytest.mark.parametrize(
    "text",
    ["", "a\0b\r\n\tc", "磁盘 🙂", "\udcff\udc80 half", "x" * 5_000_000],
    ids=["empty", "nul", "chinese", "half surrogates", "5 MB"],
)
def test_a_reply_is_kept_verbatim(engine: Engine, text: str) -> None:
    with transaction(engine) as session:
        session.add(reply(add_inspection(session), text=text))

    with reading(engine) as session:
        assert session.scalars(select(Reply)).one().text == text


def test_a_sentence_that_quotes_a_broken_text_is_kept_readable(engine: Engine) -> None:
    broken = {"text": None, "exit_code": None, "permanent": False}
    with transaction(engine) as session:
        inspection = add_inspection(session)
        session.add(reply(inspection, reason="收到\0与\udcff；🙂", **broken))

    with reading(engine) as session:
        assert session.scalars(select(Reply.reason)).one() == "收到�与�；🙂"


def test_a_stranger_s_nul_is_kept_readable_wherever_a_finding_quotes_it(engine: Engine) -> None:
    with transaction(engine) as session:
        inspection = add_inspection(session)
        session.add(reply(inspection, words=["a\0\udcff"], source="bundle:a\0"))
        judgement = _judgement(inspection)
        _finding(judgement, 0, FindingState.MEASURED, FindingSeverity.OK, None)
        [finding] = judgement.findings
        finding.part, finding.evidence = "/var\0", ["b\0\udcff"]
        session.add(judgement)

    with reading(engine) as session:
        stored = session.scalars(select(Reply)).one()
        assert (stored.words, stored.source) == (["a\0\udcff"], "bundle:a�")
        told = session.scalars(select(Finding)).one()
        assert (told.part, told.evidence) == ("/var�", ["b\0\udcff"])


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "超时"},
        {"text": None, "exit_code": None},
        {"text": None, "reason": "超时", "permanent": True},
        {"exit_code": None},
        {"permanent": False},
    ],
    ids=["text and reason", "neither", "exit code alone", "no exit code", "permanence of a text"],
)
def test_a_reply_is_either_a_text_or_a_reason(engine: Engine, changes: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="text_or_reason"), transaction(engine) as session:
        session.add(reply(add_inspection(session), **changes))


def test_the_same_attempt_at_an_ask_is_stored_once(engine: Engine) -> None:
    with transaction(engine) as session:
        inspection = add_inspection(session)
        session.add_all([reply(inspection), reply(inspection, attempt=2)])

    with pytest.raises(IntegrityError), transaction(engine) as session:
        session.add(reply(inspection))


def test_a_reply_needs_its_inspection(engine: Engine) -> None:
    with pytest.raises(IntegrityError), transaction(engine) as session:
        session.add(reply(4711))


def test_a_word_that_is_not_in_the_list_is_refused_by_the_database(engine: Engine) -> None:
    with transaction(engine) as session:
        add_service(session)

    with pytest.raises(IntegrityError, match="servicestate"), engine.begin() as connection:
        connection.exec_driver_sql("UPDATE services SET state = 'lost'")


@pytest.mark.parametrize(
    ("state", "severity", "reason"),
    [
        (FindingState.UNMEASURED, FindingSeverity.OK, "超时"),
        (FindingState.UNMEASURED, None, None),
        (FindingState.MEASURED, None, None),
        (FindingState.MEASURED, FindingSeverity.OK, "超时"),
    ],
)
def test_what_was_not_measured_has_a_reason_and_no_severity(
    engine: Engine,
    state: FindingState,
    severity: FindingSeverity | None,
    reason: str | None,
) -> None:
    with pytest.raises(IntegrityError, match="measured"), transaction(engine) as session:
        session.add(_finding(_judgement(add_inspection(session)), 0, state, severity, reason))


def test_findings_come_in_their_order_and_one_judgement_becomes_current(engine: Engine) -> None:
    measured, unmeasured = FindingState.MEASURED, FindingState.UNMEASURED
    with transaction(engine) as session:
        inspection = session.get_one(Inspection, add_inspection(session))
        judgement = _judgement(inspection.id)
        session.add(_finding(judgement, 2, measured, FindingSeverity.WARNING, None))
        session.add(_finding(judgement, 1, unmeasured, None, "超时"))
        session.flush()
        inspection.current_judgement_id = judgement.id

    with reading(engine) as session:
        current = session.scalars(select(Inspection.current_judgement_id)).one()
        findings = session.get_one(Judgement, current).findings
        assert [one.ordinal for one in findings] == [1, 2]
        assert findings[1].severity is FindingSeverity.WARNING
        assert findings[1].metrics == {"used_pct": 91.5}


def _prolong(session: Session, row: Authorisation) -> None:
    row.valid_to = NOW + timedelta(days=365)


@pytest.mark.parametrize("touch", [_prolong, Session.delete])
def test_a_session_refuses_to_touch_what_is_append_only(
    engine: Engine, touch: Callable[[Session, Authorisation], None]
) -> None:
    with transaction(engine) as session:
        identity = add_authorisation(session)

    with pytest.raises(TypeError, match="append-only"), transaction(engine) as session:
        touch(session, session.get_one(Authorisation, identity))

    with reading(engine) as session:
        assert session.get_one(Authorisation, identity).valid_to == NOW + timedelta(days=7)


def test_an_authorisation_must_end_after_it_starts(engine: Engine) -> None:
    with pytest.raises(IntegrityError, match="ends_after_start"), transaction(engine) as session:
        add_authorisation(session, valid_to=NOW)


def test_a_rendered_file_is_kept_byte_by_byte_and_read_only_when_asked_for(engine: Engine) -> None:
    body = bytes(range(256)) * 20_000
    with transaction(engine) as session:
        file = PaperFile(kind=FileKind.PDF, sha256="0" * 64, size_bytes=len(body), body=body)
        session.add(_paper(add_system(session), files=[file]))

    with reading(engine) as session:
        stored = session.scalars(select(PaperFile)).one()
        assert "body" not in stored.__dict__
        assert stored.body == body


def test_equal_content_of_a_paper_is_one_version(engine: Engine) -> None:
    with transaction(engine) as session:
        system = add_system(session)
        session.add(_paper(system))
        session.flush()
        session.add(_paper(system, version=2, fingerprint="b"))

    for changes in ({"version": 3}, {"fingerprint": "c"}, {"version": 0, "fingerprint": "d"}):
        with pytest.raises(IntegrityError), transaction(engine) as session:
            session.add(_paper(system, **changes))


def test_a_customer_is_known_by_name_once(engine: Engine) -> None:
    with transaction(engine) as session:
        session.add(Customer(name="示例银行"))

    with pytest.raises(IntegrityError), transaction(engine) as session:
        session.add(Customer(name="示例银行"))


def _paper(system_id: int, **changes: object) -> Paper:
    values: dict[str, object] = {
        "system_id": system_id,
        "number": "XJ-2026-0001",
        "version": 1,
        "template": "inspection",
        "template_version": "1",
        "content": {"客户名称": "示例银行"},
        "fingerprint": "a",
    }
    return Paper(**(values | changes))


def _judgement(inspection_id: int) -> Judgement:
    return Judgement(
        inspection_id=inspection_id, fingerprint="j1", judged_at=NOW, product_version="0.1.0"
    )


def _finding(
    judgement: Judgement,
    ordinal: int,
    state: FindingState,
    severity: FindingSeverity | None,
    reason: str | None,
) -> Judgement:
    judgement.findings.append(
        Finding(
            ordinal=ordinal,
            check_name="disk_space",
            area="storage",
            node="mx1",
            port=0,
            part="/var",
            state=state,
            severity=severity,
            summary="已用 91.5 %，警戒线 90 %",
            advice="清理日志",
            reason=reason,
            evidence=["/dev/sda1 92%"],
            metrics={"used_pct": 91.5},
            caused_by=None,
        )
    )
    return judgement
