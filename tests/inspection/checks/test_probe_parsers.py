"""No record, however odd, makes the parsers of SPF and DMARC crash."""

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcare.inspection.check import Reply, ReplyError, Subject
from tests.inspection.checks.reply_files import RECORDED_AT, check_named, replies_in
from tests.inspection.samples import lab_system

SYSTEM = lab_system()


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


SPF_TERMS = st.sampled_from(
    ["mx", "a", "a:x.example", "mx/24", "a//64", "ip4:1.2.3.4/33", "ip6:::1/200", "include:x",
     "include:shili-bank.example", "redirect=shili-bank.example", "exp=a.b", "exists:%{i}.x",
     "ptr", "all", "-all", "+all", "?all", "ip4:", "ip4:10.66.0.11", "%", "a:%{", "ra=x"]
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(terms=st.lists(st.one_of(SPF_TERMS, st.text("abc:/.%{}=-~?+ 1", max_size=8)), max_size=8))
def test_any_spf_record_is_a_fact_or_a_reason(terms):
    record = " ".join(["v=spf1", *terms])
    [reply] = replies_in("dns.spf", "ok")
    assert "v=spf1 mx -all" in reply.text
    read("dns.spf", [reply.text.replace("v=spf1 mx -all", record)])


@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(value=st.text("pnoreject=;:v DMARC1rua@mailto!,.%", max_size=40))
def test_any_dmarc_record_is_a_fact_or_a_reason(value):
    [reply] = replies_in("dns.dmarc", "ok")
    assert "p=quarantine;" in reply.text
    read("dns.dmarc", [reply.text.replace("p=quarantine;", f"{value};")])
