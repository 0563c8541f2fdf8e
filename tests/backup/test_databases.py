"""Dumps of the account store in real throw-away databases."""

import gzip
import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from backports import zstd

from mailcare.backup import databases, dumps
from mailcare.backup.databases import judge_dump, load_dump
from mailcare.backup.dumps import BadDump
from mailcare.backup.source import NotReached
from mailcare.backup.throwaway import given_to, own_identity, run_as
from mailcare.backup.verdicts import Verdict
from mailcare.systems.copies import Dialect
from tests.backup.stores import flipped
from tests.surroundings import need

MYSQL = b"""\
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
-- Table structure for table `mailbox`
CREATE TABLE `mailbox` (`username` varchar(255) NOT NULL);
-- Dumping data for table `mailbox`
INSERT INTO `mailbox` VALUES ('li@bank.example'),('into outfile, load data x');
-- Dump completed on 2026-11-27  2:00:01
"""
POSTGRESQL = b"""\
-- PostgreSQL database dump
-- Name: mailbox; Type: TABLE; Schema: public; Owner: vmail
CREATE TABLE public.mailbox (username text);
ALTER TABLE public.mailbox OWNER TO vmail;
-- Data for Name: mailbox; Type: TABLE DATA; Schema: public; Owner: vmail
COPY public.mailbox (username) FROM stdin;
li@bank.example
\\N
\\.
--
-- PostgreSQL database dump complete
--
"""
LISTED = ["li@bank.example"]
DUMPS = {Dialect.MYSQL: MYSQL, Dialect.POSTGRESQL: POSTGRESQL}


@pytest.fixture
def scratch():
    # Not below pytest's own folder, which is closed to whom the servers run as.
    with TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


def written(text: bytes, scratch: Path) -> Path:
    dump = scratch / "dump.sql"
    dump.write_bytes(text)
    return dump


def load(text: bytes, dialect: Dialect, scratch: Path) -> databases.Loaded:
    return load_dump(written(text, scratch), dialect, scratch, accounts=LISTED)


@pytest.mark.parametrize(
    ("dialect", "program"), [(Dialect.MYSQL, "mariadbd"), (Dialect.POSTGRESQL, "initdb")]
)
def test_a_whole_dump_is_loaded_and_its_rows_counted(dialect, program, scratch):
    need(program)
    loaded = load(gzip.compress(DUMPS[dialect]), dialect, scratch)
    assert (loaded.problem, loaded.tables, loaded.rows) == ("", 1, 2)
    assert judge_dump(loaded).verdict is Verdict.PASS
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [one for one in running if os.fsencode(scratch) in one]


def test_without_a_list_of_accounts_no_row_is_proven_to_be_there():
    judgement = judge_dump(databases.Loaded(3, 9, 900, 1.0))
    assert judgement.verdict is Verdict.DEGRADED
    assert "不能证明没有缺行" in judgement.reason


def test_what_the_database_refuses_fails(scratch):
    need("initdb")
    loaded = load(b"SELECT nonsense;\n" + POSTGRESQL, Dialect.POSTGRESQL, scratch)
    assert "nonsense" in loaded.problem
    assert judge_dump(loaded).verdict is Verdict.FAIL


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:-30], "截断"),
        (lambda text: text[:0], "空文件"),
        (lambda text: gzip.compress(text)[:-12], "不完整"),
        (lambda text: flipped(gzip.compress(text), 14), "已损坏"),
        (lambda text: flipped(zstd.compress(text), -8), "已损坏"),
        (lambda text: zstd.compress(text)[:-8], "不完整"),
        (lambda text: text[:90] + bytes(9) + text[99:], "零字节"),
        (lambda text: b"\\! touch /tmp/owned\n" + text, "数据库以外的命令"),
        (lambda text: gzip.compress(b"\0" * 80_000_000 + text), "炸弹"),
    ],
    ids=["truncated", "empty", "cut gzip", "gzip", "zstd", "cut zstd", "zeros", "shell", "bomb"],
)
def test_a_dump_that_is_not_whole_or_not_harmless_is_never_loaded(dialect, change, reason, scratch):
    loaded = load(change(DUMPS[dialect]), dialect, scratch)
    assert reason in loaded.problem
    assert judge_dump(loaded).verdict is Verdict.FAIL
    assert not (scratch / "database").exists()


@pytest.mark.parametrize(
    ("dialect", "line"),
    [
        (Dialect.MYSQL, b"LOAD DATA INFILE '/etc/passwd' INTO TABLE t;"),
        (Dialect.MYSQL, b"SELECT 1 INTO OUTFILE '/tmp/x';"),
        (Dialect.MYSQL, b"system id"),
        (Dialect.POSTGRESQL, b"COPY t FROM PROGRAM 'id';"),
        (Dialect.POSTGRESQL, b"COPY t TO '/tmp/x';"),
        (Dialect.POSTGRESQL, b"\\copy t from /etc/passwd"),
        (Dialect.POSTGRESQL, b"SELECT lo_import('/etc/passwd');"),
    ],
)
def test_a_command_that_leaves_the_database_is_refused(dialect, line, scratch):
    assert "数据库以外的命令" in load(line + b"\n" + DUMPS[dialect], dialect, scratch).problem


def test_what_is_disguised_is_not_done_either(scratch):
    need("initdb")
    owned = scratch / "owned"
    program = f"'COPY (SELECT 1) TO PRO'||'GRAM ''touch {owned}'''"
    for leaving in (
        f"SELECT 1; \\! touch {owned}",
        f"SELECT {program} \\gexec",
        f"DO $$ BEGIN EXECUTE {program}; END $$;",
    ):
        given = leaving.encode() + b"\n" + POSTGRESQL
        with suppress(NotReached):
            assert judge_dump(load(given, Dialect.POSTGRESQL, scratch)).verdict is Verdict.FAIL
        assert not owned.exists()
        shutil.rmtree(scratch / "database")


def test_no_account_of_the_server_may_set_where_it_writes(scratch):
    need("mariadbd")
    leaving = b"SET @a = CONCAT('SET GLO', 'BAL general_log = 1'); PREPARE s FROM @a; EXECUTE s;\n"
    with pytest.raises(NotReached) as refused:
        load(leaving + MYSQL, Dialect.MYSQL, scratch)
    assert refused.value.code == "tool"
    assert "权限" in refused.value.message


def test_of_a_dump_psql_is_told_the_database_and_nothing_else():
    dump = b"\\restrict aB3\nCREATE TABLE t ();\n\\connect mail\n\\connect a b\n\\unrestrict aB3\n"
    shut, *told = b"".join(databases._restricted([dump[:9], dump[9:]])).splitlines()
    assert shut.startswith(b"\\restrict ")
    key = shut.split()[1]
    assert key not in dump
    allowed = [b"\\unrestrict " + key, b"\\connect mail", shut, databases._OPENED.strip()]
    assert told == [b"", b"CREATE TABLE t ();", *allowed, b"\\connect a b", b""]


CLUSTER = b"""\
-- PostgreSQL database cluster dump
DROP DATABASE mail;
DROP ROLE vmail;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER LOGIN PASSWORD 'x';
CREATE ROLE vmail;
GRANT vmail TO postgres GRANTED BY postgres;
-- PostgreSQL database dump
UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = 'template1';
DROP TABLE public.gone;
ALTER TABLE ONLY public.gone DROP CONSTRAINT gone_pkey;
-- Name: mail; Type: DATABASE; Schema: -; Owner: vmail
CREATE DATABASE mail WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'zh_CN.GB2312';
ALTER DATABASE mail OWNER TO vmail;
\\connect mail
ALTER ROLE vmail SET search_path TO 'public';
"""


def test_a_dump_of_a_whole_cluster_is_loaded_without_what_is_for_its_own_server(scratch):
    need("initdb")
    grant = b'GRANT SELECT ON TABLE public.mailbox TO "dovecot-ro";\n'
    grant += b'CREATE POLICY p ON public.mailbox FOR SELECT TO "Web Mail", ro USING (true);\n'
    mail = POSTGRESQL.partition(b"\n")[2].replace(b"--\n-- Post", grant + b"--\n-- Post", 1)
    end = b"-- PostgreSQL database cluster dump complete\n"
    loaded = load(CLUSTER + mail + end, Dialect.POSTGRESQL, scratch)
    assert (loaded.problem, loaded.tables, loaded.rows) == ("", 1, 2)
    assert judge_dump(loaded).verdict is Verdict.PASS


def test_an_archive_by_pg_dump_is_loaded_like_its_script(scratch):
    need("initdb")
    identity = own_identity()
    kept = given_to(identity, scratch / "kept")
    with databases._SERVERS[Dialect.POSTGRESQL](identity, kept) as client:
        dump = written(POSTGRESQL.replace(b"vmail", b"postgres"), scratch)
        assert databases._fed(client, dump, identity) == ""
        words = [need("pg_dump"), *client.words[3:], "-Fc", "-f", str(kept / "archive")]
        assert run_as(identity, words, env=client.env, timeout_s=60).stderr == ""
    archive = (kept / "archive").read_bytes()
    loaded = load(archive, Dialect.POSTGRESQL, scratch)
    assert (loaded.problem, loaded.tables, loaded.rows) == ("", 1, 2)
    assert judge_dump(loaded).verdict is Verdict.PASS
    assert "pg_restore" in load(archive[:-300], Dialect.POSTGRESQL, scratch).problem
    with pytest.raises(NotReached):
        load(gzip.compress(archive), Dialect.POSTGRESQL, scratch)


@pytest.mark.parametrize(
    ("code", "said", "error"),
    [
        (1, "could not read from input file: end of file", BadDump),
        (-11, "", BadDump),
        (-9, "", NotReached),
        (1, "out of memory", NotReached),
        (1, "unsupported version (1.99) in file header", NotReached),
    ],
)
def test_how_pg_restore_ends_tells_whose_fault_it_is(code, said, error):
    dumps._need_whole(0, "warning: restoring tables WITH OIDS is not supported anymore")
    with pytest.raises(error):
        dumps._need_whole(code, said)


def test_rows_that_a_damaged_comment_swallows_are_missed(scratch):
    need("mariadbd")
    opened = b"/*a40000 ALTER TABLE `mailbox` DISABLE KEYS ;\nINSERT"
    closed = b"/*!40000 ALTER TABLE `mailbox` ENABLE KEYS */;\n-- Dump completed"
    dump = MYSQL.replace(b"INSERT", opened).replace(b"-- Dump completed", closed)
    loaded = load(dump, Dialect.MYSQL, scratch)
    assert "drill.mailbox（文中 2 行，导入后 0 行）" in loaded.problem
    assert judge_dump(loaded).verdict is Verdict.FAIL


def test_a_row_that_others_refer_to_is_missed(scratch):
    need("mariadbd")
    key = b"(username VARCHAR(99), domain INT, FOREIGN KEY (domain) REFERENCES domain (id))"
    made = b"""\
SET FOREIGN_KEY_CHECKS=0;
CREATE TABLE alias %s;
CREATE TABLE domain (id INT PRIMARY KEY);
INSERT INTO alias VALUES ('li@bank.example', 1), ('wang', 2), ('all', NULL);
INSERT INTO domain VALUES (1);
"""
    loaded = load(MYSQL.replace(b"CREATE", made % key + b"CREATE", 1), Dialect.MYSQL, scratch)
    assert loaded.doubts == ("表 drill.alias 有 1 行引用的记录不在转储中，可能缺行",)
    assert judge_dump(loaded).verdict is Verdict.DEGRADED


def test_a_view_of_another_database_does_not_fail_a_dump(scratch):
    need("mariadbd")
    view = b"CREATE VIEW v AS SELECT * FROM webmail.users;\n-- Dump completed"
    with pytest.raises(NotReached) as refused:
        load(MYSQL.replace(b"-- Dump completed", view), Dialect.MYSQL, scratch)
    assert "另一个数据库 webmail" in refused.value.message


def test_the_databases_of_a_server_itself_are_not_loaded():
    own = b"-- Current Database: `mysql`\nDROP TABLE proc;\n-- Table structure for table `proc`\n"
    other = b"USE `mail`;\nSELECT 1;\n"
    text = b"SELECT 0;\n" + own + other + own + b"-- Current Database: `mysql_2`\nSELECT 2"
    left = b"SELECT 0;\n" + other + b"-- Current Database: `mysql_2`\nSELECT 2"
    for size in (1, 7, 50, len(text)):
        blocks = [text[at : at + size] for at in range(0, len(text), size)]
        assert b"".join(databases._without_own(blocks)) == left


def test_a_dump_in_gbk_is_read_as_such(scratch):
    need("mariadbd")
    rows = (
        "/*!40101 SET NAMES gbk */;\nINSERT INTO mailbox VALUES ('縗'),('誠');\n-- Dump completed"
    )
    assert b"\\'" in rows.encode("gbk")
    made = MYSQL.replace(b"NOT NULL)", b"NOT NULL) CHARSET=utf8mb4")
    dump = made.replace(b"-- Dump completed", rows.encode("gbk"))
    loaded = load(dump, Dialect.MYSQL, scratch)
    assert (loaded.problem, loaded.rows) == ("", 4)


def test_a_dump_without_the_tables_of_its_data_is_not_blamed(scratch):
    with pytest.raises(NotReached) as refused:
        load(MYSQL.replace(b"structure", b"nothing"), Dialect.MYSQL, scratch)
    assert "只有数据" in refused.value.message


def test_content_may_say_anything_in_any_of_its_lines(scratch):
    rows = b"INSERT INTO `mailbox` VALUES\n('li'),\n('load data infile');\n"
    dump = written(MYSQL.replace(b"INSERT", rows + b"INSERT"), scratch)
    assert databases._examined(dump, Dialect.MYSQL, set())[0] == dump.stat().st_size


@pytest.mark.parametrize(
    "said",
    [
        "ERROR 1273 (HY000) at line 30: Unknown collation: 'utf8mb4_0900_ai_ci'",
        'ERROR: unrecognized configuration parameter "transaction_timeout"',
        'ERROR: permission denied to create extension "postgres_fdw"',
        'ERROR: invalid value for "default_tablespace": tablespace "ssd" does not exist',
        'ERROR: role "auditor" does not exist',
        'ERROR: collation "zh_CN" for encoding "UTF8" does not exist',
        "ERROR 1049 (42000) at line 22: Unknown database 'mail'",
        "ERROR 3 (HY000): Error writing file (Errcode: 28 No space left on device)",
        "invalid command \\restrict",
    ],
)
def test_what_this_machine_lacks_does_not_fail_a_dump(said, monkeypatch):
    monkeypatch.setattr(databases, "_answers", lambda _client, _identity: True)
    client, here = databases.Client(("psql",), {}, ()), own_identity()
    assert databases._not_the_dumps(client, here, 1, said)
    assert databases._not_the_dumps(client, here, 1, 'relation "x" does not exist') is None
    assert databases._not_the_dumps(client, here, -9, "")


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("order", [1, -1], ids=["behind", "before"])
def test_a_dump_that_broke_off_beside_a_whole_one_is_found(dialect, order, scratch):
    both = [DUMPS[dialect], DUMPS[dialect][:90]]
    assert "截断" in load(b"\n".join(both[::order]), dialect, scratch).problem


def test_what_postgresql_writes_behind_its_last_words_belongs_to_the_dump(scratch):
    dump = POSTGRESQL + b"\n\\unrestrict aB3\n\n"
    assert databases._examined(written(dump, scratch), Dialect.POSTGRESQL, set())[0] == len(dump)


def test_every_account_must_be_in_the_dump(scratch):
    dump = written(MYSQL.replace(b"'),('", b"'),('Wang'),('"), scratch)
    accounts = ["li@bank.example", "wang@bank.example", "zhao@bank.example", "l@bank.example"]
    absent = databases._absent(dump, accounts)
    assert absent == ("l@bank.example", "zhao@bank.example")
    loaded = databases.Loaded(1, 2, 900, 1.0, accounts=4, absent=absent)
    assert judge_dump(loaded).verdict is Verdict.FAIL
    assert "zhao@bank.example" in judge_dump(loaded).reason
    assert judge_dump(replace(loaded, accounts=2)).verdict is Verdict.DEGRADED


def test_an_account_is_found_across_the_border_of_two_blocks(scratch, monkeypatch):
    monkeypatch.setattr("mailcare.backup.dumps.BLOCK_BYTES", 7)
    assert databases._absent(written(MYSQL, scratch), ["li@bank.example"]) == ()


def test_a_dump_without_a_row_proves_nothing():
    assert judge_dump(databases.Loaded(3, 0, 900, 1.0)).verdict is Verdict.FAIL


def test_without_a_database_server_it_is_not_run(scratch, monkeypatch):
    monkeypatch.setenv("PATH", "/none")
    monkeypatch.setattr("mailcare.backup.throwaway._PLACES", ())
    with pytest.raises(NotReached) as refused:
        load(MYSQL, Dialect.MYSQL, scratch)
    assert refused.value.code == "tool"
