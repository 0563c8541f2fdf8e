import json

import pytest

from mailcare.errors import InputError
from mailcare.inspection.check import (
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
from mailcare.inspection.outcome import (
    by_urgency,
    count_results,
    findings_document,
    read_replies,
    write_replies,
)
from tests.inspection.samples import AT

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
    assert read_replies(write_replies(answers)) == answers


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"ask": {}}', b"\xff"])
def test_a_line_that_is_no_reply_is_named(line):
    with pytest.raises(InputError, match="第 1 行"):
        read_replies(line)
