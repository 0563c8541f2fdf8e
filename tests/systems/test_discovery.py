import re
import subprocess
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.systems import discovery_commands as commands
from mailcare.systems.discovery import (
    Listening,
    Missing,
    NotSeen,
    Output,
    read_facts,
    read_processes,
    read_sockets,
    read_ss,
    read_ss_owners,
)
from mailcare.systems.discovery_homes import Home, find_homes, read_home
from tests.systems.discovered_hosts import COMMANDS, told_by

TEXTS = st.binary(max_size=400).map(lambda data: data.decode("utf-8", "backslashreplace"))


def facts_of(host):
    return read_facts(told_by(host))


def test_a_debian_host_is_read_as_an_account_without_rights_sees_it():
    facts = facts_of("debian-postfix-dovecot")
    assert facts.hostname == "mx1.shili-bank.example"
    assert facts.addresses == ("10.66.0.11",)
    assert facts.system == "Debian GNU/Linux 12 (bookworm)"
    assert facts.is_virtual
    assert facts.open_ports() == (22, 25, 80, 110, 143, 443, 465, 587, 993, 995)
    assert facts.inner_ports() == (8891,)
    assert facts.owners == {}
    assert facts.runs("master").pid == 156
    assert any("需要 root 才能读取 /proc/PID/fd" in one for one in facts.unseen)


def test_what_may_be_read_ties_ports_and_logs_to_programs():
    facts = facts_of("turbomail-java")
    programs = {port: owner.program for port, owner in facts.owners.items()}
    assert programs == {
        22: "sshd",
        25: "tmsmtpd",
        110: "tmpop3d",
        143: "tmpop3d",
        3306: "mysqld",
        8081: "java",
    }
    assert facts.open_logs == (
        "/data/turbomail/logs/smtp.log",
        "/data/turbomail/tomcat/logs/catalina.log",
    )
    assert any("端口 9105 由哪个程序监听" in one for one in facts.unseen)


def test_a_centos_6_without_ss_and_ip_is_read_all_the_same():
    facts = facts_of("centos-6")
    assert facts.open_ports() == (22, 25, 80, 143, 443, 993)
    assert facts.inner_ports() == (631,)
    assert facts.addresses == ("192.0.2.25",)
    assert facts.system == "CentOS release 6.10 (Final)"
    assert facts.runs("httpd").pid == 1500
    assert not facts.is_virtual
    assert "virtual_mailbox_base" not in facts.postfix
    assert facts.log_files == {"/var/log/maillog": False, "/var/log/httpd/access_log": True}


def test_hidden_processes_are_said_and_what_would_show_them():
    unseen = facts_of("hidepid").unseen
    assert any("hidepid" in one and "gid=" in one for one in unseen)


def test_where_proc_is_closed_ss_tells_the_ports():
    facts = facts_of("bare")
    assert facts.open_ports() == (22, 25, 10050)
    assert facts.inner_ports() == (5432, 8005)
    assert facts.owners[25].program == "exim4"


def test_every_missing_tool_is_named():
    said = "\n".join(facts_of("bare").unseen)
    assert "进程：主机上没有命令 ps" in said
    assert "主机名：" in said
    assert "地址：主机上没有 ip 与 ifconfig" in said
    assert "操作系统：" in said
    assert "进程打开的端口与日志：主机在 3 秒内没有答完" in said


def test_a_host_that_told_nothing_has_no_facts_but_reasons():
    facts = read_facts(dict.fromkeys(COMMANDS, Missing("连接中断")))
    assert facts.listening == ()
    assert facts.hostname == ""
    assert len(facts.unseen) == 6
    assert all("连接中断" in one for one in facts.unseen)


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.5", True), ("::", False)],
)
def test_only_the_host_itself_reaches_a_loopback_address(address, is_loopback):
    assert Listening(25, ip_address(address)).is_loopback is is_loopback


def test_an_old_ss_names_its_processes_otherwise():
    line = 'LISTEN 0 100 *:25 *:* users:(("master",1234,12))'
    assert read_ss_owners(Output(line))[25].pid == 1234


def test_busybox_ps_is_read():
    text = "PID   USER  TIME  COMMAND\n    1 root  0:02 init\n   77 root  0:00 /usr/sbin/nginx\n"
    assert [one.program for one in read_processes(Output(text))] == ["init", "nginx"]


@pytest.mark.parametrize("text", ["", "ps: 不支持的选项\n", "a b c\n1 2 3\n"])
def test_what_is_not_ps_is_not_seen(text):
    with pytest.raises(NotSeen):
        read_processes(Output(text))


def test_an_empty_proc_net_tcp_is_not_a_host_without_listeners():
    with pytest.raises(NotSeen):
        read_sockets(Output("grep: /proc/net/tcp: Permission denied\n", 2))


@given(st.dictionaries(st.sampled_from(COMMANDS), TEXTS), st.sampled_from([0, 1, 127, 141]))
def test_any_bytes_are_taken(texts, code):
    told = {name: Output(text, code) for name, text in texts.items()}
    facts = read_facts(told)
    for home in find_homes(facts):
        read_home(home, told)
    assert all(0 <= port <= 65535 for port in facts.open_ports())


@given(TEXTS)
def test_any_bytes_in_a_row_of_ss_are_taken(text):
    line = Output(f"LISTEN 0 1 {text} {text}\n")
    read_ss(line)
    read_ss_owners(line)


def test_the_home_is_the_common_parent_of_what_runs_there():
    [home] = find_homes(facts_of("turbomail-java"))
    assert home == Home("/data/turbomail", ("java", "tmpop3d", "tmsmtpd"), (25, 110, 143, 8081))


def test_a_person_s_own_directory_is_never_a_home():
    told = told_by("turbomail-java")
    assert "/home/zhangsan/notes.txt" in told["processes"].text
    assert all("zhangsan" not in one.path for one in find_homes(read_facts(told)))


@pytest.mark.parametrize("host", ["debian-postfix-dovecot", "centos-6", "hidepid", "bare"])
def test_programs_of_the_operating_system_have_no_home(host):
    homes = find_homes(facts_of(host))
    assert [one.path for one in homes if one.programs] == []


def test_what_lies_in_the_home_is_read():
    told = told_by("turbomail-java")
    [home] = (read_home(one, told) for one in find_homes(read_facts(told)))
    assert home.web_xml == ("/data/turbomail/tomcat/webapps/ROOT/WEB-INF/web.xml",)
    assert home.stores == ("/data/turbomail/accounts",)
    assert home.logs == ("/data/turbomail/logs", "/data/turbomail/tomcat/logs")
    assert home.starters == ("/etc/systemd/system/turbomail.service",)


def test_a_cron_line_ends_before_what_may_be_a_password():
    told = told_by("turbomail-java")
    [home] = (read_home(one, told) for one in find_homes(read_facts(told)))
    assert home.cron_lines == ("30 2 * * * root /data/turbomail/bin/backup.sh",)


def test_no_command_reads_an_account_a_mail_or_a_key():
    asked = (*commands.AT_FIRST, *commands.at_home("/opt/x"))
    assert asked
    for command in asked:
        script = " ".join(command.words)
        assert not re.search(r"account\.xml|shadow|id_rsa|\.pem|\bcur/|\bnew/", script)
        assert not re.search(r"\b(rm|mv|cp|tee|touch|mkdir|chmod|kill|systemctl)\b", script)
        assert not re.search(r">(?!&|/dev/null)", script.replace("2>/dev/null", ""))


@pytest.mark.parametrize(
    "command",
    [
        "java -Dmail.password=S3cret -jar x",
        "mysqldump -uroot -pS3cret mail",
        "sshpass -p S3cret ssh backup",
        "sync --to smtp://mail:S3cret@relay.example",
        "x --token S3cret",
    ],
)
def test_a_password_on_a_command_line_stays_on_the_host(command):
    done = subprocess.run(
        ["sh", "-c", commands.MASK], input=command, capture_output=True, text=True, check=True
    )
    assert "S3cret" not in done.stdout
    assert done.stdout.split()[0] == command.split()[0]
