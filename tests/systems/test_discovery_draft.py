import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mailcare.contracts.authorisation import permission
from mailcare.errors import NotAuthorised
from mailcare.inspection.run import given_by_file
from mailcare.systems.discovery import Output
from mailcare.systems.discovery_draft import draft
from mailcare.systems.profile import Confidence
from tests.systems.discovered_hosts import COMMANDS, checked, discovered, text_of, told_by, visit

HOSTS = ("debian-postfix-dovecot", "turbomail-java", "centos-6", "hidepid", "bare")
WORDS = st.text(max_size=60)


def draft_of(host, greetings=None):
    return draft(discovered(told_by(host), greetings))


def ports_of(one):
    [value] = (override.value for override in one.overrides if override.field == "listeners")
    return {entry["port"]: entry["service"] for entry in value}


def override(one, field):
    return next((o.value for o in one.overrides if o.field == field), None)


@pytest.mark.parametrize("host", HOSTS)
def test_every_draft_passes_the_check_of_site_files_and_is_only_assumed(host):
    text = text_of(discovered(told_by(host)))
    site = checked(text)
    raw = yaml.safe_load(text)["system"]["overrides"]
    assert {one["confidence"] for one in raw.values()} <= {Confidence.ASSUMED}
    assert "待填写" in site.customer.name
    assert "待填写" in site.authorisations[0].evidence
    assert site.nodes[0].ssh.credential.login == "inspector"


def test_postfix_and_dovecot_get_their_profile_with_the_ports_found():
    one = draft_of("debian-postfix-dovecot")
    assert one.profile == "postfix-dovecot"
    assert ports_of(one) == {
        25: "postfix",
        110: "dovecot",
        143: "dovecot",
        443: "nginx",
        465: "postfix",
        587: "postfix",
        993: "dovecot",
        995: "dovecot",
    }
    assert override(one, "mail_store") == "/var/vmail"
    assert override(one, "mail_log") == "/var/log/mail.log"
    assert override(one, "access_log") == "/var/log/nginx/access.log"
    assert one.expected_ports == (80,)
    assert one.pending == ()


def test_what_a_port_needs_is_kept_from_the_profile():
    site = checked(text_of(discovered(told_by("debian-postfix-dovecot"))))
    needs = {one.port: one.needs for one in site.profile().need("listeners")}
    assert needs[587] == ("dovecot",)


def test_a_directory_named_turbomail_alone_makes_no_turbomail():
    one = draft_of("debian-postfix-dovecot")
    assert override(one, "home") is None
    assert any("另有目录 /opt/turbomail：没有看到运行中的程序" in note for note in one.notes)


def test_turbomail_is_known_by_its_servlet_class_and_its_home():
    one = draft_of("turbomail-java")
    assert one.profile == "turbomail"
    assert any("turbomail.web.MailMain" in reason for reason in one.reasons)
    assert override(one, "home") == "/data/turbomail"
    assert override(one, "mail_store") == "/data/turbomail/accounts"
    assert ports_of(one) == dict.fromkeys((25, 110, 143), "turbomail")


def test_turbomail_is_known_by_its_command_lines_where_nothing_else_may_be_read():
    told = told_by("turbomail-java")
    closed = {name: Output("") for name in ("ss", "open_files", "places", "web_xml")}
    one = draft(discovered(told | closed))
    assert one.profile == "turbomail"
    assert override(one, "home") == "/data/turbomail"
    assert ports_of(one) == dict.fromkeys((25, 110, 143), "turbomail")
    assert [port.port for port in one.pending] == [3306, 8081]


def test_a_vendor_s_version_script_is_proposed_and_said_not_to_have_been_run():
    one = draft_of("turbomail-java")
    [version] = (o for o in one.overrides if o.field == "version")
    assert version.value["words"] == ["/data/turbomail/turbomail.sh", "version"]
    assert "没有执行" in version.seen[0]


def test_a_greeting_alone_can_tell_turbomail():
    one = draft_of("hidepid", {25: "220 mx ESMTP TurboMail 5"})
    assert one.profile == "turbomail"
    assert override(one, "home") is None


def test_ports_that_are_neither_mail_nor_web_nor_ssh_wait_for_a_person():
    found = discovered(told_by("turbomail-java"))
    one = draft(found)
    assert [(port.port, port.program) for port in one.pending] == [(3306, "mysqld"), (8081, "java")]
    [node] = checked(text_of(found)).nodes
    assert node.expected_ports == ()
    text = text_of(found)
    assert "#   3306：mysqld" in text
    assert "待确认：以下端口也对外监听" in text


def test_ssh_on_another_port_is_not_pending_there():
    from dataclasses import replace

    found = replace(discovered(told_by("bare")), ssh_port=10050)
    assert draft(found).pending == ()


def test_an_old_red_hat_is_drafted_with_apache_and_the_domains_that_postfix_names():
    found = discovered(told_by("centos-6"))
    one = draft(found)
    assert one.profile == "postfix-dovecot"
    assert ports_of(one)[443] == "apache"
    assert override(one, "mail_store") == "/home/vmail"
    assert override(one, "mail_log") == "/var/log/maillog"
    [log] = (o for o in one.overrides if o.field == "mail_log")
    assert "读不到" in log.seen[0]
    site = checked(text_of(found))
    assert [domain.name for domain in site.domains] == ["old.example", "branch.old.example"]


def test_with_hidden_processes_settings_and_ports_decide():
    one = draft_of("hidepid")
    assert one.profile == "postfix-dovecot"
    assert override(one, "services") is None
    assert override(one, "mail_store") is None
    assert any("services" in line for line in one.unseen)


def test_an_unknown_mail_system_is_generic_and_everything_unseen_is_said():
    found = discovered(told_by("bare"))
    one = draft(found)
    assert one.profile == "generic"
    assert ports_of(one) == {25: "exim"}
    text = text_of(found)
    assert "# 看不到：\n#   " in text
    assert "进程：主机上没有命令 ps" in text


def test_postfix_that_is_installed_but_does_not_run_is_not_the_mail_system():
    told = told_by("debian-postfix-dovecot")
    told["processes"] = Output("  PID USER COMMAND\n    1 root init\n   60 root sshd\n")
    told["postfix"] = Output("mail_version = 3.7.11\nmydomain = localdomain\n")
    found = discovered(told)
    one = draft(found)
    assert one.profile == "generic"
    assert override(one, "version") is None
    assert override(one, "queue") is None
    assert [domain.name for domain in checked(text_of(found)).domains] == ["shili-bank.example"]


def test_a_short_host_name_gives_way_to_the_full_one_that_was_asked_for():
    told = told_by("centos-6")
    assert checked(text_of(discovered(told))).nodes[0].hostname == "mail"
    site = checked(text_of(discovered(told), "mail.old.example"))
    assert site.nodes[0].hostname == "mail.old.example"


def test_the_authorisation_holds_for_a_day_and_names_who_gave_it():
    site = checked(text_of(discovered(told_by("hidepid"))))
    [entry] = site.authorisations
    at = visit().visited_at.replace(microsecond=0)
    assert entry.given_by == "王示例: # 主任"
    assert permission(given_by_file(site), site.nodes[0].name, at)
    with pytest.raises(NotAuthorised):
        permission(given_by_file(site), site.nodes[0].name, entry.valid_to)


def test_nothing_that_a_host_says_leaves_its_comment():
    greeting = "220 x\x85site: evil\u2028site: evil\r\nsite: evil TurboMail"
    found = discovered(told_by("hidepid"), {25: greeting})
    assert checked(text_of(found)).site == "hidden.example"


def test_a_host_that_calls_itself_localhost_is_named_as_it_was_reached():
    told = told_by("bare") | {"hostname": Output("localhost.localdomain\n")}
    [node] = checked(text_of(discovered(told))).nodes
    assert not node.hostname.startswith("localhost")


@given(
    st.dictionaries(st.sampled_from(COMMANDS), WORDS),
    st.dictionaries(st.sampled_from((25, 110)), WORDS),
    st.sampled_from(HOSTS),
)
def test_whatever_a_host_says_the_draft_passes_the_check(texts, greetings, host):
    told = told_by(host) | {name: Output(text) for name, text in texts.items()}
    checked(text_of(discovered(told, greetings)))


@given(WORDS, WORDS, WORDS)
def test_whatever_stands_in_a_setting_or_a_name_the_draft_passes_the_check(one, two, three):
    told = told_by("debian-postfix-dovecot")
    postfix = f"mydomain = {one}\nvirtual_mailbox_domains = {two}\nmaillog_file = /{three}\n"
    told["postfix"] = Output(postfix)
    told["hostname"] = Output(two)
    told["dovecot"] = Output(f"mail_location = maildir:/{one}\n")
    told["named_directories"] = Output(f"/opt/turbomail{three}/\n")
    told["processes"] = Output(f"PID COMMAND\n1 /opt/turbomail/{one} /opt/{two}\n")
    checked(text_of(discovered(told)))
