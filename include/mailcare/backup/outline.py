"""What a dump says of itself: its heads and ends, its tables, and how many rows each has. Pure.

The programs that write dumps head each part with a comment. A dump is read by those here, line by
line, and nothing is known of statements: what a damage makes a server swallow, behind an open
comment or in data without an end, still stands in the text.
"""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from mailcare.backup.dumps import BadDump
from mailcare.systems.copies import Dialect

_SHOWN = 10
_SERVERS_OWN = ("mysql.", "sys.", "template1.")  # which nobody counts


@dataclass(slots=True)
class Outline(ABC):
    """What was read so far of a dump; tables and what else it has are named with their `database`.

    `charset` is told where a byte of a character may look like a quote or backslash. `heads` and
    `ends` count the comments with which dumps begin and end; a dump that `defines` nothing has data
    alone. `tables` have a definition, `filled` a part for their data, `dataless` none by their
    nature; `rows` are the least that the text has of each. `bare` are parts of which there is the
    heading only.
    """

    database: str
    charset: str = ""
    heads: int = 0
    ends: int = 0
    is_ended: bool = False
    defines: bool = False
    tables: set[str] = field(default_factory=set)
    filled: set[str] = field(default_factory=set)
    dataless: set[str] = field(default_factory=set)
    rows: Counter[str] = field(default_factory=Counter)
    bare: list[str] = field(default_factory=list)
    _filling: str = ""  # the table whose data is being read
    _inserting: bytes = b""  # how its statements begin
    _awaited: str = ""  # the part of which there is the heading only, so far
    _empty: list[str] = field(default_factory=list)  # headed as data, and then not there
    _says_all: bool = False  # of a table without rows there is more than its heading, too

    @abstractmethod
    def take(self, line: bytes) -> bool:
        """Read the next line; tell whether it is content of a table.

        Raise `BadDump` where it cannot follow what was read.
        """

    def close(self) -> None:
        """Raise `BadDump` where the line read last is not the last of a dump."""
        if self.heads > self.ends or (self.ends and not self.is_ended):
            raise BadDump("缺少结尾的完成标记，导出被截断")
        if self._says_all:
            self.bare += self._empty

    def contradicted(self, held: Mapping[str, int], others: Collection[str]) -> str:
        """Return what of the text a database has not; empty where it has all.

        `held` are its tables with the number of their rows, `others` what else it has by name.
        """
        lost = self._accounts_only(self.tables.union(self.rows).difference(held, others))
        short = [
            f"{one}（文中 {count} 行，导入后 {held[one]} 行）"
            for one, count in sorted(self.rows.items())
            if one in held and held[one] < count
        ]
        told = [f"转储中的 {len(lost)} 个表或程序导入后不存在：{_shown(lost)}"] if lost else []
        told += [f"{len(short)} 个表的数据没有全部导入：{_shown(short)}"] if short else []
        return "；".join(told)

    def doubts(self) -> Iterator[str]:
        """Yield what the text itself leaves unproven."""
        if not self.ends or self.heads != self.ends:
            yield "转储的开头和结尾没有成对的标记，不能证明首尾完整"
        if empty := self._accounts_only(self.tables - self.filled - self.dataless):
            text = f"{len(empty)} 个表只有结构、没有数据段：{_shown(empty)}"
            yield f"{text}，不能证明其数据已备份"
        if self.bare:
            text = f"{len(self.bare)} 处只有标题、没有内容：{_shown(self.bare)}"
            yield f"转储中{text}，不能证明这些对象已备份"

    def _begin_part(self, title: str) -> None:
        """Go on to another part: of the one before, there may have been the heading only."""
        if self._awaited:
            (self._empty if self._filling else self.bare).append(self._awaited)
        self._awaited, self._filling, self._inserting = title, "", b""

    @staticmethod
    def _accounts_only(names: set[str]) -> list[str]:
        readable = (one for one in names if "\ufffd" not in one)  # others cannot be looked for
        return sorted(one for one in readable if not one.startswith(_SERVERS_OWN))

    def _named(self, *names: bytes) -> str:
        return ".".join(
            (self.database, *(one.decode("utf-8", "replace").replace("``", "`") for one in names))
        )


def _shown(names: list[str]) -> str:
    return "、".join(names[:_SHOWN])


def outline_of(dialect: Dialect) -> Outline:
    """Return the outline of a dump of which nothing was read yet."""
    if dialect is Dialect.MYSQL:
        return _MysqlOutline(FIRST_DATABASE[dialect])
    return _PostgresqlOutline(FIRST_DATABASE[dialect])


# Where a dump is loaded that names no database.
FIRST_DATABASE = {Dialect.MYSQL: "drill", Dialect.POSTGRESQL: "postgres"}
_MYSQL_HEAD = re.compile(rb"-- (MySQL|MariaDB) dump ")
_QUOTED = rb"[`\"']?(.+?)[`\"']?"
_CURRENT = re.compile(rb"(?:-- Current Database: |USE )" + _QUOTED + rb";?$")
_STRUCTURE = re.compile(
    rb"-- (Table|Temporary table|Final view) structure for (?:table|view) " + _QUOTED + rb"$"
)
_DUMPING = re.compile(rb"-- Dumping data for table " + _QUOTED + rb"$")
_INSERT = re.compile(rb"(?:INSERT|REPLACE)\b[A-Z ]* INTO " + _QUOTED + rb" (?=VALUES|\()")
_CHARSET = re.compile(rb"/\*M?!\d+ SET NAMES (gbk|big5|sjis|cp932) \*/;$")
_PROGRAM = re.compile(
    rb"(?:/\*M?!\d+ )?CREATE\b[^;(]*? (?:TRIGGER|PROCEDURE|FUNCTION|EVENT) "
    rb"(?:`([^`]+)`|([\w$]+))[ (]"
)
_ROW = rb"\((?:[^'()]++|'(?:[^'\\]++|\\.|'')*+')*+\)"
_ROWS = re.compile(rb" VALUES ((?:" + _ROW + rb",?)++);$", re.DOTALL)


class _MysqlOutline(Outline):
    """By mysqldump and mariadb-dump, of which no value reaches over a line."""

    def take(self, line: bytes) -> bool:
        """Read the next line, as `Outline` says."""
        self.is_ended &= not line or line.startswith(b"--")
        if line.startswith(b"-- "):
            self._headed(line)
            return False
        if line not in (b"", b"--"):
            self._awaited = ""
        if self._inserting and line.startswith(b"("):
            self._count(1, line)
            return True
        found = _INSERT.match(line)
        self._inserting = found[1] if found else b""
        if found:
            self._count(_rows_in(line), line)
        elif current := _CURRENT.match(line):
            self.database = current[1].decode("utf-8", "replace")
        elif program := _PROGRAM.match(line):
            self._define(self._named(program[1] or program[2]), is_table=False)
        elif charset := _CHARSET.match(line):
            self.charset = charset[1].decode()
        self._says_all |= line.startswith(b"LOCK TABLES ")
        return found is not None

    def _headed(self, line: bytes) -> None:
        if found := _CURRENT.match(line):
            self.database = found[1].decode("utf-8", "replace")
        elif found := _STRUCTURE.match(line):
            self._begin_part("")
            self.defines = True
            self._define(self._named(found[2]), is_table=found[1] == b"Table")
        elif found := _DUMPING.match(line):
            self._begin_part(f"TABLE DATA {self._named(found[1])}")
            self._filling = self._named(found[1])
            self.filled.add(self._filling)
        elif _MYSQL_HEAD.match(line):
            self.heads += 1
        elif line.startswith(b"-- Dump completed"):
            self._begin_part("")
            self.ends += 1
            self.is_ended = True

    def _define(self, name: str, *, is_table: bool) -> None:
        self.tables.add(name)
        if not is_table:
            self.dataless.add(name)

    def _count(self, rows: int, line: bytes) -> None:
        if self._filling == self._named(self._inserting):
            self.rows[self._filling] += rows
        if line.endswith(b";"):
            self._inserting = b""


def _rows_in(line: bytes) -> int:
    """Return how many rows a line has at least that begins a statement."""
    if line.endswith(b" VALUES"):
        return 0  # they follow, one a line
    whole = _ROWS.search(line)
    return len(re.findall(_ROW, whole[1], re.DOTALL)) if whole else 1


_PG_HEAD = re.compile(rb"-- PostgreSQL database (cluster )?dump$")
_PG_END = re.compile(rb"-- PostgreSQL database (cluster )?dump complete$")
_PART = re.compile(rb"-- (Data for )?Name: (.*); Type: (.*); Schema: (.*); Owner: ")
_COPY = re.compile(rb"COPY .* FROM stdin;$")
_CONNECT = re.compile(rb"\\connect (?:-reuse-previous=on \"dbname=')?([\w.-]+)")


@dataclass(slots=True)
class _PostgresqlOutline(Outline):
    """By pg_dump, pg_dumpall and pg_restore, with COPY or INSERT."""

    _defined: str = ""  # the table that is being defined
    _is_copying: bool = False

    def take(self, line: bytes) -> bool:
        """Read the next line, as `Outline` says."""
        if self._is_copying:
            self._copied(line)
            return True
        if line.startswith(b"-- "):
            self._headed(line)
        elif line not in (b"", b"--"):
            return self._stated(line)
        return False

    def close(self) -> None:
        """Raise `BadDump` where the line read last is not the last of a dump."""
        if self._is_copying:
            raise BadDump(f"{self._filling} 的数据没有结束标记，其后的内容被当作数据")
        Outline.close(self)

    def _copied(self, line: bytes) -> None:
        if line == b"\\.":
            self._is_copying = False
        elif (found := _PART.match(line)) and found[1]:
            raise BadDump(f"{self._filling} 的数据没有结束标记，其后的表被当作数据")
        elif self._filling:
            self.rows[self._filling] += 1

    def _headed(self, line: bytes) -> None:
        part = _PART.match(line)
        is_head, is_end = bool(_PG_HEAD.match(line)), bool(_PG_END.match(line))
        if not (part or is_head or is_end):
            self._awaited = ""  # that what is headed is not in the dump is said in a comment, too
            return
        self._begin_part("")
        self.heads += is_head
        self.ends += is_end
        self.is_ended = is_end
        if part:
            self._begin(part)

    def _begin(self, part: re.Match[bytes]) -> None:
        is_data, name, kind, schema = part.groups()
        named = self._named(schema, name)
        self._begin_part(f"{kind.decode('utf-8', 'replace')} {named}")
        self._filling = named if is_data else ""
        self._defined = named if kind == b"TABLE" else ""
        self.defines |= not is_data and kind != b"SEQUENCE SET"
        if is_data:
            self.filled.add(named)
        elif self._defined:
            self.tables.add(named)

    def _stated(self, line: bytes) -> bool:
        """Read a line of a statement, or of a value that reaches over lines."""
        self._awaited = ""
        self.is_ended &= line.startswith(b"\\unrestrict ")
        if self._filling and line.startswith(b"INSERT INTO "):
            self._inserting = self._inserting or line.partition(b" VALUES")[0]
            self.rows[self._filling] += line.startswith(self._inserting)
        elif _COPY.match(line) and not self._inserting:
            self._is_copying = self._says_all = True
        elif found := _CONNECT.match(line):
            self.database = found[1].decode("utf-8", "replace")
        elif line.startswith(b"PARTITION BY ") and self._defined:
            self.dataless.add(self._defined)
        return bool(self._inserting)
