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
_TAIL_BYTES = 4096
_SHOWN = 10
# The last words of a dump, with which it must end: what follows them is another that broke off.
_ENDS = {
    Dialect.MYSQL: re.compile(rb"-- Dump completed[^\n]*\s*\Z"),
    Dialect.POSTGRESQL: re.compile(
        rb"PostgreSQL database (cluster )?dump complete\s+--\s*(\\unrestrict\s+\w+\s*)?\Z"
    ),
}
# Lines that would reach out of the database. In COPY data a line may begin with a backslash: these
# words do not.
_LEAVES = {
    Dialect.MYSQL: re.compile(
        rb"^\s*(\\!|system\s|source\s|\\\.\s|tee\s|pager\s)"
        rb"|\b(load\s+data|load\s+xml|into\s+(out|dump)file|load_file\s*\(|install\s+(plugin|soname))",
        re.IGNORECASE,
    ),
    Dialect.POSTGRESQL: re.compile(
        rb"^\\(!|i\s|ir\s|o\s|g\s*\||w\s|copy\s|cd\s|setenv\s)|\b(from|to)\s+program\b"
        rb"|^\s*copy\s[^;]*\s(from|to)\s+'"
        rb"|\blo_(im|ex)port\s*\(|\bpg_read_(binary_)?file\s*\(|^\s*load\s+'",
        re.IGNORECASE,
    ),
}
_RIGHTS = re.compile(rb"\bOWNER TO |^(GRANT|REVOKE|ALTER DEFAULT PRIVILEGES) ")
_ROLE = re.compile(rb'\b(?:TO|FROM|ROLE) ("(?:[^"]|"")+"|[a-z_][\w$]*)')
_NO_ROLE = re.compile(rb'"?(public|postgres|none|current_user|session_user|pg_\w*)"?')
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
    r"|can't open shared library|is not available|invalid locale|unknown (collation|character set)"
    r"|unknown (storage engine|system variable)|unrecognized configuration parameter",
    re.IGNORECASE,
)
_PACKET = "--max-allowed-packet=1G"
_WORD = re.compile(rb"[a-z0-9._%+-]+(?:@[a-z0-9.-]+)?")
_WORD_BYTES = 1024
_BETWEEN_WORDS = (b"\n", b"\t", b",", b"'", b" ")
_INSERT = re.compile(rb"^\s*insert\s+into\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a dump: its tables and rows in the database, or what is wrong with it.

    `absent` are those of the `accounts` of the customer's list that are nowhere in its text.
    """

    tables: int
    rows: int
    size_bytes: int
    seconds: float
    problem: str = ""
    accounts: int = 0
    absent: tuple[str, ...] = ()


def load_dump(
    dump: Path, dialect: Dialect, scratch: Path, *, accounts: Collection[str] = ()
) -> Loaded:
    """Load a dump (plain, gzip or zstd) into a throw-away database below `scratch`.

    `accounts` are looked for in its text. Raise `NotReached` where there is no database server on
    this machine, or no room.
    """
    roles: set[bytes] = set()
    try:
        size_bytes = _examined(dump, dialect, roles)
        absent = _absent(dump, accounts)
    except BadDump as error:
        return Loaded(0, 0, 0, 0.0, f"转储文件不完整或不可用（{error}）")
    identity = own_identity()
    base = given_to(identity, scratch / "database")
    with _SERVERS[dialect](identity, base) as client:
        for role in sorted(roles):
            name = role.decode("utf-8", "replace")
            _asked(client, f"create role {name}; grant {name} to postgres", identity)
        started = perf_counter()
        problem = _fed(client, dump, identity)
        seconds = perf_counter() - started
        tables, rows = (0, 0) if problem else _counted(client, dialect, identity)
    return Loaded(tables, rows, size_bytes, seconds, problem, len(accounts), absent)


def _examined(dump: Path, dialect: Dialect, roles: set[bytes]) -> int:
    """Read a dump once; return its size; raise `BadDump` where it must not be loaded.

    A PostgreSQL dump names owners without making them: they are added to `roles`.
    """
    rest, tail, total = b"", b"", 0
    for block in blocks(dump):
        total += len(block)
        *lines, rest = (rest + block).split(b"\n")
        _refuse_leaving(lines, dialect)
        if dialect is Dialect.POSTGRESQL:
            roles.update(_roles_in(lines))
        rest = rest[-BLOCK_BYTES:]
        tail = (tail + block)[-_TAIL_BYTES:]
    _refuse_leaving([rest], dialect)
    if not total:
        raise BadDump("空文件")
    if not _ENDS[dialect].search(tail):
        raise BadDump("缺少结尾的完成标记，导出被截断")
    return total


def _roles_in(lines: Sequence[bytes]) -> Iterator[bytes]:
    for line in lines:
        if _RIGHTS.search(line):
            yield from (role for role in _ROLE.findall(line) if not _NO_ROLE.fullmatch(role))


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


def _refuse_leaving(lines: Sequence[bytes], dialect: Dialect) -> None:
    for line in lines:
        # What is inserted is content: mail addresses and names may say anything.
        if _LEAVES[dialect].search(line[:BLOCK_BYTES]) and not _INSERT.match(line):
            text = line[:80].decode("utf-8", "replace")
            raise BadDump(f"含有数据库以外的命令，未导入：{text}")


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
        code, text = _poured(child, _restricted(blocks(dump)) if client.is_psql else blocks(dump))
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
    return code, " ".join(b"".join(said).decode("utf-8", "replace").split())[:300]


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


_TABLES = {
    Dialect.MYSQL: (
        "select concat('`', table_schema, '`.`', table_name, '`') from information_schema.tables "
        "where table_type = 'BASE TABLE' and table_schema not in "
        "('mysql', 'information_schema', 'performance_schema', 'sys')"
    ),
    Dialect.POSTGRESQL: (
        "select format('%I.%I', schemaname, tablename) from pg_tables "
        "where schemaname not in ('pg_catalog', 'information_schema')"
    ),
}


# A name with such a sign in it would be taken for the address of another server.
_DATABASES = (
    "select datname from pg_database "
    "where datallowconn and not datistemplate and datname !~ '[=/:]'"
)


def _counted(client: Client, dialect: Dialect, identity: Identity) -> tuple[int, int]:
    """Return the number of tables and of the rows in them, counted one by one."""
    counts = [
        int(_asked(one, f"select count(*) from {table}", identity)[0])  # noqa: S608 - own names
        for one in _each_database(client, identity)
        for table in _asked(one, _TABLES[dialect], identity)
    ]
    return len(counts), sum(counts)


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


def judge_dump(loaded: Loaded) -> Judgement:
    """Say what a load proves: a dump without a row proves nothing."""
    if loaded.problem:
        coverage = Coverage(1, 1, bad=1)
        return judged(Level.L4, coverage, (Remark("dump", loaded.problem, Weight.FAILS),))
    if not loaded.rows:
        remark = Remark("dump", "转储可以导入，但其中没有任何数据行", Weight.FAILS)
        return judged(Level.L4, Coverage(1, 1, bad=1), (remark,))
    if absent := loaded.absent:
        return judged(Level.L4, *_incomplete(loaded, absent))
    text = (
        f"转储 {loaded.size_bytes / 1e6:.1f} MB 导入临时数据库用时 {loaded.seconds:.1f} 秒，"
        f"{loaded.tables} 个表、{loaded.rows} 行"
    )
    return judged(Level.L4, Coverage(1, 1, ok=1), (Remark("dump", text, Weight.NOTE),))


def _incomplete(loaded: Loaded, absent: Sequence[str]) -> tuple[Coverage, tuple[Remark, ...]]:
    if len(absent) == loaded.accounts:
        text = f"账号列表中的 {loaded.accounts} 个账号在转储中一个也找不到，无法对照"
        return Coverage(1, 1, ok=1), (Remark("account", text, Weight.DEGRADES),)
    told = "、".join(absent[:_SHOWN])
    text = f"转储中没有 {len(absent)} 个账号：{told}"
    return Coverage(1, 1, bad=1), (Remark("account", text, Weight.FAILS),)
