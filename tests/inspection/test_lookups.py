import dns.message
import dns.rcode
import dns.resolver
import dns.rrset
import pytest

from mailcare.inspection.check import ReplyError
from mailcare.inspection.lookups import Replay, read_lookups, resolver_over
from tests.inspection.samples import reply


def answer(rdtype: str, name: str, *rdatas: str, rcode: str = "NOERROR") -> str:
    response = dns.message.make_response(dns.message.make_query(name, rdtype))
    response.set_rcode(dns.rcode.from_text(rcode))
    if rdatas:
        response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", rdtype, *rdatas))
    lines = "".join(f"< {line}\n" for line in response.to_text().splitlines())
    return f"> {rdtype} {name}.\n{lines}"


def test_records_come_in_the_same_order_whatever_the_answers_order():
    one = read_lookups(reply(answer("A", "x.example", "192.0.2.1", "192.0.2.2")))
    other = read_lookups(reply(answer("A", "x.example", "192.0.2.2", "192.0.2.1")))
    assert one.records("A", "x.example") == other.records("A", "x.example")


def test_names_are_compared_without_case_and_final_dot():
    lookups = read_lookups(reply(answer("A", "x.example", "192.0.2.1")))
    assert lookups.records("A", "X.Example.")


def test_no_such_name_is_a_fact():
    lookups = read_lookups(reply(answer("A", "x.example", rcode="NXDOMAIN")))
    assert lookups.records("A", "x.example") == ()
    assert not lookups.find("A", "x.example").exists()


def test_no_such_record_is_a_fact_about_a_name_that_exists():
    lookups = read_lookups(reply(answer("A", "x.example")))
    assert lookups.records("A", "x.example") == ()
    assert lookups.find("A", "x.example").exists()


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED"])
def test_a_servers_failure_is_no_fact(rcode):
    lookups = read_lookups(reply(answer("A", "x.example", rcode=rcode)))
    with pytest.raises(ReplyError, match=rcode):
        lookups.records("A", "x.example")


def test_a_timeout_is_no_fact():
    lookups = read_lookups(reply("> A x.example.\n# timeout\n"))
    with pytest.raises(ReplyError, match="timeout"):
        lookups.records("A", "x.example")


def test_an_answer_after_a_timeout_is_the_one_that_counts():
    text = "> A x.example.\n# timeout\n" + answer("A", "x.example", "192.0.2.1")
    [rdata] = read_lookups(reply(text)).records("A", "x.example")
    assert rdata.to_text() == "192.0.2.1"


def test_an_answer_to_another_question_is_not_believed():
    text = answer("A", "x.example", "192.0.2.1").replace("> A x.", "> A y.")
    with pytest.raises(ReplyError, match="不符"):
        read_lookups(reply(text))


def test_what_was_not_asked_is_said():
    lookups = read_lookups(reply(answer("A", "x.example", "192.0.2.1")))
    with pytest.raises(ReplyError, match="没有查询"):
        lookups.records("MX", "x.example")


def test_a_courtesy_lookup_may_fail():
    text = answer("TXT", "x.example", '"a"') + answer("CNAME", "x.example", rcode="SERVFAIL")
    read_lookups(reply(text)).need_answers()
    with pytest.raises(ReplyError):
        read_lookups(reply(text + "> MX x.example.\n# timeout\n")).need_answers()


def test_a_replay_answers_as_the_server_did():
    lookups = read_lookups(
        reply(answer("A", "x.example", "192.0.2.1") + answer("A", "n.example", rcode="NXDOMAIN"))
    )
    resolver = resolver_over([Replay(lookups)])
    assert [rdata.to_text() for rdata in resolver.resolve("x.example", "A")] == ["192.0.2.1"]
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolver.resolve("n.example", "A")


def test_a_replay_of_nothing_fails_at_once():
    resolver = resolver_over([Replay(read_lookups(reply(answer("A", "x.example"))))])
    with pytest.raises(dns.resolver.NoNameservers):
        resolver.resolve("other.example", "A")
