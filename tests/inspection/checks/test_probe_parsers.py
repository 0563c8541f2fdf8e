"""No reply, whatever its bytes, makes a parser of the probes' checks crash."""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcare.inspection.check import Reply, ReplyError, Subject
from tests.inspection.checks.reply_files import RECORDED_AT, REPLIES, check_named, replies_in
from tests.inspection.checks.test_probe_replies import CHECKS
from tests.inspection.samples import lab_system

SYSTEM = lab_system()
BYTES = st.binary().map(lambda data: data.decode("utf-8", "backslashreplace"))
MARKED = st.lists(st.tuples(st.sampled_from(["> ", "< ", "# "]), st.text(max_size=30))).map(
    lambda rows: "\n".join(mark + text for mark, text in rows)
)


def read(check: str, texts: Sequence[str]) -> None:
    """Parse and judge the texts as the replies to the check's first question."""
    subject = check_named(check)
    question = next(iter(subject.ask(SYSTEM)))
    replies = tuple(Reply(text, 0, RECORDED_AT, "test") for text in texts)
    try:
        fact = subject.parse(replies)
    except ReplyError:
        return
    assert list(subject.judge(fact, subject.limits, Subject(SYSTEM, question.target, RECORDED_AT)))


@st.composite
def mangled(draw: st.DrawFn, check: str) -> list[str]:
    """A recorded reply with lines lost, doubled, swapped, cut or replaced."""
    file = draw(st.sampled_from(sorted(path.stem for path in (REPLIES / check).iterdir())))
    texts = []
    for reply in replies_in(check, file):
        lines = [line[:400] for line in reply.text.splitlines()[:120]]
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, max(len(lines) - 1, 0)))
            lines[at : at + draw(st.integers(0, 2))] = draw(
                st.one_of(st.lists(st.sampled_from(lines or [""]), max_size=2), _odd_lines)
            )
        text = "\n".join(lines)
        texts.append(text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text)
    return texts


_odd_lines = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "# delay_s nan",
                "# elapsed_ms ²",
                "# connecting 1 2",
                "# connecting x y",
                "# senders 10.66.0.x",
                "# domain .",
                "# found",
                "< rcode NXDOMAIN",
                "< ;ANSWER",
                '< shili-bank.example. 60 IN TXT "v=spf1 %{ include:"',
                "< shili-bank.example. 60 IN CNAME shili-bank.example.",
                "< HTTP 999 x",
                "> AUTH",
                "# tls",
            ]
        ),
        st.text(max_size=40).map(lambda text: f"< {text}"),
    ),
    max_size=2,
)


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_are_a_fact_or_a_reason(check, data):
    asks = len(next(iter(check_named(check).ask(SYSTEM))).asks)
    read(check, data.draw(st.lists(st.one_of(BYTES, MARKED), min_size=asks, max_size=asks)))


@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_mangled_reply_is_a_fact_or_a_reason(check, data):
    read(check, data.draw(mangled(check)))


SPF_TERMS = st.sampled_from(
    ["mx", "a", "a:x.example", "mx/24", "a//64", "ip4:1.2.3.4/33", "ip6:::1/200", "include:x",
     "include:shili-bank.example", "redirect=shili-bank.example", "exp=a.b", "exists:%{i}.x",
     "ptr", "all", "-all", "+all", "?all", "ip4:", "ip4:10.66.0.11", "%", "a:%{", "ra=x"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(terms=st.lists(st.one_of(SPF_TERMS, st.text("abc:/.%{}=-~?+ 1", max_size=8)), max_size=8))
def test_any_spf_record_is_a_fact_or_a_reason(terms):
    record = " ".join(["v=spf1", *terms])
    [reply] = replies_in("dns.spf", "ok")
    assert "v=spf1 mx -all" in reply.text
    read("dns.spf", [reply.text.replace("v=spf1 mx -all", record)])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.text("pnoreject=;:v DMARC1rua@mailto!,.%", max_size=40))
def test_any_dmarc_record_is_a_fact_or_a_reason(value):
    [reply] = replies_in("dns.dmarc", "ok")
    assert "p=quarantine;" in reply.text
    read("dns.dmarc", [reply.text.replace("p=quarantine;", f"{value};")])
