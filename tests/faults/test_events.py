import json
from datetime import UTC, datetime

import pytest

from mailcare.deadlines import Level
from mailcare.faults.events import (
    FORMS,
    Change,
    Channel,
    Declared,
    FirstContact,
    Handled,
    LevelChanged,
    Merged,
    Paused,
    PauseReason,
    Refused,
    Remedy,
    read_events,
)

AT = "2026-03-02T09:00:00+08:00"
NINE = datetime(2026, 3, 2, 1, tzinfo=UTC)
DECLARED = {"type": "declared", "at": AT, "level": "P1"}


def read(*events):
    return read_events(json.dumps({"events": list(events)}))


def refusal(*events):
    with pytest.raises(Refused) as caught:
        read(*events)
    return caught.value


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (DECLARED, Declared(at=NINE, level=Level.P1)),
        ({"type": "first_contact", "channel": "auto"}, FirstContact(at=NINE, channel=Channel.AUTO)),
        (
            {"type": "paused", "reason": "third_party"},
            Paused(at=NINE, reason=PauseReason.THIRD_PARTY),
        ),
        ({"type": "handled", "kind": "workaround"}, Handled(at=NINE, kind=Remedy.WORKAROUND)),
        ({"type": "merged", "into": "F-7"}, Merged(at=NINE, into="F-7")),
        (
            {"type": "level_changed", "level": "P2", "why": "worsened"},
            LevelChanged(at=NINE, level=Level.P2, why=Change.WORSENED),
        ),
        (
            {
                "type": "level_changed",
                "level": "P2",
                "why": "misclassified",
                "customer_agreed": True,
            },
            LevelChanged(at=NINE, level=Level.P2, why=Change.MISCLASSIFIED, customer_agreed=True),
        ),
    ],
)
def test_an_event_is_read_with_its_words(words, value):
    assert read({"at": AT, **words}) == (value,)


@pytest.mark.parametrize(
    "word", ["accepted", "resumed", "reopened", "report_sent", "signed", "cancelled"]
)
def test_an_event_without_further_words_is_read(word):
    (value,) = read({"type": word, "at": AT})
    assert (type(value), value.at) == (FORMS[word].make, NINE)


def test_every_type_of_the_design_is_known_and_the_return_of_a_report():
    assert set(FORMS) - {"report_returned"} == {
        *("declared", "accepted", "first_contact", "paused", "resumed", "level_changed"),
        *("handled", "reopened", "report_sent", "signed", "cancelled", "merged"),
    }


def test_further_keys_are_passed_over():
    assert read({**DECLARED, "who": "王示例", "evidence": ["a.pdf"]}) == read(DECLARED)


def test_a_time_in_another_zone_is_the_same_moment():
    assert read({**DECLARED, "at": "2026-03-01T20:00:00-05:00"}) == read(DECLARED)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"type": "declared", "at": "2026-03-02T09:00:00", "level": "P1"}, "时区"),
        ({"type": "declared", "at": "2026-03-02", "level": "P1"}, "时区"),
        ({"type": "declared", "at": "nine", "level": "P1"}, "ISO 8601"),
        ({"type": "declared", "at": 1772413200, "level": "P1"}, "ISO 8601"),
        ({"type": "declared", "level": "P1"}, "ISO 8601"),
        ({"type": "declared", "at": AT, "level": "P5"}, "level 的值 'P5' 不认识，可用：P1、P2"),
        ({"type": "declared", "at": AT, "level": "p1"}, "level 的值"),
        ({"type": "declared", "at": AT, "level": ["P1"]}, "level 的值"),
        ({"type": "declared", "at": AT}, "level 未填写"),
        ({"type": "opened", "at": AT}, "type 的值 'opened' 不认识"),
        ({"type": {}, "at": AT}, "type 的值"),
        ({"at": AT}, "type 未填写"),
        ({"type": "first_contact", "at": AT, "channel": "fax"}, "channel 的值 'fax'"),
        ({"type": "first_contact", "at": AT}, "channel 未填写"),
        ({"type": "paused", "at": AT, "reason": "holiday"}, "reason 的值 'holiday'"),
        ({"type": "paused", "at": AT}, "reason 未填写"),
        ({"type": "handled", "at": AT, "kind": "done"}, "kind 的值 'done'"),
        ({"type": "report_returned", "at": AT}, "sent_at 不是 ISO 8601"),
        (
            {"type": "report_returned", "at": AT, "sent_at": "2026-03-02T09:00"},
            "sent_at 时间必须带",
        ),
        ({"type": "handled", "at": AT}, "kind 未填写"),
        ({"type": "level_changed", "at": AT, "level": "P1"}, "why 未填写"),
        ({"type": "level_changed", "at": AT, "why": "worsened"}, "level 未填写"),
        (
            {
                "type": "level_changed",
                "at": AT,
                "level": "P1",
                "why": "worsened",
                "customer_agreed": "yes",
            },
            "customer_agreed 的值 'yes'",
        ),
        ({"type": "merged", "at": AT}, "into 未填写"),
        ({"type": "merged", "at": AT, "into": " "}, "into 的值"),
        ("declared", "JSON 对象"),
        (None, "JSON 对象"),
    ],
)
def test_an_unknown_or_missing_word_is_refused_with_the_events_place(event, said):
    refused = refusal(DECLARED, event)
    assert said in refused.sentence
    assert refused.index == 1


def test_the_first_bad_event_in_the_given_order_is_named():
    late = {"type": "declared", "at": "2030-03-02T09:00:00", "level": "P1"}
    assert refusal(DECLARED, late, {"type": "opened", "at": AT}).index == 1


def test_a_strangers_word_is_quoted_short_and_printable():
    refused = refusal({"type": "\ud800\x1b[31m" + "x" * 10_000, "at": AT})
    assert refused.sentence.isprintable()
    assert len(refused.sentence) < 300


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b'"events"',
        b'{"events": {}}',
        b"{}",
        b"[" * 100_000,
        b'{"events": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_list_of_events_is_refused_as_a_whole(content):
    with pytest.raises(Refused) as caught:
        read_events(content)
    assert caught.value.index is None


def test_no_events_are_read_as_none():
    assert read() == ()
