"""The pages about backups: the matrix, the history of a copy, its evidence."""

import json
from datetime import timedelta
from io import BytesIO

import pytest
from openpyxl import load_workbook

from mailcare.clock import utc_now
from mailcare.systems.steps import import_site
from tests.backup.copies import cover, declare, looked
from tests.backup.stores import make_store, pack
from tests.backup.test_steps import SITE, carried_out


@pytest.fixture
def verified(records, tmp_path, monkeypatch):
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path / "home"))
    live = make_store(tmp_path / "live", mailboxes=2, each=3)
    pack(live, "tar.gz", tmp_path / "copies/mail-0.tar.gz")
    path = tmp_path / "site.yaml"
    path.write_text(SITE.format(place=tmp_path / "copies", live=live), "utf-8")
    import_site(path, recorded_by="li")
    carried_out("manual__1", site="bank", through="L3")


def test_the_matrix_shows_each_copy_with_its_levels(login, verified):
    page = login("boss").get("/backups").text
    assert "nightly" in page
    assert page.count("通过") >= 5
    book = load_workbook(BytesIO(login("boss").get("/backups.xlsx").content))
    head, row = list(book.active.values)
    assert "L3 完整性校验" in head
    assert row[head.index("L3 完整性校验")] == "通过"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_copys_page_shows_its_history_and_hands_out_its_evidence(login, verified, language):
    client = login("boss")
    href = client.get("/backups").text.partition('href="/backups/')[2].partition('"')[0]
    page = client.get(f"/backups/{href}", headers={"Accept-Language": language})
    assert page.status_code == 200
    assert ("签名有效" in page.text) is (language == "zh")
    number = page.text.partition('href="/backups/evidence/')[2].partition('"')[0]
    evidence = client.get(f"/backups/evidence/{number}")
    assert json.loads(evidence.content)["statement"]["copy"] == "nightly"
    assert client.get(f"/backups/{href}.xlsx").status_code == 200


def test_what_is_not_there_is_404(login, verified):
    client = login("boss")
    assert client.get("/backups/evidence/999").status_code == 404
    assert client.get("/backups/1/%00").status_code == 404
    assert client.get("/backups/1/no-such-copy").status_code == 404


def test_a_copy_that_was_never_verified_stands_on_the_page_and_in_the_file(
    login, records, tmp_path
):
    declare(tmp_path, "nightly", "weekly", policy="L3: null, L4: 7, L5: null")
    cover("bank")
    client = login("boss")
    said = dict.fromkeys(("L0", "L1", "L2"), "PASS")
    looked("nightly", utc_now() - timedelta(days=9), **said, L4="PASS")
    page = client.get("/backups?sort=verdict").text
    body = page.partition("<tbody>")[2]
    assert body.index("weekly") < body.index("nightly")
    assert body.count('<span class="verdict bad">从未验证</span>') == 5
    assert body.count("通过（9天前，逾期）") == 4
    assert 'class="verdict good"' not in body
    assert "约定至少每 1 天一次" in body
    book = load_workbook(BytesIO(client.get("/backups.xlsx?q=从未验证").content))
    head, row = list(book.active.values)
    assert row[head.index("副本")] == "weekly"
    assert row[head.index("L4 恢复演练")] == row[head.index("结论")] == "从未验证"
    href = body.partition('href="/backups/')[2].partition('"')[0]
    page = client.get(f"/backups/{href}").text
    assert "还没有任何证据。" in page
    assert "签名有效" not in page
    english = client.get("/backups", headers={"Accept-Language": "en"}).text
    assert "passed (9 days ago, overdue)" in english
    assert "never verified" in english
