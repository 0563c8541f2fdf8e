"""An LDIF export of the account store, by itself and against the account list."""

import gzip

import pytest
from backports import zstd

from mailcare.backup.dumps import blocks
from mailcare.backup.ldif import BadLdif, entries, judge_ldif, lines_of
from mailcare.backup.verdicts import Verdict
from tests.backup.stores import flipped

LDIF = b"""\
version: 1
# accounts
dn: uid=li,ou=people,dc=bank,dc=example
mail: Li@bank.example
cn:: 5p2O

dn: uid=wang,ou=people,dc=bank,dc=exa
 mple
mail: wang@bank.example
mailAlternateAddress: postmaster@bank.example

""".splitlines(keepends=True)


def test_an_export_is_unfolded_and_decoded():
    li, wang = entries(LDIF)
    assert li.values["cn"] == ("李",)
    assert wang.name.endswith("dc=example")
    assert wang.addresses() == {"wang@bank.example", "postmaster@bank.example"}


def test_every_account_must_be_in_the_export():
    assert judge_ldif(LDIF, ["li@bank.example"]).verdict is Verdict.PASS
    judgement = judge_ldif(LDIF, ["li@bank.example", "zhao@bank.example"])
    assert judgement.verdict is Verdict.FAIL
    assert "zhao@bank.example" in judgement.reason


def test_an_empty_export_passes_nothing():
    assert judge_ldif([], []).verdict is Verdict.DEGRADED


@pytest.mark.parametrize(
    ("pack", "verdict"),
    [
        (lambda text: text, Verdict.PASS),
        (gzip.compress, Verdict.PASS),
        (lambda text: gzip.compress(text)[:-12], Verdict.FAIL),
        (lambda text: flipped(gzip.compress(text), 14), Verdict.FAIL),
        (lambda text: zstd.compress(text)[:-4], Verdict.FAIL),
        (lambda text: text[:-3], Verdict.FAIL),
    ],
    ids=["plain", "gzip", "cut gzip", "flipped gzip", "cut zstd", "cut in a line"],
)
def test_a_packed_export_is_read_to_its_end(tmp_path, pack, verdict):
    export = tmp_path / "accounts.ldif"
    export.write_bytes(pack(b"".join(LDIF)))
    judgement = judge_ldif(lines_of(blocks(export)), ["li@bank.example"])
    assert judgement.verdict is verdict


def test_an_export_without_a_list_of_accounts_is_not_proven_whole():
    judgement = judge_ldif(LDIF[:5], [])
    assert judgement.verdict is Verdict.DEGRADED
    assert "没有账号列表可比" in judgement.reason


@pytest.mark.parametrize("line", [b"no colon\n", b"mail: a@b\n", b"dn: x\ncn:: %%%\n"])
def test_what_is_no_ldif_fails(line):
    lines = line.splitlines(keepends=True)
    with pytest.raises(BadLdif):
        list(entries(lines))
    assert judge_ldif(lines, []).verdict is Verdict.FAIL


SEARCH = b"""\
# extended LDIF
#
# LDAPv3
# base <dc=bank> with scope subtree

# li, bank
dn: uid=li,dc=bank
objectClass: inetOrgPerson
uid: Li
mail: li@bank.example

# search result
search: 2
result: 0 Success

# numResponses: 2
# numEntries: 1
"""


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"# numEntries: 1\n", b""), "截断"),
        ((b"numEntries: 1", b"numEntries: 2"), "写明 2 个条目，文件中有 1 个"),
        ((b"result: 0 Success", b"result: 4 Size limit exceeded"), "没有取完"),
        ((b"mail: li@bank.example\n", b"mail: li@bank.example\n" * 2), "重复出现"),
        ((b"uid: Li\n", b"dn: uid=x\n"), "重复出现 dn"),
        ((b"uid: Li\n", b"uid: Li\0\n"), "不是 LDIF 行"),
        ((b"uid: Li\n", b"uid: Li\xc3\n"), "不是 UTF-8"),
        ((b"# li, bank\n", b" li, bank\n"), "续行"),
        ((b"objectClass: inetOrgPerson\n", b"changetype: modify\n"), "变更记录"),
    ],
)
def test_what_ldapsearch_wrote_is_held_against_what_it_says(change, reason):
    whole = SEARCH.splitlines(keepends=True)
    assert judge_ldif(whole, ["li@bank.example"]).verdict is Verdict.PASS
    lines = SEARCH.replace(*change).splitlines(keepends=True)
    judgement = judge_ldif(lines, ["li@bank.example"])
    assert judgement.verdict is Verdict.FAIL
    assert reason in judgement.reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:-1], "没有空行"),
        (lambda text: text.replace(b"uid: li\n", b"uid: lj\n"), "名称与其属性不符"),
        (lambda text: text + text, "重复出现"),
        (lambda text: text + b"dn: uid=wang\nuid: wang\n\n", "1 个条目缺 objectClass"),
    ],
)
def test_what_makes_an_export_doubtful_degrades_it(change, reason):
    entry = b"dn: uid=li,dc=bank\nobjectClass: person\nuid: li\nmail: li@bank.example\n\n"
    judgement = judge_ldif(change(entry).splitlines(keepends=True), ["li@bank.example"])
    assert judgement.verdict is Verdict.DEGRADED
    assert reason in judgement.reason
