"""What the checks of DNS and topology say of ordinary systems that look unlike the lab."""

import base64
from collections.abc import Mapping
from dataclasses import replace

import dns.message
import dns.rrset
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailcare.inspection.check import DoesNotApply, Reply, ReplyError, Severity, Subject, Target
from mailcare.systems.profile import Known
from mailcare.systems.site import Deployment, Domain, Role, Store, VirtualAddress
from mailcare.systems.system import System
from tests.inspection.checks.reply_files import RECORDED_AT, check_named
from tests.inspection.samples import lab_system

OK, NOTICE, WARNING, CRITICAL = Severity
DOMAIN = "shili-bank.example"
MX1, MX2, VIP = (f"{name}.{DOMAIN}" for name in ("mx1", "mx2", "mail"))


def answer(rdtype: str, name: str, *records: str, zone: str = "") -> str:
    """Write one lookup as the collector does; `zone` names the SOA of an empty answer."""
    response = dns.message.make_response(dns.message.make_query(name, rdtype))
    if records:
        response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", rdtype, *records))
    if zone:
        soa = f"dns1.{zone}. hostmaster.{zone}. 1 2 3 4 5"
        response.authority.append(dns.rrset.from_text(f"{zone}.", 60, "IN", "SOA", soa))
    lines = "".join(f"< {line}\n" for line in response.to_text().splitlines())
    return f"> {rdtype} {name}.\n{lines}"


def host(name: str, *addresses: str) -> str:
    """Write the lookups of a host's addresses."""
    old = [one for one in addresses if ":" not in one]
    new = [one for one in addresses if ":" in one]
    return answer("A", name, *old) + answer("AAAA", name, *new)


def looked_up(*answers: str) -> Reply:
    text = "".join(("# resolver 10.66.0.53 53 site\n", *answers))
    return Reply(text, 0, RECORDED_AT, "dns://10.66.0.53:53")


def system_with(*nodes: Mapping[str, object], **changes: object) -> System:
    """Return the lab with other mail hosts, made from its first, and a changed site."""
    system = lab_system()
    first, backup = system.site.nodes
    made = tuple(first.model_copy(update=update) for update in nodes) or (first,)
    update = {"nodes": (*made, backup), "virtual_addresses": (), "stores": (), **changes}
    return replace(system, site=system.site.model_copy(update=update))


def verdict(check: str, system: System, target: Target, *replies: Reply):
    subject = Subject(system, target, RECORDED_AT)
    fact = check_named(check).parse(replies)
    [found] = check_named(check).judge(fact, check_named(check).limits, subject)
    return found


TWO = (
    {"name": "mx1"},
    {"name": "mx2", "hostname": MX2, "address": "10.66.0.12", "public_address": "10.66.0.12"},
)
SHARED = VirtualAddress(name="vip", hostname=VIP, address="10.66.0.10", nodes=("mx1", "mx2"))
PAIR = system_with(
    *TWO, system=lab_system().site.system.model_copy(update={"deployment": Deployment.DUAL})
)
PAIR_BEHIND_VIP = replace(PAIR, site=PAIR.site.model_copy(update={"virtual_addresses": (SHARED,)}))
GATEWAY = {
    "name": "gate",
    "hostname": f"gate.{DOMAIN}",
    "address": "10.66.0.20",
    "public_address": None,
    "roles": (Role.OTHER,),
}
BEHIND_GATEWAY = system_with(*TWO, GATEWAY, system=PAIR.site.system)


WEBMAIL = f"webmail.{DOMAIN}"
AT_WEBMAIL = Target("mx2", part=WEBMAIL)


@pytest.mark.parametrize(
    ("system", "addresses", "severity"),
    [
        (PAIR_BEHIND_VIP, ["10.66.0.10"], OK),
        (PAIR, ["10.66.0.11"], OK),
        (PAIR, ["10.66.0.11", "10.66.0.12"], OK),
        (PAIR, ["10.66.0.11", "2001:db8::11"], OK),
        (BEHIND_GATEWAY, ["10.66.0.20"], OK),
        (PAIR, ["10.66.0.11", "10.66.0.99"], NOTICE),
        (PAIR, ["10.66.0.10"], WARNING),
    ],
)
def test_a_webmail_name_may_lead_to_what_stands_before_its_hosts(system, addresses, severity):
    reply = looked_up(host(WEBMAIL, *addresses))
    found = verdict("dns.addresses", system, AT_WEBMAIL, reply)
    assert found.severity is severity
    assert bool(found.advice) is (severity > OK)


def test_an_address_beside_the_declared_one_is_named():
    reply = looked_up(host(WEBMAIL, "10.66.0.12", "10.66.0.99"))
    found = verdict("dns.addresses", PAIR, AT_WEBMAIL, reply)
    assert "其中 10.66.0.99 没有登记" in found.summary


def test_a_single_label_is_no_name_that_the_dns_can_be_asked_for():
    system = system_with({"hostname": "mx1"})
    with pytest.raises(ReplyError, match="不是完整的域名"):
        verdict("dns.addresses", system, Target("mx1", part="mx1"), looked_up(host("mx1")))
    reverse = looked_up(
        answer("PTR", "11.0.66.10.in-addr.arpa", f"{MX1}."), host(MX1, "10.66.0.11")
    )
    with pytest.raises(ReplyError, match="不是完整的域名"):
        verdict("dns.ptr", system, Target("mx1", part="10.66.0.11"), reverse)


@pytest.mark.parametrize("name", [VIP, MX1])
def test_an_address_that_several_hosts_send_from_may_have_the_name_of_any(name):
    nodes = (TWO[0], TWO[1] | {"public_address": "10.66.0.11"})
    system = system_with(*nodes, virtual_addresses=(SHARED,))
    reply = looked_up(
        answer("PTR", "11.0.66.10.in-addr.arpa", f"{name}."), host(name, "10.66.0.11")
    )
    assert verdict("dns.ptr", system, Target("mx2", part="10.66.0.11"), reply).severity is OK


def test_an_internal_ipv6_address_needs_no_reverse_name():
    inside = "fd12:3456::11"
    names = answer(
        "PTR", "1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.5.4.3.2.1.d.f.ip6.arpa"
    )
    reply = looked_up(answer("AAAA", MX1, inside), names)
    assert verdict("dns.ptr6", lab_system(), Target("mx1", part=MX1), reply).severity is OK


def test_a_declared_gateway_takes_the_mail_of_the_hosts_behind_it():
    exchanger = looked_up(
        answer("MX", DOMAIN, f"10 gate.{DOMAIN}."), host(f"gate.{DOMAIN}", "10.66.0.20")
    )
    assert verdict("dns.mx", BEHIND_GATEWAY, Target(part=DOMAIN), exchanger).severity is OK
    ports = [
        Reply(f"# connecting {address} 25\n# connected\n", 0, RECORDED_AT, f"tcp://{address}:25")
        for address in ("10.66.0.11", "10.66.0.12")
    ]
    found = verdict("cluster.declared", BEHIND_GATEWAY, Target(part="双机"), exchanger, *ports)
    assert found.severity is OK


def test_a_port_that_the_outside_need_not_reach_is_not_missed_from_there():
    system = lab_system()
    first, *others = system.profile.need("listeners")
    listeners = (first.model_copy(update={"public": False}), *others)
    profile = system.profile.model_copy(update={"listeners": Known(value=listeners)})
    [question] = check_named("cluster.declared").ask(replace(system, profile=profile))
    ports = {ask.words[-1] for ask in question.asks if ask.words[0] == "connect"}
    assert str(first.port) not in ports
    assert {str(one.port) for one in others} <= ports


def test_a_mail_domain_inside_another_zone_has_no_name_servers_of_its_own():
    reply = looked_up(answer("NS", f"corp.{DOMAIN}", zone=DOMAIN))
    with pytest.raises(DoesNotApply, match="不是独立的 DNS 区"):
        check_named("dns.soa").parse((reply,))


def test_a_zone_without_name_servers_is_still_a_fault():
    reply = looked_up(answer("NS", DOMAIN, zone=DOMAIN))
    assert verdict("dns.soa", lab_system(), Target(part=DOMAIN), reply).severity is WARNING


NAME_SERVERS = looked_up(answer("NS", DOMAIN, "dns1.example.", "dns2.example."))


def entrances(*exchangers: tuple[str, str]) -> Reply:
    records = [f"10 {name}." for name, _ in exchangers]
    return looked_up(answer("MX", DOMAIN, *records), *(host(*one) for one in exchangers))


def test_a_virtual_address_of_two_hosts_is_no_single_exchanger():
    replies = (entrances((VIP, "10.66.0.10")), NAME_SERVERS)
    system = PAIR_BEHIND_VIP
    assert verdict("cluster.single_points", system, Target(part=DOMAIN), *replies).severity is OK
    assert verdict("cluster.single_points", PAIR, Target(part=DOMAIN), *replies).severity is WARNING


def test_two_exchangers_in_one_network_are_a_matter_of_prudence():
    replies = (entrances((MX1, "10.66.0.11"), (MX2, "10.66.0.12")), NAME_SERVERS)
    assert verdict("cluster.single_points", PAIR, Target(part=DOMAIN), *replies).severity is NOTICE


def test_what_is_no_matter_of_a_domain_is_told_once():
    store = Store(name="s", title="主存储", nodes=("mx1",))
    domains = (Domain(name=DOMAIN), Domain(name="zhinan.example"))
    update = {"stores": (store,), "domains": domains, "virtual_addresses": (SHARED,)}
    system = replace(PAIR, site=PAIR.site.model_copy(update=update))
    replies = (entrances((VIP, "10.66.0.10")), NAME_SERVERS)
    told = [
        verdict("cluster.single_points", system, Target(part=one.name), *replies) for one in domains
    ]
    assert [one.severity for one in told] == [WARNING, OK]


def resolv(text: str) -> Reply:
    return Reply(text, 0, RECORDED_AT, "ssh://mx1")


STUB = resolv("nameserver 127.0.0.53\noptions edns0 trust-ad\n")


@pytest.mark.parametrize(
    ("behind", "severity"),
    [
        ("nameserver 10.66.0.53\nnameserver 10.66.0.54\n", OK),
        ("nameserver 10.66.0.53\n", WARNING),
    ],
)
def test_behind_the_stub_of_systemd_its_own_servers_count(behind, severity):
    found = verdict("cluster.single_points", PAIR, Target("mx1"), STUB, resolv(behind))
    assert found.severity is severity


@pytest.mark.parametrize("others", [(), (resolv("cat: No such file or directory\n"),)])
def test_a_resolver_of_the_hosts_own_is_no_single_server(others):
    with pytest.raises(DoesNotApply, match="本机的 DNS 服务"):
        check_named("cluster.single_points").parse((STUB, *others))


def test_the_servers_of_a_plain_host_are_its_own_file_s():
    unused = resolv("nameserver 10.66.0.53\nnameserver 10.66.0.54\n")
    found = verdict(
        "cluster.single_points", PAIR, Target("mx1"), resolv("nameserver 1.1.1.1\n"), unused
    )
    assert found.severity is WARNING


# The same at each collection: workers that run these tests side by side compare their names.
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
CURVE = ec.derive_private_key(1, ec.SECP256R1()).public_key()
CURVE_DER = CURVE.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("tags", "key", "severity", "words"),
    [
        ("k=ed25519", ED25519, OK, "已发布（ed25519）"),
        ("k=ed25519", ED25519[:31], WARNING, "公钥无法解析"),
        ("k=rsa", CURVE_DER, WARNING, "公钥无法解析"),
        ("k=RSA", b"ABC", WARNING, "公钥无法解析"),
        ("k=dsa", b"ABC", WARNING, "密钥类型 dsa"),
    ],
)
def test_only_a_key_that_verifiers_know_is_published(tags, key, severity, words):
    name = f"mail._domainkey.{DOMAIN}"
    record = f'"v=DKIM1; {tags}; p={base64.b64encode(key).decode()}"'
    reply = looked_up(answer("TXT", name, record))
    found = verdict("dns.dkim", lab_system(), Target(part=name), reply)
    assert found.severity is severity
    assert words in found.summary
