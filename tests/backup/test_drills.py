"""All levels together, drills included: copies here and on a host, sound and damaged."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.waiting import wait_until
from mailcare.backup.drill import scratch_folder
from mailcare.backup.verdicts import Level, Verdict
from mailcare.backup.verification import Verification, audit_file, verify_site
from mailcare.systems.copies import Dialect
from tests.backup.ssh_host import HOST_KEY, USER_KEY, cuts_after, ssh_host
from tests.backup.stores import flip, make_dbox, make_store, pack
from tests.backup.test_databases import DUMPS
from tests.surroundings import need


class Silent:
    def stage(self, title: str, total: int) -> None:
        pass

    def step(self, detail: str) -> None:
        pass

    def note(self, detail: str) -> None:
        pass


@pytest.fixture(autouse=True)
def surroundings(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REPOSITORY_PASSWORD", "correct horse")


@pytest.fixture
def live(tmp_path):
    return make_store(tmp_path / "live")


def site(folder: Path, copies: list[dict], *, port: int = 22, nodes: tuple[str, ...] = ()) -> Path:
    key = folder / "key"
    key.write_bytes(USER_KEY.export_private_key())
    login = {
        "port": port,
        "credential": {"login": "inspector", "key_file": str(key)},
        "host_key": HOST_KEY.export_public_key().decode().strip(),
    }
    host = {"name": "bak1", "hostname": "bak1.bank.example", "address": "127.0.0.1", "ssh": login}
    given = {
        "given_by": "王示例",
        "given_at": "2026-01-05T10:00:00+08:00",
        "how": "letter",
        "purpose": "备份验证",
        "valid_from": "2026-01-05T00:00:00+08:00",
        "valid_to": "2099-01-01T00:00:00+08:00",
        "evidence": "信函",
    }
    document = {
        "schema": 1,
        "site": "bank",
        "customer": {"name": "示例银行", "contacts": [{"name": "王示例"}]},
        "system": {"title": "邮件", "profile": "generic"},
        "domains": [{"name": "bank.example"}],
        "nodes": [host],
        "backups": copies,
        "authorisations": [{**given, "nodes": list(nodes)}] if nodes else [],
    }
    path = folder / "site.yaml"
    path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
    return path


def verify(path: Path, *names: str, through: Level = Level.L5) -> Verification:
    out = path.parent / "out"
    return verify_site(path, names, through=through, out=out, progress=Silent())


def verdicts(done: Verification) -> dict[str, Verdict]:
    [outcome] = done.outcomes
    return {str(one.level): one.judgement().verdict for one in outcome.findings}


def told(done: Verification, level: Level) -> str:
    [outcome] = done.outcomes
    return "；".join(
        remark.text
        for one in outcome.findings
        if one.level is level
        for remark in one.judgement().remarks
    )


ALL_PASS = dict.fromkeys(("L0", "L1", "L2", "L3", "L4", "L5"), Verdict.PASS)


def back_up(tmp_path: Path, live: Path) -> str:
    need("restic")
    path = str(tmp_path / "restic")
    env = {**os.environ, "RESTIC_PASSWORD": "correct horse", "RESTIC_CACHE_DIR": f"{path}-cache"}
    for words in (["init"], ["backup", "-q", str(live)]):
        subprocess.run(["restic", "-r", path, *words], env=env, check=True, capture_output=True)
    return path


def restic_copy(path: str, live: Path) -> dict:
    return {
        "name": "nightly",
        "kind": "restic",
        "path": path,
        "inside": str(live),
        "password_env": "REPOSITORY_PASSWORD",
        "live": {"path": str(live)},
    }


def test_a_restic_copy_goes_through_all_levels_and_its_evidence_stands(tmp_path, live):
    need("dovecot")
    path = site(tmp_path, [restic_copy(back_up(tmp_path, live), live)])
    done = verify(path)
    assert verdicts(done) == ALL_PASS
    assert "与在线邮件逐字节核对" in told(done, Level.L4)
    assert audit_file(tmp_path / "out" / "evidence", trusted_key=None) == (1, ())


def test_a_locked_repository_is_looked_at_and_no_more(tmp_path, live):
    path = back_up(tmp_path, live)
    env = {**os.environ, "RESTIC_PASSWORD": "correct horse", "RESTIC_CACHE_DIR": f"{path}-cache"}
    words = ["restic", "-r", path, "backup", "-q", "--stdin"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=env) as writing:
        while not list(Path(path, "locks").iterdir()):
            assert writing.poll() is None
        done = verify(site(tmp_path, [restic_copy(path, live)]), through=Level.L3)
        writing.kill()
    found = verdicts(done)
    assert set(found.values()) == {Verdict.PASS, Verdict.NOT_RUN}
    assert [level for level, one in found.items() if one is Verdict.PASS] == ["L0"]
    assert "备份正在进行" in told(done, Level.L3)


def test_a_wrong_password_fails_and_the_password_is_nowhere(tmp_path, live, monkeypatch):
    copy = restic_copy(back_up(tmp_path, live), live)
    monkeypatch.setenv("REPOSITORY_PASSWORD", "wrong-and-secret")
    done = verify(site(tmp_path, [copy]), through=Level.L1)
    assert done.verdict is Verdict.FAIL
    written = [one.read_text() for one in (tmp_path / "out").rglob("*.json")]
    assert written
    assert not any("wrong-and-secret" in text for text in written)


@pytest.mark.parametrize("kind", ["tree", "tar.zst"])
def test_a_copy_on_a_host_is_verified_there(tmp_path, live, kind):
    need("dovecot")
    place = tmp_path / "copies"
    if kind == "tree":
        shutil.copytree(live, place)
    else:
        pack(live, kind, place / f"mail.{kind}")
    with ssh_host() as there:
        assert there.node.ssh
        copy = {
            "name": "nightly",
            "kind": kind,
            "path": str(place),
            "node": "bak1",
            "live": {"path": str(live), "node": "bak1"},
        }
        path = site(tmp_path, [copy], port=there.node.ssh.port, nodes=("bak1",))
        assert verdicts(verify(path)) == ALL_PASS
        lost = next(live.rglob("cur/*"))
        if kind == "tree":
            (place / lost.relative_to(live)).unlink()
            assert verdicts(verify(path, through=Level.L2))["L2"] is Verdict.FAIL


def test_without_an_authorisation_nothing_connects(tmp_path, live):
    copy = {"name": "nightly", "kind": "tree", "path": str(live), "node": "bak1"}
    done = verify(site(tmp_path, [copy], port=1))
    assert set(verdicts(done).values()) == {Verdict.NOT_RUN}
    assert "授权" in told(done, Level.L0)


@pytest.mark.parametrize("mail_files", [None, "*.eml"])
def test_a_products_own_tree_is_counted_by_the_names_of_its_mails_or_not_at_all(
    tmp_path, live, mail_files
):
    for number, path in enumerate(sorted(live.rglob("cur/*"))):
        path.rename(path.parents[1] / f"{number}.eml")
        (path.parents[1] / "account.xml").write_text("<account/>")
    copy = {
        "name": "nightly",
        "kind": "tree",
        "format": "turbomail",
        "path": str(shutil.copytree(live, tmp_path / "copy")),
        "live": {"path": str(live)},
    }
    path = site(tmp_path, [copy])
    system = {"title": "邮件", "profile": "turbomail"}
    if mail_files:
        system["overrides"] = {"mail_files": {"value": mail_files, "confidence": "verified"}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"system": system}))
    done = verify(path, through=Level.L3)
    if mail_files:
        [read] = [one for one in done.outcomes[0].findings if one.level is Level.L3]
        assert set(verdicts(done).values()) == {Verdict.PASS}
        assert read.judgement().coverage.ok == 24
    else:
        assert set(verdicts(done).values()) == {Verdict.NOT_RUN}
        assert "未填写 mail_files" in told(done, Level.L2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_scratch_of_a_run_that_was_killed_is_removed_and_nobody_elses(tmp_path, live, number):
    base = tmp_path / "tmp"
    (base / "mailcare-of-somebody").mkdir(parents=True)
    waiting = {"source": "command", "words": ["sleep", "300"]}
    copy = {"name": "nightly", "kind": "tree", "path": str(live)}
    path = site(tmp_path, [{**copy, "live": {"path": str(live), "accounts": waiting}}])
    words = [sys.executable, "-m", "mailcare", "backup", "verify", str(path)]
    env = {**os.environ, "TMPDIR": str(base)}
    run = subprocess.Popen(words, env=env, start_new_session=True)
    wait_until(lambda: list(base.glob("*/.mailcare-owner")), "a run with its scratch", timeout_s=60)
    with scratch_folder(base, 0):
        assert len(list(base.iterdir())) == 3, "the scratch of a living run stays"
    run.send_signal(number)
    run.wait(60)
    with scratch_folder(base, 0) as own:
        assert set(base.iterdir()) == {own, base / "mailcare-of-somebody"}
    if number is signal.SIGTERM:
        assert run.returncode == 128 + number


@pytest.mark.parametrize("is_there", [False, True])
def test_an_export_of_the_accounts_is_held_against_the_list(tmp_path, is_there):
    (tmp_path / "ldap").mkdir()
    export = tmp_path / "ldap" / "accounts.ldif"
    export.write_text("dn: uid=li\nmail: li@bank.example\n\n")
    accounts = tmp_path / "accounts.txt"
    accounts.write_text("li@bank.example\n")
    copy = {
        "name": "ldap",
        "kind": "ldif",
        "path": str(export.parent),
        "live": {"path": str(tmp_path), "accounts": {"source": "file", "path": str(accounts)}},
    } | ({"node": "bak1"} if is_there else {})
    with ssh_host() as there:
        assert there.node.ssh
        path = site(tmp_path, [copy], port=there.node.ssh.port, nodes=("bak1",))
        assert verdicts(verify(path, through=Level.L4))["L4"] is Verdict.PASS
        accounts.write_text("li@bank.example\nzhao@bank.example\n")
        assert verdicts(verify(path, through=Level.L4))["L4"] is Verdict.FAIL


def test_a_dump_on_a_host_is_loaded_here(tmp_path):
    need("mariadbd")
    dump = tmp_path / "dumps" / "accounts.sql.gz"
    dump.parent.mkdir()
    dump.write_bytes(gzip.compress(DUMPS[Dialect.MYSQL]))
    words = {"source": "command", "words": ["echo", "li@bank.example"]}
    live = {"path": str(tmp_path), "accounts": words}
    copy = {"name": "sql", "kind": "sql", "dialect": "mysql", "path": str(dump.parent)}
    with ssh_host(cuts_after(200)) as there:
        assert there.node.ssh
        copies = [copy | {"node": "bak1", "live": live}]
        path = site(tmp_path, copies, port=there.node.ssh.port, nodes=("bak1",))
        done = verify(path, through=Level.L4)
        assert verdicts(done)["L4"] is Verdict.PASS
        assert "1 个表、2 行" in told(done, Level.L4)
        flip(dump)
        done = verify(path, through=Level.L4)
    assert verdicts(done)["L4"] is Verdict.FAIL
    assert "已损坏" in told(done, Level.L4)


def test_a_table_that_had_rows_before_and_has_none_is_told(tmp_path):
    need("mariadbd")
    dump = tmp_path / "dumps" / "accounts.sql"
    dump.parent.mkdir()
    dump.write_bytes(DUMPS[Dialect.MYSQL])
    path = site(
        tmp_path, [{"name": "sql", "kind": "sql", "dialect": "mysql", "path": str(dump.parent)}]
    )
    assert "上次有数据" not in told(verify(path, through=Level.L4), Level.L4)
    dump.write_bytes(DUMPS[Dialect.MYSQL].replace(b"mailbox", b"users"))
    done = verify(path, through=Level.L4)
    assert verdicts(done)["L4"] is Verdict.DEGRADED
    assert "1 个表上次有数据，这次没有：drill.mailbox" in told(done, Level.L4)


@pytest.mark.parametrize("kind", ["sdbox", "mdbox"])
def test_a_dbox_store_is_served_by_dovecot_out_of_its_messages_alone(tmp_path, kind):
    need("doveadm")
    live = make_dbox(tmp_path / "live", kind)
    place = shutil.copytree(live, tmp_path / "copy")
    copy = {
        "name": "nightly",
        "kind": "tree",
        "format": "dbox",
        "path": str(place),
        "live": {"path": str(live)},
    }
    path = site(tmp_path, [copy])
    done = verify(path)
    assert verdicts(done) == ALL_PASS
    assert "登录 2 个邮箱，列出 4 个文件夹，取回 12 封" in told(done, Level.L5)
    damaged = next(place.rglob("user1/**/[um].1"))
    flip(damaged, damaged.read_bytes().index(b"\x01\x02N"))
    found = verdicts(verify(path))
    assert found["L5"] is Verdict.FAIL
