import hashlib
from datetime import UTC, datetime

from mailcare.contracts.authorisation import Authorisation
from mailcare.inspection.check import Ask, Channel, NoReply, Reply
from mailcare.inspection.outcome import write_replies
from mailcare.inspection.proceedings import Traffic, record_of_file
from mailcare.systems.site import Site
from mailcare.systems.system import System

AT = datetime(2026, 3, 18, 1, 30, tzinfo=UTC)
LATER = datetime(2026, 3, 18, 1, 31, tzinfo=UTC)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzIYspoiDFiZhUtcCIljNeGqqwdfSZxe8NYz8sazhSZ"


def system() -> System:
    ssh = {"credential": {"login": "inspector", "password_env": "SECRET"}, "host_key": KEY}
    site = Site.model_validate(
        {
            "schema": 1,
            "site": "bank",
            "customer": {"name": "示例银行", "contacts": [{"name": "王示例"}]},
            "system": {"title": "邮件系统", "profile": "postfix-dovecot"},
            "domains": [{"name": "bank.example"}],
            "nodes": [
                {"name": "mx1", "hostname": "mx1.bank.example", "address": "192.0.2.1", "ssh": ssh}
            ],
            "authorisations": [
                {
                    "given_by": "王示例",
                    "given_at": AT,
                    "how": "letter",
                    "purpose": "巡检",
                    "nodes": ["mx1"],
                    "valid_from": AT,
                    "valid_to": LATER,
                    "evidence": "授权书",
                }
            ],
        }
    )
    return System(site, site.profile())


GIVEN = (Authorisation("bank#1", "王示例", frozenset({"mx1"}), AT, LATER),)
SSH = Ask(Channel.SSH, ("uname",), node="mx1")
SSH_TOO = Ask(Channel.SSH, ("date",), node="mx1")
DNS = Ask(Channel.DNS, ("lookup", "MX", "bank.example"))


def test_a_connection_is_read_off_the_first_reply_with_the_authorisation_that_covered_it():
    answers = {
        SSH: Reply("Linux", 0, LATER, "ssh://mx1"),
        SSH_TOO: Reply("x", 0, AT, "ssh://mx1"),
    }
    record = record_of_file(system(), answers, GIVEN)
    [login] = record.logins
    assert (login.node, login.address, login.login) == ("mx1", "192.0.2.1", "inspector")
    assert (login.connected_at, login.consent) == (AT, "bank#1")
    assert [one.evidence for one in record.consents] == ["授权书"]


def test_a_connection_outside_of_every_authorisation_names_none():
    record = record_of_file(system(), {SSH: Reply("x", 0, LATER, "ssh://mx1")}, GIVEN)
    assert [one.consent for one in record.logins] == [""]


def test_a_failed_attempt_and_a_handed_in_file_are_no_connections():
    failed = record_of_file(system(), {SSH: NoReply("超时", AT, "ssh://mx1")}, GIVEN)
    assert failed.logins == ()
    handed_in = record_of_file(system(), {SSH: Reply("x", 0, AT, "bundle:a.txt")}, GIVEN)
    assert handed_in.logins == ()
    assert handed_in.handed_in
    assert not failed.handed_in


def test_asks_and_replies_are_counted_and_the_file_of_replies_is_named_by_its_digest():
    answers = {SSH: Reply("x", 0, AT, "ssh://mx1"), DNS: NoReply("超时", AT, "dns://192.0.2.53")}
    record = record_of_file(system(), answers, GIVEN)
    assert record.traffic == (Traffic(Channel.SSH, 1, 1), Traffic(Channel.DNS, 1, 0))
    assert record.replies_sha256 == hashlib.sha256(write_replies(answers)).hexdigest()
