from dataclasses import replace

import pytest

from mailcare.inspection.check import Ask, Channel, Reply, ReplyError
from mailcare.inspection.collect import dns
from mailcare.inspection.lookups import read_lookups, read_servers
from tests.inspection.checks.reply_files import check_named
from tests.inspection.collect.loopback import NameServer, Zone
from tests.inspection.collect.probing import scene, site_asking

BANK = "bank.example"
ZONE: Zone = {
    ("MX", BANK): ("10 mx.bank.example.",),
    ("A", "mx.bank.example"): ("192.0.2.1",),
    ("TXT", BANK): ('"v=spf1 mx include:_spf.partner.example -all"',),
    ("TXT", "_spf.partner.example"): ('"v=spf1 ip4:192.0.2.9 -all"',),
    ("TXT", "_dmarc.bank.example"): ('"v=DMARC1; p=reject"',),
    ("PTR", "1.2.0.192.in-addr.arpa"): ("mx.bank.example.",),
    ("A", "2.0.0.127.bl.example"): ("127.0.0.2",),
    ("A", "1.2.0.192.bl.example"): ("127.0.0.4",),
    ("TXT", "1.2.0.192.bl.example"): ('"spam seen"',),
}


def look(*words: str, zone: Zone = ZONE, timeout_s: float = 5.0) -> tuple[Reply, NameServer]:
    with NameServer(zone) as server:
        asked = Ask(Channel.DNS, words, timeout_s)
        answer = dns.probe(asked, scene(site_asking(server)))
    assert isinstance(answer, Reply)
    return answer, server


def test_a_lookup_is_recorded_and_read_back():
    reply, server = look("lookup", "MX", BANK)
    assert reply.text.startswith(f"# resolver 127.0.0.1 {server.port} site\n> MX bank.example.\n")
    [rdata] = read_lookups(reply).records("MX", BANK)
    assert rdata.to_text() == "10 mx.bank.example."


def test_mx_brings_the_addresses_of_its_hosts():
    reply, _ = look("mx", BANK)
    assert read_lookups(reply).addresses("mx.bank.example") == ("192.0.2.1",)


def test_ptr_brings_the_way_back():
    reply, _ = look("ptr", "192.0.2.1")
    lookups = read_lookups(reply)
    assert [one.to_text() for one in lookups.records("PTR", "1.2.0.192.in-addr.arpa")]
    assert lookups.addresses("mx.bank.example") == ("192.0.2.1",)


def test_spf_brings_every_record_that_its_evaluation_needs():
    reply, _ = look("spf", BANK, "192.0.2.1")
    lookups = read_lookups(reply)
    assert lookups.texts("_spf.partner.example") == ("v=spf1 ip4:192.0.2.9 -all",)
    assert lookups.addresses("mx.bank.example") == ("192.0.2.1",)


def test_spf_is_asked_anew_each_time():
    _, first = look("spf", BANK, "192.0.2.1")
    _, second = look("spf", BANK, "192.0.2.1")
    assert ("TXT", BANK) in first.asked
    assert first.asked == second.asked


def test_an_explanation_text_is_asked_of_the_same_server():
    zone = ZONE | {
        ("TXT", BANK): ('"v=spf1 mx -all exp=why.bank.example"',),
        ("TXT", "why.bank.example"): ('"because"',),
    }
    _, server = look("spf", BANK, "192.0.2.1", zone=zone)
    assert ("TXT", "why.bank.example") in server.asked


def test_dmarc_is_recorded():
    reply, _ = look("dmarc", BANK)
    assert read_lookups(reply).texts("_dmarc.bank.example") == ("v=DMARC1; p=reject",)


def test_a_blocklist_is_asked_for_its_test_points_and_the_address():
    reply, server = look("dnsbl", "bl.example", "192.0.2.1")
    assert [name for rdtype, name in server.asked if rdtype == "A"] == [
        "2.0.0.127.bl.example",
        "1.0.0.127.bl.example",
        "1.2.0.192.bl.example",
    ]
    assert read_lookups(reply).texts_if_any("1.2.0.192.bl.example") == ("spam seen",)


def test_an_ipv6_address_is_asked_nibble_by_nibble():
    _, server = look("dnsbl", "bl.example", "2001:db8::1")
    name = "1." + "0." * 23 + "8.b.d.0.1.0.0.2.bl.example"
    points = ("2.0.0.0.0.0.f.7.f.f.f.f.", "1.0.0.0.0.0.f.7.f.f.f.f.")  # RFC 5782 §5
    asked = [one for rdtype, one in server.asked if rdtype == "A"]
    assert asked == [*(f"{point}{'0.' * 20}bl.example" for point in points), name]


def test_an_ipv6_address_is_clean_only_where_the_list_knows_ipv6():
    point = "2.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20 + "bl6.example"
    parse = check_named("dns.blocklist").parse
    reply, _ = look("dnsbl", "bl6.example", "2001:db8::1", zone={("A", point): ("127.0.0.2",)})
    assert parse((reply,)).codes == ()
    reply, _ = look("dnsbl", "bl.example", "2001:db8::1")
    with pytest.raises(ReplyError, match="没有列出"):
        parse((reply,))


@pytest.mark.parametrize(("rcode", "said"), [("SERVFAIL", "SERVFAIL"), ("REFUSED", "REFUSED")])
def test_a_servers_refusal_is_kept(rcode, said):
    reply, _ = look("lookup", "MX", BANK, zone={("MX", BANK): rcode})
    assert f"< rcode {said}\n" in reply.text


def test_a_server_that_keeps_silent_is_left_at_the_deadline():
    reply, _ = look("lookup", "MX", BANK, zone={("MX", BANK): "silent"}, timeout_s=0.5)
    assert reply.exit_code == 1
    assert "# timeout\n" in reply.text


def test_a_silent_server_does_not_hold_a_long_evaluation_beyond_the_deadline():
    zone = ZONE | {("A", "mx.bank.example"): "silent"}
    reply, server = look("spf", BANK, "192.0.2.1", zone=zone, timeout_s=0.5)
    assert reply.exit_code == 1
    assert len(server.asked) < 20


def test_signatures_are_asked_for_with_keys_and_the_parents_word():
    _, server = look("dnssec", BANK, zone={("SOA", BANK): ("a. b. 1 2 3 4 5",)})
    assert server.asked == [("DS", BANK), ("DNSKEY", BANK), ("SOA", BANK)]


def test_pinned_certificates_are_looked_up_for_each_exchanger():
    pinned = "_25._tcp.mx.bank.example"
    reply, server = look("tlsa", BANK, zone=ZONE | {("TLSA", pinned): (f"3 1 1 {'5a' * 32}",)})
    assert ("TLSA", pinned) in server.asked
    assert len(read_lookups(reply).records("TLSA", pinned)) == 1


def test_reverse_names_are_looked_up_for_each_ipv6_address():
    _, server = look(
        "ptr6", "mx.bank.example", zone={("AAAA", "mx.bank.example"): ("2001:db8::1",)}
    )
    assert ("PTR", "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa") in server.asked


def test_each_name_server_is_asked_itself_and_once_more_where_they_differ(monkeypatch):
    monkeypatch.setattr(dns, "PAUSE_S", 0)
    soa = "a. b. 1 2 3 4 5"
    with NameServer({("SOA", BANK): (soa,)}) as own:
        monkeypatch.setattr(dns, "DNS_PORT", own.port)
        names = {
            ("NS", BANK): ("ns1.bank.example.", "ns2.bank.example."),
            ("A", "ns1.bank.example"): ("127.0.0.1",),
            ("A", "ns2.bank.example"): ("127.0.0.2",),
        }
        reply, _ = look("zone", BANK, zone=names, timeout_s=15.0)
    assert own.asked == [("SOA", BANK), ("SOA", BANK)]
    first, second = sorted(read_servers(reply), key=lambda one: one[1])
    assert first[:2] == ("ns1.bank.example", "127.0.0.1")
    assert len(first[2].records("SOA", BANK)) == 1
    assert second[2].answered[("SOA", BANK)].response is None


def test_an_answer_with_an_extended_error_is_read():
    reply, _ = look("lookup", "MX", BANK)
    told = reply.text.replace(
        "< ;QUESTION", "< option EDE 22 (No Reachable Authority)\n< ;QUESTION"
    )
    assert told != reply.text
    assert read_lookups(replace(reply, text=told)).records("MX", BANK)
