"""The shipped query of forwards on a made tree, by real shells and tools."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mailcare.systems.profile import ForwardQuery, load_profile
from tests.surroundings import need

QUERY: ForwardQuery = load_profile("postfix-dovecot").need("forwards")
SHELLS = [("dash",), ("bash",), ("busybox", "ash")]
VIRTUAL = """\
# c x@evil.example
a@b.cn  a@b.cn, t@out.example
  u@out.example
# admin m@evil.example
@old.cn @new.cn
if /@z.cn/
/^(.*)@x$/ $1@y.cn
endif
"""
ALIASES = """\
postmaster: root
# ask admin@evil.example
root:marc@out.example
list: "|/bin/wrap x@evil.example", :include:/etc/list
"q r": "q@out.example"
"""
ACTIVE = """\
require ["copy"];
# redirect "no@evil.example";
if true { redirect :copy "s@out.example"; redirect "t@out.example"; }
vacation "We redirect mail"; if address "from" "x y" { keep; }
"""


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    program(
        tmp_path / "bin",
        "postconf",
        f"""echo "postconf: warning: unused parameter x=y" >&2
        for name; do case $name in
        virtual_alias_maps) echo 'proxy:hash:{tmp_path}/virtual, ldap:{tmp_path}/x.cf' ;;
        alias_maps) echo 'hash:{tmp_path}/aliases, hash:{tmp_path}/only-index' ;;
        mydestination) echo 'mx1.b.cn, localhost.b.cn, , localhost, b.cn' ;;
        myhostname) echo mx1.b.cn ;;
        esac; done""",
    )
    program(
        tmp_path / "bin",
        "doveconf",
        "echo 'mail_plugins = \" sieve\"'; echo 'sieve = file:~/sieve;active=~/.dovecot.sieve'",
    )
    program(tmp_path / "bin", "getent", f"echo 'amy:x:1000:1000::{tmp_path}/amy:/sbin/nologin'")
    (tmp_path / "virtual").write_text(VIRTUAL)
    (tmp_path / "aliases").write_text(ALIASES)
    (tmp_path / "only-index.db").write_text("")
    (tmp_path / "amy").mkdir()
    (tmp_path / "amy" / ".forward").write_text(
        '\\amy, "x@out.example"\n"|procmail y@evil.example"\n'
    )
    box = tmp_path / "store" / "b.cn" / "bob"
    (box / "sieve").mkdir(parents=True)
    (box / "Maildir").mkdir()
    (box / "Maildir" / ".dovecot.sieve").write_text('redirect "mail@evil.example";')
    (box / "sieve" / "old.sieve").write_text('redirect "inactive@evil.example";')
    (box / "sieve" / "new.sieve").write_text(ACTIVE)
    (box / ".dovecot.sieve").symlink_to("sieve/new.sieve")
    (box.parent / "dangling").mkdir()
    (box.parent / "dangling" / ".dovecot.sieve").symlink_to("gone")
    return tmp_path


def listed(host: Path, *shell: str) -> list[str]:
    done = subprocess.run(
        [need(shell[0]), *shell[1:], "-c", QUERY.words[2], "forwards", str(host / "store")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
        text=True,
        timeout=60,
        env={"PATH": f"{host}/bin:{os.environ['PATH']}", "LC_ALL": "C"},
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_kind_of_forward_is_listed_and_nothing_else(host, shell):
    lines = listed(host, *shell)
    found = {(words[0], words[2]) for line in lines if len(words := line.split()) == 3}
    assert {pair for pair in found if "@" in pair[1]} == {
        ("a@b.cn", "a@b.cn"),
        ("a@b.cn", "t@out.example"),
        ("a@b.cn", "u@out.example"),
        ("@old.cn", "@new.cn"),
        ("/^(.*)@x$/", "$1@y.cn"),
        ("root", "marc@out.example"),
        ("q", "q@out.example"),
        ("amy", "x@out.example"),
        ("b.cn/bob", "s@out.example"),
        ("b.cn/bob", "t@out.example"),
    }
    assert {line for line in lines if line.startswith("mailcare:")} == {
        "mailcare: unread :include:/etc/list",
        f"mailcare: unread {host}/only-index",
        f"mailcare: unread ldap:{host}/x.cf",
    }


def test_more_than_the_answer_holds_is_counted(host):
    text = "".join(f"user{number}@b.cn other{number}@b.cn\n" for number in range(40_000))
    (host / "virtual").write_text(text)
    lines = listed(host, "sh")
    assert sum(map(len, lines)) < 1_600_000
    assert lines[-1].startswith("mailcare: more ")


def test_a_store_that_is_not_there_is_not_read(host):
    shutil.rmtree(host / "store")
    assert any("unread find:" in line for line in listed(host, "sh"))


def test_a_missing_tool_ends_with_127(tmp_path):
    (tmp_path / "awk").symlink_to(shutil.which("awk") or "")
    words = [shutil.which("sh") or "sh", "-c", QUERY.words[2], "forwards", "/x"]
    assert subprocess.run(words, check=False, env={"PATH": str(tmp_path)}).returncode == 127
