import json
from datetime import UTC, datetime

import pytest

from mailcare.errors import InputError
from mailcare.inspection.check import (
    NEVER_AT,
    Area,
    Ask,
    Channel,
    Finding,
    Manual,
    NoReply,
    NotApplicable,
    Reply,
    Severity,
    Target,
    Unmeasured,
)
from mailcare.inspection.collect.frames import read_bundle
from mailcare.inspection.outcome import (
    by_urgency,
    count_results,
    findings_document,
    read_replies,
    write_replies,
)
from tests.inspection.samples import AT, lab_system

MX1 = Target("mx1")
RESULTS = (
    Finding("os.a", MX1, Severity.OK, "好"),
    Unmeasured("os.b", MX1, "断了", caused_by="os.c"),
    Finding(
        "os.c",
        Target("mx1", 0, "/var"),
        Severity.CRITICAL,
        "满",
        "清理",
        ("e",),
        {"used_pct": 99.0},
    ),
    Finding("os.d", MX1, Severity.CRITICAL, "慢", caused_by="os.c"),
    NotApplicable("os.e", Target(), "不涉及"),
    Manual("os.f", Target(), "请看"),
)


def test_every_result_is_counted_once():
    counts = count_results(RESULTS)
    assert counts == {
        "ok": 1,
        "notice": 0,
        "warning": 0,
        "critical": 2,
        "unmeasured": 1,
        "not_applicable": 1,
        "manual": 1,
    }


def test_causes_come_before_what_they_explain():
    assert [result.check for result in by_urgency(RESULTS)][:2] == ["os.c", "os.d"]


def test_the_bad_comes_first_and_the_unmeasured_before_the_good():
    caused = Finding("os.0", MX1, Severity.WARNING, "慢", caused_by="os.c")
    own = Finding("os.9", MX1, Severity.WARNING, "旧")
    lost = Unmeasured("os.z", MX1, "断了")
    order = [result.check for result in by_urgency((*RESULTS, caused, own, lost))]
    assert order == ["os.c", "os.d", "os.9", "os.0", "os.z", "os.b", "os.f", "os.a", "os.e"]


def test_the_findings_document_keeps_unmeasured_apart():
    areas = {result.check: Area.OS for result in RESULTS}
    document = findings_document("s", RESULTS, areas, started_at=AT, finished_at=AT)
    assert json.loads(json.dumps(document)) == document
    rows = {row["check"]: row for row in document["results"]}
    assert rows["os.b"]["state"] == "unmeasured"
    assert rows["os.b"]["severity"] is None
    assert rows["os.b"]["reason"] == "断了"
    assert rows["os.b"]["caused_by"] == "os.c"
    assert rows["os.c"]["severity"] == "critical"
    assert rows["os.c"]["reason"] is None
    assert rows["os.c"]["target"] == "mx1 /var"
    assert rows["os.c"]["evidence"] == ["e"]
    assert rows["os.e"]["state"] == "not_applicable"
    assert rows["os.f"]["state"] == "manual"
    assert document["counts"]["critical"] == 2


def test_replies_are_read_back_as_they_were_written():
    answers = {
        Ask(Channel.SSH, ("cat", "/x"), 5.0, "mx1", 2): Reply(
            "a\x00\r\n\x85é\u2028", 1, AT, "ssh://x"
        ),
        Ask(Channel.DNS, ("lookup", "MX", "a.example")): NoReply(
            "超时", AT, "dns://x", permanent=True
        ),
    }
    again = read_replies(write_replies(answers))
    assert again == answers
    assert [ask.timeout_s for ask in again] == [5.0, 10.0]


def test_replies_of_a_bundle_are_read_back_as_they_were_written():
    told, other = Ask(Channel.SSH, ("one",), node="mx1"), Ask(Channel.SSH, ("one",), node="bak1")
    begin = b"==mailcare:1:begin== 1795441013 0 mx1\n"
    answers = read_bundle(begin, [told, other], lab_system(), source="bundle:x")
    assert answers[other].taken_at == NEVER_AT
    assert read_replies(write_replies(answers)) == answers


def test_a_stored_reply_still_answers_its_ask_after_a_change_of_its_timeout():
    reply = Reply("a", 0, AT, "ssh://x")
    answers = read_replies(write_replies({Ask(Channel.SSH, ("x",), 5.0, "mx1"): reply}))
    assert answers[Ask(Channel.SSH, ("x",), 60.0, "mx1")] == reply


def line(**changes: object) -> bytes:
    ask = {"channel": "ssh", "words": ["x"], "timeout_s": 5, "node": "mx1", "sample": 1}
    told = {"text": "", "exit_code": 0, "taken_at": "2026-11-24T00:00:00Z", "source": "x"}
    ask |= {key: value for key, value in changes.items() if key in ask}
    told |= {key: value for key, value in changes.items() if key not in ask}
    return json.dumps({"ask": ask, "answer": told}).encode() + b"\n"


@pytest.mark.parametrize(
    "changes",
    [
        {"taken_at": "2026-11-24T00:00:00"},
        {"taken_at": "1999-12-31T23:59:59Z"},
        {"taken_at": "2101-01-01T00:00:00Z"},
        {"taken_at": "0001-01-01T00:00:00+23:00"},
        {"taken_at": "1970-01-01T00:00:00Z"},
        {"exit_code": 2**31},
        {"exit_code": -1},
        {"timeout_s": float("nan")},
        {"timeout_s": -1},
        {"sample": 2**40},
        {"text": None},
        {"more": 1},
    ],
    ids=str,
)
def test_what_no_collector_writes_is_refused_with_its_line(changes):
    good = line()
    assert list(read_replies(good).values()) == [
        Reply("", 0, datetime(2026, 11, 24, tzinfo=UTC), "x")
    ]
    with pytest.raises(InputError, match="第 2 行"):
        read_replies(good + line(**changes))


def test_an_empty_file_of_replies_is_refused():
    with pytest.raises(InputError, match="文件是空的"):
        read_replies(b"")


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"ask": {}}', b"\xff"])
def test_a_line_that_is_no_reply_is_named(text):
    with pytest.raises(InputError, match="第 1 行"):
        read_replies(text)
