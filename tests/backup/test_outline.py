"""What a dump says of itself, against what became of it."""

from collections.abc import Iterable

import pytest

from mailcare.backup.dumps import BadDump
from mailcare.backup.outline import Outline, outline_of
from mailcare.systems.copies import Dialect

ALIAS = b"""\
-- PostgreSQL database dump
-- Name: alias; Type: TABLE; Schema: public; Owner: vmail
CREATE TABLE public.alias (address text);
-- Data for Name: alias; Type: TABLE DATA; Schema: public; Owner: vmail
COPY public.alias (address) FROM stdin;
-- looks like a comment
postmaster
\\.
"""
DOMAIN = b"""\
-- Data for Name: domain; Type: TABLE DATA; Schema: public; Owner: vmail
COPY public.domain (name) FROM stdin;
\\.
"""
END = b"-- PostgreSQL database dump complete\n"


def read(text: bytes, dialect: Dialect = Dialect.POSTGRESQL) -> Outline:
    outline = outline_of(dialect)
    for line in text.split(b"\n"):
        outline.take(line)
    outline.close()
    return outline


def doubts(text: bytes, dialect: Dialect = Dialect.POSTGRESQL) -> str:
    return "；".join(read(text, dialect).doubts())


def test_tables_and_rows_of_a_copy_are_read():
    outline = read(ALIAS + DOMAIN + END)
    assert outline.tables == {"postgres.public.alias"}
    assert outline.rows == {"postgres.public.alias": 2}
    assert list(outline.doubts()) == []


@pytest.mark.parametrize(
    ("behind", "reason"), [(DOMAIN, "其后的表被当作数据"), (b"", "其后的内容被当作数据")]
)
def test_data_that_lost_its_end_swallows_nothing_unseen(behind, reason):
    with pytest.raises(BadDump, match=reason):
        read(ALIAS.replace(b"\\.\n", b"") + behind + END)


def rows_of(lines: Iterable[bytes], dialect: Dialect) -> int:
    heads = {
        Dialect.MYSQL: b"-- Dumping data for table `t`",
        Dialect.POSTGRESQL: b"-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: x",
    }
    return read(b"\n".join([heads[dialect], *lines]), dialect).rows.total()


def test_rows_are_counted_however_they_are_inserted():
    odd = rb"INSERT INTO `t` VALUES (1,'a''),(\'b'),(2,NULL),(3,0x00);"
    assert rows_of([odd], Dialect.MYSQL) == 3
    assert rows_of([b"INSERT INTO `t` (`a`) VALUES", b"(1),", b"(2);"], Dialect.MYSQL) == 2
    assert rows_of([b"INSERT  IGNORE INTO `t` VALUES (1);"], Dialect.MYSQL) == 1
    assert rows_of([b"REPLACE INTO `t` VALUES (1,(2));", b"(4);"], Dialect.MYSQL) == 1
    assert rows_of([b"INSERT INTO `t` VALUES (1),(2);*/"], Dialect.MYSQL) == 1
    assert rows_of([b"INSERT INTO `other` VALUES (1);"], Dialect.MYSQL) == 0
    one = [b"INSERT INTO public.t VALUES ('a", b"INSERT INTO x", b"COPY x FROM stdin;", b"');"]
    assert rows_of([*one, *one], Dialect.POSTGRESQL) == 2


def test_a_database_has_all_that_the_text_has():
    outline = read(ALIAS + END)
    assert outline.contradicted({"postgres.public.alias": 2}, ()) == ""
    assert "文中 2 行，导入后 1 行" in outline.contradicted({"postgres.public.alias": 1}, ())
    assert "postgres.public.alias" in outline.contradicted({}, ())
    view = b"-- MySQL dump 10\n-- Final view structure for view `active`\n-- Dump completed"
    outline = read(view, Dialect.MYSQL)
    assert outline.contradicted({}, ["drill.active"]) == ""
    assert "drill.active" in outline.contradicted({}, ())


def test_programs_of_mysql_must_be_there_too():
    trigger = b"/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`%`*/ /*!50003 TRIGGER t AFTER UPDATE ON s"
    made = b"\nCREATE DEFINER=`a`@`%` PROCEDURE `p q`(IN a INT)\nCREATE TABLE `u` (\n"
    outline = read(trigger + made, Dialect.MYSQL)
    assert outline.tables == {"drill.t", "drill.p q"}
    assert outline.contradicted({}, ["drill.t", "drill.p q"]) == ""
    assert not outline.defines


def test_tables_are_named_with_their_database():
    connected = ALIAS.replace(b"dump\n", b"dump\n\\connect -reuse-previous=on \"dbname='m'\"\n", 1)
    assert read(connected + END).tables == {"m.public.alias"}
    text = b"-- Current Database: `m`\n-- Table structure for table `t`\n"
    assert read(text, Dialect.MYSQL).tables == {"m.t"}
    used = b"-- Current Database: `mysql`\nUSE `m`;\n-- Table structure for table `t`\n"
    assert read(used, Dialect.MYSQL).tables == {"m.t"}


def test_what_defines_nothing_has_data_alone():
    data = DOMAIN + b"-- Name: id_seq; Type: SEQUENCE SET; Schema: public; Owner: x\nSELECT 1;"
    assert not read(data).defines
    assert read(ALIAS + END).defines
    assert read(data + b"\n-- Name: i; Type: INDEX; Schema: public; Owner: x").defines


def test_a_table_without_its_data_is_doubtful():
    table = b"-- Name: log; Type: TABLE; Schema: public; Owner: vmail\nCREATE TABLE public.log ()\n"
    assert "postgres.public.log" in doubts(ALIAS + table + END)
    assert doubts(ALIAS + table + b"PARTITION BY LIST (a);\n" + END) == ""


def test_a_heading_with_nothing_below_is_doubtful():
    key = b"-- Name: alias alias_pkey; Type: CONSTRAINT; Schema: public; Owner: vmail\n"
    assert "CONSTRAINT postgres.public.alias alias_pkey" in doubts(ALIAS + key + END)
    assert doubts(ALIAS + key + b"ALTER TABLE public.alias ADD PRIMARY KEY (a);\n" + END) == ""
    data = b"-- Data for Name: a; Type: TABLE DATA; Schema: public; Owner: vmail\n"
    assert "TABLE DATA postgres.public.a" in doubts(data + ALIAS + END)
    assert doubts(b"-- PostgreSQL database dump\n" + data + data + END) == ""
    mysql = b"-- MySQL dump 1\n-- Dumping data for table `t`\n\n-- Dump completed"
    assert doubts(mysql, Dialect.MYSQL) == ""
    locking = mysql.replace(b"1\n", b"1\nLOCK TABLES `s` WRITE;\n")
    assert "TABLE DATA drill.t" in doubts(locking, Dialect.MYSQL)
    said = b"-- Name: public; Type: SCHEMA; Schema: -; Owner: x\n--\n-- *not* creating schema\n"
    assert doubts(ALIAS + said + END) == ""


@pytest.mark.parametrize("text", [b"SELECT 1;", ALIAS[27:] + END])
def test_a_dump_without_a_head_for_each_end_is_doubtful(text):
    assert "不能证明首尾完整" in doubts(text)
