"""Load a dump of the account store into a database that lives for the drill only.

The server has its own data folder in scratch, listens on a socket there and nowhere else, and runs
without privilege. A dump is written by strangers: what in it would leave the database (a shell, a
file of the host) is refused before anything is loaded. What can be disguised from that look meets
a client that runs no commands, and a server on which no account has a right that reaches further.
"""

import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from mailcare.backup.agent.script import shortage_of
from mailcare.backup.dumps import BLOCK_BYTES, BadDump, blocks
from mailcare.backup.outline import Outline, outline_of
from mailcare.backup.source import NotReached
from mailcare.backup.throwaway import (
    Identity,
    find_program,
    given_to,
    own_identity,
    run_as,
    serving,
)
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Weight, judged
from mailcare.systems.copies import Dialect

LOAD_S = 3600.0
STEP_S = 120.0
_SHOWN = 10
# Lines that would reach out of the database. In COPY data a line may begin with a backslash: these
# words do not.
_LEAVES = {
    Dialect.MYSQL: re.compile(
        rb"^\s*(\\!|system\s|source\s|\\\.\s|tee\s|pager\s)"
        rb"|\b(load\s+data|load\s+xml|into\s+(out|dump)file|load_file\s*\(|install\s+(plugin|soname))",
        re.IGNORECASE,
    ),
    Dialect.POSTGRESQL: re.compile(
        rb"^\\(!|i\s|ir\s|o\s|g\s*\||w\s|copy\s|cd\s|setenv\s)|\b(from|to)\s+program\s*(e?'|\$)"
        rb"|^\s*copy\s[^;]*\s(from|to)\s+'"
        rb"|\blo_(im|ex)port\s*\(|\bpg_read_(binary_)?file\s*\(|^\s*load\s+'",
        re.IGNORECASE,
    ),
}
_RIGHTS = re.compile(
    rb"\bOWNER TO |^(GRANT|REVOKE|ALTER DEFAULT PRIVILEGES|CREATE POLICY|CREATE ROLE) "
)
_ROLE = rb'(?:"(?:[^"]|"")+"|[a-z_][\w$]*)'
_ROLES = re.compile(rb"\b(?:TO|FROM|ROLE) (%b(?:, %b)*)" % (_ROLE, _ROLE))
_NO_ROLE = re.compile(rb'"?(public|postgres|none|current_user|session_user|pg_\w*)"?')
_DATABASE_BEGINS = re.compile(rb"^(?=(?:-- Current Database: |USE )`)", re.MULTILINE)
_OWN = re.compile(rb"(-- Current Database: |USE )`(mysql|sys)`")
# What psql itself is told in a dump by pg_dump; all else it is not let do.
_TOLD_PSQL = re.compile(
    rb"^\\((un)?restrict \w+"
    rb"|(?P<connect>connect (-reuse-previous=on \"dbname='[\w.-]+'\"|[\w.-]+)))[ \r]*$",
    re.MULTILINE,
)
_OPENED = b"\ngrant all on schema public to public;"  # whose tables will be others'
_RESTRICTS = "\\restrict"  # since 15.14, 16.10 and 17.6: CVE-2025-8714
# Rights that reach out of the database, in MariaDB: files, settings of the server, other servers.
_FAR_RIGHTS = (
    "FILE, SUPER, SHUTDOWN, RELOAD, PROCESS, REPLICATION SLAVE, REPLICATION SLAVE ADMIN, "
    "REPLICATION MASTER ADMIN, FEDERATED ADMIN, CONNECTION ADMIN"
)
# What the throw-away server has not, or does not give: it says nothing of the dump.
_OURS = re.compile(
    r"access denied|permission denied|command denied|must be (superuser|owner)|secure-file-priv"
    r"|(role|tablespace|collation) \"[^\"]*\"( for encoding \"\w+\")? does not exist"
    r"|can't open shared library|is not available|invalid locale"
    r"|unknown (collation|character set|database)|operation create (user|role) failed"
    r"|unknown (storage engine|system variable)|unrecognized configuration parameter",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"Table '([^'.]+)\.[^']*' doesn't exist")
_PACKET = "--max-allowed-packet=1G"
_WORD = re.compile(rb"[a-z0-9._%+-]+(?:@[a-z0-9.-]+)?")
_WORD_BYTES = 1024
_BETWEEN_WORDS = (b"\n", b"\t", b",", b"'", b" ")
# What the head of a dump does to a server that is not this one: its roles, and what it replaces.
_HEAD = re.compile(rb"^-- PostgreSQL database (cluster )?dump\r?$", re.MULTILINE)
_BODY = re.compile(rb"-- (Data for )?Name: (?!DATABASE ).*; Type: (?!DATABASE)")
_FOR_ITS_SERVER = re.compile(
    rb"(CREATE|ALTER) ROLE |DROP (?!SCHEMA (IF EXISTS )?public;)|ALTER .* DROP "
    rb"|GRANT (\"[^\"]*\"|[\w$]+) TO |UPDATE pg_catalog\.pg_database "
    rb"|(CREATE|ALTER|COMMENT ON) DATABASE (postgres|template1) |SELECT pg_catalog\.lo_unlink\("
)
_LOCALE = re.compile(rb"(?<= ENCODING = 'UTF8').*(?=;)")  # with its name in that system


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a dump: its tables and rows in the database, or what is wrong with it.

    `doubts` are what its text leaves unproven, `absent` those of the `accounts` of the customer's
    list that are nowhere in it, `filled` the tables with rows.
    """

    tables: int
    rows: int
    size_bytes: int
    seconds: float
    problem: str = ""
    doubts: tuple[str, ...] = ()
    accounts: int = 0
    absent: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()


def load_dump(
    dump: Path, dialect: Dialect, scratch: Path, *, accounts: Collection[str] = ()
) -> Loaded:
    """Load a dump (plain, gzip or zstd) into a throw-away database below `scratch`.

    `accounts` are looked for in its text. Raise `NotReached` where there is no database server on
    this machine, or no room.
    """
    roles: set[bytes] = set()
    try:
        size_bytes, outline = _examined(dump, dialect, roles)
        absent = _absent(dump, accounts)
    except BadDump as error:
        return Loaded(0, 0, 0, 0.0, f"转储文件不完整或不可用（{error}）")
    if outline.filled and not outline.defines and outline.heads == outline.ends:
        raise NotReached("tool", "转储只有数据、没有表结构，不能单独导入，不能判断是否完好")
    identity = own_identity()
    base = given_to(identity, scratch / "database")
    with _SERVERS[dialect](identity, base) as client:
        for role in sorted(roles):
            name = role.decode("utf-8", "replace")
            _asked(client, f"create role {name}; grant {name} to postgres", identity)
        started = perf_counter()
        problem = _fed(client.reading(outline.charset), dump, identity)
        seconds = perf_counter() - started
        _need_within(outline, problem)
        held, others = ({}, set()) if problem else _counted(client, dialect, identity)
        orphans = () if problem or client.is_psql else tuple(_orphans(client, identity))
    return Loaded(
        len(held),
        sum(held.values()),
        size_bytes,
        seconds,
        problem or outline.contradicted(held, others),
        (*outline.doubts(), *orphans),
        len(accounts),
        absent,
        tuple(name for name, rows in held.items() if rows),
    )


def _need_within(outline: Outline, problem: str) -> None:
    """Raise `NotReached` where a view or program needs a database that is not in the dump."""
    found = _ELSEWHERE.search(problem)
    if found and found[1] not in {name.partition(".")[0] for name in outline.tables}:
        text = f"转储引用了另一个数据库 {found[1]}，未能导入，不能判断是否完好"
        raise NotReached("tool", text)


def _examined(dump: Path, dialect: Dialect, roles: set[bytes]) -> tuple[int, Outline]:
    """Read a dump once; return its size and outline; raise `BadDump` if it must not be loaded.

    A PostgreSQL dump names owners without making them: they are added to `roles`.
    """
    outline, rest, total = outline_of(dialect), b"", 0
    for block in blocks(dump):
        total += len(block)
        *lines, rest = (rest + block).split(b"\n")
        roles.update(_examine(lines, dialect, outline))
        rest = rest[:BLOCK_BYTES]  # of a longer line the beginning is enough
    roles.update(_examine([rest], dialect, outline))
    if not total:
        raise BadDump("空文件")
    outline.close()
    return total, outline


def _examine(lines: Sequence[bytes], dialect: Dialect, outline: Outline) -> Iterator[bytes]:
    """Examine lines of a dump; yield the roles in them."""
    for line in lines:
        if b"\0" in line:
            raise BadDump("含有零字节，不是完好的文本")  # whatever writes dumps escapes it
        if outline.take(line.rstrip(b"\r")):
            continue  # content: mail addresses and names may say anything
        if _LEAVES[dialect].search(line[:BLOCK_BYTES]):
            text = line[:80].decode("utf-8", "replace")
            raise BadDump(f"含有数据库以外的命令，未导入：{text}")
        if dialect is Dialect.POSTGRESQL:
            yield from _roles_in(line)


def _roles_in(line: bytes) -> Iterator[bytes]:
    if _RIGHTS.search(line):
        roles = re.findall(_ROLE, b" ".join(_ROLES.findall(line)))
        yield from (role for role in roles if not _NO_ROLE.fullmatch(role))


def _absent(dump: Path, accounts: Collection[str]) -> tuple[str, ...]:
    """Return the accounts of which neither the address nor the name in it is a word of a dump."""
    of_word: dict[bytes, set[str]] = {}
    for one in accounts:
        for word in (one, one.partition("@")[0]):
            of_word.setdefault(word.lower().encode(), set()).add(one)
    found = {one for one in accounts if not _WORD.fullmatch(one.lower().encode())}
    for word in _words(dump) if accounts else ():
        found |= of_word.get(word, set())
    return tuple(sorted(set(accounts) - found))


def _words(dump: Path) -> Iterator[bytes]:
    rest = b""
    for block in blocks(dump):
        text = rest + block.lower()
        cut = 1 + max(map(text.rfind, _BETWEEN_WORDS))
        yield from _WORD.findall(text[:cut])
        rest = text[cut:][-_WORD_BYTES:]
    yield from _WORD.findall(rest)


@dataclass(frozen=True, slots=True)
class Client:
    """How the throw-away database is spoken to, and by which words a dump is loaded."""

    words: tuple[str, ...]
    env: dict[str, str]
    loading: tuple[str, ...]

    @property
    def is_psql(self) -> bool:
        """Tell whether it is psql, which takes commands of its own among the statements."""
        return self.words[0].endswith("psql")

    def reading(self, charset: str) -> "Client":
        """Return it so that it loads what is in another character set, where one is told."""
        words = (*self.loading, f"--default-character-set={charset}") if charset else self.loading
        return replace(self, loading=words)

    def asking(self, statement: str) -> list[str]:
        """Return the words that put a statement to it."""
        return [*self.words, *_QUIET[self.words[0].rpartition("/")[2]], statement]


_QUIET = {"mariadb": ("-N", "-B", "-e"), "mysql": ("-N", "-B", "-e"), "psql": ("-A", "-t", "-c")}


@contextmanager
def _mysql(identity: Identity, base: Path) -> Iterator[Client]:
    install = find_program("mariadb-install-db")
    server, client = find_program("mariadbd"), find_program("mariadb")
    data, socket = base / "data", base / "sock"
    env = _environment(base)
    closed = given_to(identity, base / "closed")  # no file may be read or written but here
    words = [install, "--no-defaults", f"--datadir={data}", "--skip-test-db"]
    words.append("--auth-root-authentication-method=normal")
    _need(run_as(identity, words, env=env, timeout_s=STEP_S), "mariadb-install-db")
    serve = [
        *(server, "--no-defaults", f"--datadir={data}", f"--socket={socket}", f"--tmpdir={base}"),
        *("--skip-networking", f"--pid-file={base}/pid", f"--secure-file-priv={closed}"),
        *("--local-infile=0", "--innodb-buffer-pool-size=64M", "--skip-log-bin"),
        *(f"--plugin-dir={closed}", "--skip-symbolic-links", _PACKET),
    ]
    words = (client, "--no-defaults", f"--socket={socket}", "-uroot", "--sandbox", _PACKET)
    words = (*words, "--default-character-set=utf8mb4")  # as it is written; a dump may set another
    speak = Client(words, env, (*words, "--database=drill"))
    log = base / "server.log"
    with serving(identity, serve, env=env, log=log, is_ready=lambda: _answers(speak, identity)):
        _asked(speak, "create database drill", identity)
        _asked(speak, f"revoke {_FAR_RIGHTS} on *.* from root@localhost", identity)
        yield speak


@contextmanager
def _postgresql(identity: Identity, base: Path) -> Iterator[Client]:
    places = [str(one) for one in sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1]]
    initdb = find_program("initdb", places=places)
    server, client = find_program("postgres", places=places), find_program("psql")
    data, env = base / "data", _environment(base)
    words = [initdb, "-D", str(data), "-U", _ROOT, "-A", "trust", "-E", "UTF8", "--no-sync"]
    _need(run_as(identity, words, env=env, timeout_s=STEP_S), "initdb")
    serve = [server, "-D", str(data), "-k", str(base), "-c", "listen_addresses=", "-c", "fsync=off"]
    words = (client, "-X", "-q", "-h", str(base), "-d", "postgres", "-U")
    loading = (*words, "postgres", "-v", "ON_ERROR_STOP=1", "-f", "-")
    speak = Client((*words, _ROOT), env, loading)
    log = base / "server.log"
    with serving(identity, serve, env=env, log=log, is_ready=lambda: _answers(speak, identity)):
        _asked(speak, _OWNER_OF_ALL, identity)
        yield speak


_ROOT = "mailcare_drill"
# Whom a dump is loaded for: what is in the database is his, and nothing beside it.
_OWNER_OF_ALL = (
    "create role postgres login createdb; alter database postgres owner to postgres; "
    "alter schema public owner to postgres; drop extension plpgsql; set role postgres; "
    "create extension plpgsql; grant all on database postgres to public; "
    "grant all on schema public to public; alter default privileges grant all on schemas to public"
)
_SERVERS = {Dialect.MYSQL: _mysql, Dialect.POSTGRESQL: _postgresql}


def _environment(base: Path) -> dict[str, str]:
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": str(base), "TMPDIR": str(base), "LC_ALL": "C.UTF-8"}


def _answers(client: Client, identity: Identity) -> bool:
    words = client.asking("select 1")
    return run_as(identity, words, env=client.env, timeout_s=STEP_S).returncode == 0


def _need(done: subprocess.CompletedProcess[str], what: str) -> None:
    if done.returncode:
        last = " ".join((done.stderr or done.stdout).split())[-300:]
        code = "scratch" if "No space left" in last else "tool"
        raise NotReached(code, f"{what} 失败（{last}）")


def _fed(client: Client, dump: Path, identity: Identity) -> str:
    """Feed a dump to the database; return what it complained of, empty where it took all.

    Raise `NotReached` where it was not the dump that stopped it.
    """
    child = subprocess.Popen(
        client.loading,
        env=client.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        user=identity.change_uid,
        group=identity.change_gid,
        extra_groups=None if identity.change_uid is None else [],
    )
    assert child.stderr
    killer = threading.Timer(LOAD_S, child.terminate)
    killer.start()
    try:
        fitted = _for_psql if client.is_psql else _without_own
        code, text = _poured(child, fitted(blocks(dump)))
    finally:
        killer.cancel()
        child.kill()
        child.wait()
        child.stderr.close()
    if code and (why := _not_the_dumps(client, identity, code, text)):
        raise NotReached(*why)
    return f"导入失败（{text or code}）" if code else ""


def _poured(child: subprocess.Popen[bytes], text: Iterable[bytes]) -> tuple[int, str]:
    """Pour a text into a program; return how it ended and what it said."""
    assert child.stdin
    assert child.stderr
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.append(child.stderr.read()), daemon=True)
    reader.start()
    with suppress(BrokenPipeError):
        for block in text:
            child.stdin.write(block)
        child.stdin.close()
    code = child.wait()
    reader.join()
    told = " ".join(b"".join(said).decode("utf-8", "replace").split())
    return code, told[max(told.rfind("ERROR"), 0) :][:300]  # before it stands the statement


def _not_the_dumps(
    client: Client, identity: Identity, code: int, text: str
) -> tuple[str, str] | None:
    """Return code and text of `NotReached` where a load did not fail by the dump's content."""
    if "No space left" in text or "is full" in text:
        return "scratch", f"暂存空间不足，导入中断（{text}）"
    if code == -signal.SIGTERM:
        return "tool", f"导入在 {LOAD_S:g} 秒内没有结束，已停止"
    if _RESTRICTS in text:
        return "tool", f"psql 太旧，不能禁止转储中的命令，未导入（{text}）"
    if not _answers(client, identity):
        return "shortage", f"导入中临时数据库意外停止，稍后可重试（{text}）"
    if short := shortage_of(code, text):
        return "shortage", f"导入程序{short}"
    if _OURS.search(text):
        return "tool", f"转储要求临时数据库没有的权限或功能，未能导入，不能判断是否完好（{text}）"
    return None


def _without_own(text: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a dump without the databases of its server itself: here there are others."""
    rest, is_own = b"", False
    for block in text:
        lines, end, rest = (rest + block).rpartition(b"\n")
        for part in _DATABASE_BEGINS.split(lines + end):
            is_own = bool(_OWN.match(part)) if _DATABASE_BEGINS.match(part) else is_own
            yield b"" if is_own else part
        if len(rest) > BLOCK_BYTES:
            yield b"" if is_own else rest
            rest = b""
    yield b"" if is_own else rest


def _for_psql(text: Iterable[bytes]) -> Iterator[bytes]:
    return _restricted(_without_head(text))


def _without_head(text: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a dump without what its head does to its own server; roles are made for it before."""
    rest, in_head = b"", False
    for block in text:
        lines, end, rest = (rest + block).rpartition(b"\n")
        if in_head or _HEAD.search(lines):
            kept = []
            for line in lines.split(b"\n"):
                in_head = not _BODY.match(line) if in_head else bool(_HEAD.match(line))
                if not in_head:
                    kept.append(line)
                elif not _FOR_ITS_SERVER.match(line):
                    kept.append(_LOCALE.sub(b"", line))
            lines = b"\n".join(kept)
        yield lines + end
        if len(rest) > BLOCK_BYTES:
            yield rest
            rest = b""
    yield rest


def _restricted(text: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a dump so that psql runs no command in it but to change the database.

    A line longer than a block is no command, and is not kept whole.
    """
    key = secrets.token_hex(16).encode()
    open_, shut = b"\\unrestrict %s\n" % key, b"\\restrict %s" % key

    def let(found: re.Match[bytes]) -> bytes:
        return b"".join((open_, found[0], b"\n", shut, _OPENED)) if found["connect"] else b""

    yield shut + b"\n"
    rest = b""
    for block in text:
        lines, end, rest = (rest + block).rpartition(b"\n")
        yield _TOLD_PSQL.sub(let, lines) + end
        if len(rest) > BLOCK_BYTES:
            yield rest
            rest = b""
    yield rest


# Each table by the name that an outline has for it, and by that in statements. What else there is
# has the first: in MySQL, since PostgreSQL heads each of it in its dump.
_TABLES = {
    Dialect.MYSQL: (
        "select concat(table_schema, '.', table_name), if(table_type = 'VIEW', '', "
        "concat('`', table_schema, '`.`', replace(table_name, '`', '``'), '`', "
        "if(table_type = 'SYSTEM VERSIONED', ' for system_time all', ''))) "
        "from information_schema.tables "
        "where table_type in ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW') and table_schema not in "
        "('mysql', 'information_schema', 'performance_schema', 'sys') "
        "union select concat(trigger_schema, '.', trigger_name), '' "
        "from information_schema.triggers "
        "union select concat(event_schema, '.', event_name), '' from information_schema.events "
        "union select concat(routine_schema, '.', routine_name), '' "
        "from information_schema.routines"
    ),
    Dialect.POSTGRESQL: (
        "select concat_ws('.', current_database(), schemaname, tablename) || chr(9) || "
        "format('only %I.%I', schemaname, tablename) from pg_tables "
        "where schemaname not in ('pg_catalog', 'information_schema')"
    ),
}


# A name with such a sign in it would be taken for the address of another server.
_DATABASES = (
    "select datname from pg_database "
    "where datallowconn and not datistemplate and datname !~ '[=/:]'"
)


def _counted(
    client: Client, dialect: Dialect, identity: Identity
) -> tuple[dict[str, int], set[str]]:
    """Return the tables with the number of their rows, counted one by one, and what else it has."""
    counts: dict[str, int] = {}
    others: set[str] = set()
    for one in _each_database(client, identity):
        for told in _asked(one, _TABLES[dialect], identity):
            name, _, table = told.partition("\t")
            if table:
                select = f"select count(*) from {table}"  # noqa: S608 - own names
                counts[name] = int(_asked(one, select, identity)[0])
            else:
                others.add(name)
    return counts, others


# Each foreign key: its table, and a statement that counts the rows which refer to none. A dump of
# MySQL is loaded with its keys unchecked; PostgreSQL refuses a key that does not hold.
_KEYS = (
    "select concat(table_schema, '.', table_name), concat('select count(*) from `', table_schema, "
    "'`.`', table_name, '` c left join `', referenced_table_schema, '`.`', referenced_table_name, "
    "'` p on ', group_concat('c.`', column_name, '` = p.`', referenced_column_name, '`' "
    "separator ' and '), ' where p.`', min(referenced_column_name), '` is null and ', "
    "group_concat('c.`', column_name, '` is not null' separator ' and ')) "
    "from information_schema.key_column_usage where referenced_table_name is not null "
    "group by constraint_schema, constraint_name, table_schema, table_name, "
    "referenced_table_schema, referenced_table_name"
)


def _orphans(client: Client, identity: Identity) -> Iterator[str]:
    """Yield which tables refer to rows that are not there."""
    for told in _asked(client, _KEYS, identity):
        name, _, select = told.partition("\t")
        if count := int(_asked(client, select, identity)[0]):
            yield f"表 {name} 有 {count} 行引用的记录不在转储中，可能缺行"


def _each_database(client: Client, identity: Identity) -> Iterator[Client]:
    """Yield how to speak to each database; in MariaDB one word reaches all."""
    if not client.is_psql:
        yield client
        return
    for name in _asked(client, _DATABASES, identity):
        yield replace(client, words=(*client.words, "-d", name))


def _asked(client: Client, statement: str, identity: Identity) -> list[str]:
    done = run_as(identity, client.asking(statement), env=client.env, timeout_s=LOAD_S)
    _need(done, "查询")
    return done.stdout.split("\n")[:-1]


def judge_dump(loaded: Loaded, *, gone: Sequence[str] = ()) -> Judgement:
    """Say what a load proves: a dump without a row proves nothing.

    `gone` are tables that had rows in the dump which was loaded before, and have none now.
    """
    remarks = tuple(_remarks(loaded, gone))
    is_bad = any(one.weight is Weight.FAILS for one in remarks)
    return judged(Level.L4, Coverage(1, 1, int(not is_bad), int(is_bad)), remarks)


def _remarks(loaded: Loaded, gone: Sequence[str]) -> Iterator[Remark]:
    if loaded.problem:
        yield Remark("dump", loaded.problem, Weight.FAILS)
        return
    if not loaded.rows:
        yield Remark("dump", "转储可以导入，但其中没有任何数据行", Weight.FAILS)
        return
    text = (
        f"转储 {loaded.size_bytes / 1e6:.1f} MB 导入临时数据库用时 {loaded.seconds:.1f} 秒，"
        f"{loaded.tables} 个表、{loaded.rows} 行"
    )
    yield Remark("dump", text, Weight.NOTE)
    for doubt in loaded.doubts:
        yield Remark("outline", doubt, Weight.DEGRADES)
    if gone:
        text = f"{len(gone)} 个表上次有数据，这次没有：{'、'.join(gone[:_SHOWN])}，请核对"
        yield Remark("table_gone", text, Weight.DEGRADES)
    yield _on_accounts(loaded.accounts, loaded.absent)


def _on_accounts(accounts: int, absent: Sequence[str]) -> Remark:
    """Say what the customer's list proves: no dump states how many rows it had to have."""
    if not accounts:
        text = "没有账号列表可比，只证明转储可以导入，不能证明没有缺行"
        return Remark("unlisted", text, Weight.DEGRADES)
    if len(absent) == accounts:
        text = f"账号列表中的 {accounts} 个账号在转储中一个也找不到，无法对照"
        return Remark("account", text, Weight.DEGRADES)
    if absent:
        told = "、".join(absent[:_SHOWN])
        return Remark("account", f"转储中没有 {len(absent)} 个账号：{told}", Weight.FAILS)
    text = f"账号列表中的 {accounts} 个账号都在转储中；其他数据是否缺行，转储本身不能证明"
    return Remark("account", text, Weight.NOTE)
