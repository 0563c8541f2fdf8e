from pathlib import Path

import pytest

from mailcare.delivery.relays import Relay, parse_relay, refuse_system_under_test
from mailcare.errors import InputError
from mailcare.systems.lines import LineMap
from mailcare.systems.profile import TlsMode
from mailcare.systems.site import Site, parse_site

EHLO = "reports.vendor.example"


def _mailbox(address: str, server: str, ip: str) -> dict:
    return {
        "address": address,
        "credential": {"login": address, "password_env": "PROBE_PASSWORD"},
        "submission": {"address": ip, "port": 587, "server_name": server},
        "imap": {"address": ip, "port": 993, "server_name": server, "implicit_tls": True},
    }


SITE: Site = parse_site(
    {
        "schema": 1,
        "site": "shili-bank",
        "customer": {"name": "示例银行", "contacts": [{"name": "王工"}]},
        "system": {"title": "企业邮件系统", "profile": "generic"},
        "domains": [{"name": "shili-bank.example"}],
        "nodes": [
            {
                "name": "mx1",
                "hostname": "mx1.shili-bank.example",
                "address": "10.66.0.11",
                "web_name": "webmail.shili-bank.example",
            },
            {"name": "mx6", "hostname": "mx6.shili-bank.example", "address": "2001:db8::6"},
        ],
        "mailboxes": {
            "inside": _mailbox("probe@shili-bank.example", "smtp.shili-bank.example", "10.66.0.12"),
            "outside": _mailbox("probe@outside.example", "out1.outside.example", "10.66.0.21"),
        },
    },
    LineMap({}),
    base=Path(),
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://relay.example", Relay("relay.example", 25, EHLO, tls=TlsMode.NONE)),
        ("smtp://10.66.0.21:2525/", Relay("10.66.0.21", 2525, EHLO, tls=TlsMode.NONE)),
        ("smtp://[::1]:26?tls=starttls", Relay("::1", 26, EHLO, tls=TlsMode.STARTTLS)),
        ("smtps://relay.example", Relay("relay.example", 465, EHLO, tls=TlsMode.IMPLICIT)),
        (
            "smtp://robot%40vendor.example:p%3A%40ss@relay.example:587/?ca=/etc/ca.pem",
            Relay(
                "relay.example",
                587,
                EHLO,
                tls=TlsMode.STARTTLS,
                login="robot@vendor.example",
                password="p:@ss",
                ca_file=Path("/etc/ca.pem"),
            ),
        ),
    ],
)
def test_a_relay_is_read_from_its_url(url: str, expected: Relay) -> None:
    assert parse_relay(url, ehlo_name=EHLO) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "relay.example:25",
        "http://relay.example:80",
        "smtp://",
        "smtp://a:geheim@relay.example:port",
        "smtp://a:geheim@relay.example:99999",
        "smtp://a:geheim@relay.example?tls=maybe",
        "smtp://a:geheim@relay.example?tls=starttls&verify=no",
        "smtp://a:geheim@relay.example?tls=none",
        "smtp://a:geheim密@relay.example",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_relay(url, ehlo_name=EHLO)

    assert "geheim" not in str(caught.value)


def test_the_password_does_not_show() -> None:
    relay = parse_relay("smtp://robot:geheim@relay.example", ehlo_name=EHLO)

    assert "geheim" not in f"{relay} {relay!r}"


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("mx1.shili-bank.example", ["192.0.2.1"]),
        ("MX1.Shili-Bank.Example.", ["192.0.2.1"]),
        ("webmail.shili-bank.example", ["192.0.2.1"]),
        ("smtp.shili-bank.example", ["192.0.2.1"]),
        ("relay.example", ["10.66.0.11"]),
        ("relay.example", ["192.0.2.1", "10.66.0.11"]),
        ("relay.example", ["::ffff:10.66.0.11"]),
        ("relay.example", ["2001:0db8:0:0::6"]),
        ("relay.example", ["10.66.0.12"]),
    ],
    ids=[
        "host name", "host name in capitals", "webmail", "submission server", "address",
        "second address", "mapped address", "IPv6 written out", "submission address",
    ],
)  # fmt: skip
def test_a_relay_of_the_system_under_test_is_refused(host: str, addresses: list[str]) -> None:
    relay = Relay(host, 25, EHLO)

    with pytest.raises(InputError, match="不得经由被检系统投递"):
        refuse_system_under_test(relay, addresses, SITE)


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("out1.outside.example", ["10.66.0.21"]),
        ("relay.example", ["10.66.0.110"]),
        ("notmx1.shili-bank.example", []),
    ],
)
def test_another_relay_may_carry_the_letter(host: str, addresses: list[str]) -> None:
    refuse_system_under_test(Relay(host, 25, EHLO), addresses, SITE)
