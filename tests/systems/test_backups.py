import pytest
import yaml

from mailcare.errors import InputError
from mailcare.systems.lines import read_yaml
from mailcare.systems.site import parse_site

SITE = """\
schema: 1
site: bank
customer: {name: 示例银行, contacts: [{name: 王工}]}
system: {title: 邮件系统, profile: generic}
domains: [{name: bank.example}]
nodes:
  - {name: mx1, hostname: mx1.bank.example, address: 192.0.2.1}
  - {name: bak1, hostname: bak1.bank.example, address: 192.0.2.2, roles: [backup]}
backups:
"""
GOOD = """\
  - name: nightly
    kind: tar.gz
    node: bak1
    path: /srv/mail
    pattern: 'mail-*.tar.gz'
    schedule: {daily: 7, weekly: 4, since: 2026-11-01}
    off_site: true
    live: {path: /var/vmail, node: mx1}
  - {name: repo, kind: restic, path: repo, password_env: RESTIC_PASSWORD}
"""


def parsed(text, tmp_path):
    data, lines = read_yaml(text, name="bank.yaml")
    return parse_site(data, lines, base=tmp_path)


def test_copies_are_read_with_their_promises(tmp_path):
    nightly, repo = parsed(SITE + GOOD, tmp_path).backups
    assert nightly.schedule.daily == 7
    assert nightly.policy.L4 == 7
    assert nightly.live.layout == "{domain}/{user}"
    assert repo.path == tmp_path / "repo"
    assert repo.credential().password_env == "RESTIC_PASSWORD"
    assert nightly.credential() is None


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("{name: a, kind: tar, path: /x, password_env: X}", "只有 restic 和 borg"),
        ("{name: a, kind: sql, path: /x}", "dialect"),
        ("{name: a, kind: tape, path: /x}", "第 10 行 backups.0.kind"),
        ("{name: a, kind: tar, path: /x, layout: mail}", "{domain}"),
        ("{name: a, kind: tar, path: /x, inside: ../y}", ".."),
        ("{name: a, kind: tar, path: /x, node: nowhere}", "未登记的主机：nowhere"),
        ("{name: a, kind: restic, path: /x, password: geheim}", "口令不得写在站点文件里"),
        ("{name: a, kind: tar, path: /x, live: {path: /y, accounts: {source: file}}}", "path"),
        ("{name: a, kind: tar, path: /x}\n  - {name: a, kind: zip, path: /y}", "重名的备份副本"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_line(tmp_path, entry, complaint):
    assert yaml.safe_load(SITE + GOOD)["backups"]
    with pytest.raises(InputError) as refused:
        parsed(f"{SITE}  - {entry}\n", tmp_path)
    assert complaint in str(refused.value)
