"""What people do on the console, page by page, over a test client."""

import hashlib
import re
from datetime import UTC, date, datetime
from html import unescape
from io import BytesIO
from pathlib import Path

import pytest
import time_machine
from openpyxl import load_workbook
from sqlalchemy import func, select

from mailcare.console.pages import moment, today
from mailcare.console.words import translator
from mailcare.contracts.steps import plan_due
from mailcare.inspection import steps as inspection
from mailcare.records.customers import Authorisation, Contact, Customer
from mailcare.records.people import AuditEntry
from mailcare.records.session import reading, transaction
from mailcare.systems.steps import import_site
from tests.console.servers import PDF, SITE, add_paper
from tests.console.test_access import routes

DATABASES = ["postgresql"]

CUSTOMER = {"name": "新客户行", "contacts.0.name": "李示例", "contacts.0.email": "li@new.example"}
CONTRACT = {
    "starts_on": "2028-01-01",
    "ends_on": "2028-12-31",
    "systems": ["shili-bank-lab"],
    "visits_per_year": "1",
    "remote_service": "1",
    "remote_cny": "6000",
    "visit_cny": "12000",
}
CONSENT = {
    "system": "1",
    "given_by": "王示例",
    "given_at": "2026-01-05T09:00",
    "how": "email",
    "purpose": "年度巡检",
    "nodes": ["mx1", "bak1"],
    "valid_from": "2026-01-05T09:00",
    "valid_to": "2099-12-31T18:00",
    "evidence": "邮件 2026-01-05",
}
EDIT = "/systems/import"
SCRIPT = "<script>alert(1)</script>"
SQL = "'; DROP TABLE customers; --"


def version_in(page: str) -> str:
    return re.search(r'name="version" value="(\d+)"', page)[1]


def audited() -> list[tuple[str, str, str]]:
    with reading() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(one.by, one.action, one.subject) for one in rows]


PAGES = ["/", "/due", "/open", "/notices", "/waiting", "/systems/1/change",
         "/customers", "/customers/1", "/contracts",
         "/contract?number=HT-2026-001", "/systems", "/systems/1", "/authorisations", "/papers",
         "/calendar", "/outbox", "/duty", "/mails", "/duty/members",
         "/duty/members/new", "/duty/robots", "/duty/robots/new", "/staff", "/audit",
         "/import", "/systems/import", "/customers/new",
         "/customers/1/change", "/customers/1/contract", "/contract/change?number=HT-2026-001",
         "/authorisations/new", "/authorisations/new?system=1", "/authorisations/1", "/calls",
         "/reviews", "/reviews/new",
         "/surveys", "/surveys/figures", "/papers/1", "/papers/verify", "/backups"]  # fmt: skip


def test_every_page_opens_in_both_languages(login):
    client = login("boss")
    for path in PAGES:
        for language, said in (("zh", "zh-CN"), ("en", "en")):
            answer = client.get(path, headers={"Accept-Language": language})
            assert answer.status_code == 200, (path, answer.text)
            assert f'lang="{said}"' in answer.text, path
            assert "<h1>" in answer.text, path


def test_what_waits_for_the_customer_stands_on_the_first_page_until_it_is_authorised(login):
    inspection.open_inspection("run-1", site="shili-bank-lab")
    client = login("engineer")
    assert "等待客户授权" not in client.get("/").text
    client.post("/authorisations/1/revoke")
    page = client.get("/").text
    assert "等待客户授权" in page
    assert "mx1、bak1" in page


def test_a_customer_is_entered_changed_and_audited(login):
    client = login("boss")
    where = client.post("/customers/new", data=CUSTOMER).headers["location"]
    customer = re.search(r"/customers/(\d+)", where)[1]
    form = client.get(f"/customers/{customer}/change").text
    changed = CUSTOMER | {"name": "改名客户", "version": version_in(form)}
    assert client.post(f"/customers/{customer}/change", data=changed).status_code == 303
    assert "改名客户" in client.get(f"/customers/{customer}").text
    subject = f"customer/{customer}"
    assert [one for one in audited() if one[2] == subject] == [
        ("boss", "enter", subject),
        ("boss", "change", subject),
    ]


def test_what_is_wrong_stands_beside_the_field_and_the_input_is_kept(login):
    answer = login("boss").post(
        "/customers/new", data=CUSTOMER | {"contacts.0.email": "no-address", "name": ""}
    )
    assert answer.status_code == 422
    assert 'id="contacts.0.email-error"' in answer.text
    assert 'value="no-address"' in answer.text
    assert 'id="name-error"' in answer.text
    assert 'value="李示例"' in answer.text
    assert "名称：缺少必填项" in answer.text


@pytest.mark.parametrize("text", [SCRIPT, SQL, "{{ 7*7 }}", '" onmouseover="x', "名" * 199])
def test_text_is_text_wherever_it_is_shown(login, text):
    client = login("boss")
    where = client.post("/customers/new", data=CUSTOMER | {"name": text}).headers["location"]
    for path in (where, "/customers", f"{where.partition('?')[0]}/change"):
        page = client.get(path).text
        assert text not in page or text.startswith(("名", "{{"))
        assert text in unescape(page)
    assert client.get("/customers", params={"q": text}).text.count("/customers/3") >= 1


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "a\r\nSet-Cookie: x=1", "x" * 201])
def test_text_that_is_no_line_is_refused(login, text):
    answer = login("boss").post("/customers/new", data=CUSTOMER | {"name": text})
    assert answer.status_code == 422
    with reading() as session:
        assert session.scalar(select(func.count()).select_from(Customer)) == 2


@pytest.mark.parametrize(
    "path",
    ["/customers/999", "/customers/abc", "/customers/-1", "/customers/99999999999999999999",
     "/contract?number=HT-0", "/contract?number=%00", "/contract", "/systems/999",
     "/authorisations/999", "/authorisations/999/evidence", "/papers/999/pdf", "/papers/1/exe",
     "/papers/1/xlsx", "/customers/999/contract", "/authorisations/new?system=999",
     "/authorisations/new?system=x", "/nowhere"],
)  # fmt: skip
def test_what_is_not_recorded_is_not_found(login, path):
    answer = login("boss").get(path)
    assert answer.status_code == 404, answer.text
    assert "没有找到" in answer.text


def test_a_contract_is_entered_and_the_second_editor_is_told(login):
    client = login("boss")
    entered = client.post("/customers/1/contract", data=CONTRACT | {"number": "HT 2028/1&x"})
    assert entered.status_code == 303, entered.text
    page = client.get(entered.headers["location"])
    assert "HT 2028/1&amp;x" in page.text
    path = "/contract/change?number=HT%202028/1%26x"
    version = version_in(client.get(path).text)
    first = client.post(path, data=CONTRACT | {"note": "甲", "version": version})
    assert first.status_code == 303
    second = login("colleague").post(path, data=CONTRACT | {"note": "乙", "version": version})
    assert second.status_code == 409
    assert "boss" in second.text
    assert 'value="乙"' in second.text
    assert "甲" in client.get(page.url.path + "?number=HT%202028/1%26x").text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ends_on": "2027-01-01"}, "ends_on"),
        ({"ends_on": "2098-12-31"}, "ends_on"),
        ({"starts_on": "9999-01-01", "ends_on": "9999-12-31"}, "starts_on"),
        ({"remote_service": "", "visits_per_year": "0"}, "visits_per_year"),
        ({"starts_on": "yesterday"}, "starts_on"),
        ({"starts_on": ""}, "starts_on"),
        ({"visits_per_year": "many"}, "visits_per_year"),
        ({"visits_per_year": "9"}, "visits_per_year"),
        ({"remote_cny": "-1"}, "remote_cny"),
        ({"systems": []}, "systems"),
        ({"systems": ["another-customers"]}, "systems"),
        ({"starts_on": "2026-06-01", "ends_on": "2026-12-31"}, "starts_on"),
        ({"number": "HT-2026-001"}, "number"),
    ],
)
def test_a_wrong_contract_is_refused_beside_the_field(login, changes, field):
    data = CONTRACT | {"number": "HT-9"} | changes
    answer = login("boss").post("/customers/1/contract", data=data)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert "以下内容需要改正" in answer.text
    assert login("boss").get("/contract?number=HT-9").status_code == 404


def test_a_contract_shows_its_years_services_and_ledger_and_the_week_what_is_late(login):
    plan_due(today=today())
    client = login("auditor")
    page = client.get("/contract?number=HT-2026-001").text
    assert page.count("远程巡检") >= 3
    assert "plan_services" in page
    assert "远程巡检" in client.get("/").text
    book = load_workbook(BytesIO(client.get("/open.xlsx").content), read_only=True)
    assert len(list(book.active.iter_rows())) > 1


@time_machine.travel("2027-02-01T09:00:00+08:00")  # the holidays of 2027 are not published
def test_a_provisional_day_is_marked_in_text_and_colour_and_says_why(login):
    for day in (date(2026, 2, 2), today()):
        plan_due(today=day)
    client = login("auditor")
    mark, why = '<span class="warn">暂行</span>', "按周一至周五及法定节假日推算"
    for path in ("/open", "/contract?number=HT-2026-001"):
        page = client.get(path).text
        rows = [one for one in page.split("<tr>") if 'data-title="时限"' in one]
        for year, is_provisional in (("2026-", False), ("2027-", True)):
            due = [one for one in rows if f'"到期日">{year}' in one]
            assert {mark in one for one in due} == {is_provisional}, (path, year)
        assert page.count(why) == 1, path
    english = client.get("/open", headers={"Accept-Language": "en"}).text
    assert '<span class="warn">provisional</span>' in english
    assert "holidays are not published" in english


@pytest.mark.parametrize("note", ["a\x00b", "\ud800", "x\r\ny", SCRIPT])
def test_an_odd_note_breaks_nothing(login, note):
    client = login("boss")
    data = CONTRACT | {"number": "HT-9", "note": note.encode("utf-8", "replace").decode()}
    assert client.post("/customers/1/contract", data=data).status_code in {303, 422}
    assert client.get("/audit").status_code == 200
    assert SCRIPT not in client.get("/contracts").text


def test_a_form_without_its_version_changes_nothing(login):
    path = "/contract/change?number=HT-2026-001"
    assert login("boss").post(path, data=CONTRACT).status_code == 400


def test_an_authorisation_is_recorded_shown_and_revoked(login):
    client = login("engineer")
    body = b"%PDF-1.4 signed"
    answer = client.post(
        "/authorisations/new", data=CONSENT, files={"file": ("../../授权书.pdf", body)}
    )
    assert answer.status_code == 303, answer.text
    where = answer.headers["location"].partition("?")[0]
    page = client.get(where).text
    assert hashlib.sha256(body).hexdigest() in page
    file = client.get(f"{where}/evidence")
    assert file.content == body
    assert file.headers["content-disposition"].startswith("attachment;")
    assert ".." not in file.headers["content-disposition"]
    assert client.post(f"{where}/revoke").status_code == 303
    assert "已撤销" in client.get(where).text
    assert client.post(f"{where}/revoke").status_code == 400
    subject = where.removeprefix("/authorisations")
    told = [one[:2] for one in audited() if one[2] == f"authorisation{subject}"]
    assert told == [("engineer", "enter"), ("engineer", "revoke")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"given_by": ""}, "given_by"),
        ({"given_by": "路人"}, "given_by"),
        ({"valid_to": "2026-01-05T08:00"}, "valid_to"),
        ({"valid_to": "2026-01-06T08:00"}, "valid_to"),
        ({"given_at": "2099-01-01T00:00"}, "given_at"),
        ({"given_at": "soon"}, "given_at"),
        ({"valid_from": "0001-01-01T00:00"}, "valid_from"),
        ({"nodes": []}, "nodes"),
        ({"nodes": ["another-customers-host"]}, "nodes"),
        ({"how": "telepathy"}, "how"),
    ],
)
def test_a_wrong_authorisation_is_refused_beside_the_field(login, changes, field):
    answer = login("engineer").post("/authorisations/new", data=CONSENT | changes)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert "年度巡检" in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"<html><script>", b"MZ\x90\x00", b"PK\x03\x04rest", b"%PDF-" * 2_100_000]
)
def test_evidence_of_another_kind_is_refused_and_nothing_is_written(login, body):
    before = count(Authorisation)
    answer = login("engineer").post(
        "/authorisations/new", data=CONSENT, files={"file": ("evidence.pdf", body)}
    )
    assert answer.status_code == 422
    assert 'id="file-error"' in answer.text
    assert count(Authorisation) == before


def count(model) -> int:
    with reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_an_authorisation_recorded_twice_is_told(login):
    client = login("engineer")
    assert client.post("/authorisations/new", data=CONSENT).status_code == 303
    assert client.post("/authorisations/new", data=CONSENT).status_code == 422


def test_a_paper_is_a_download_and_a_damaged_one_is_not_handed_out(login):
    client = login("auditor")
    answer = client.get("/papers/1/pdf")
    assert answer.content == PDF
    assert answer.headers["content-type"] == "application/pdf"
    assert "attachment" in answer.headers["content-disposition"]
    damaged = add_paper(sha256="0" * 64, number="XJ-2")
    answer = client.get(f"/papers/{damaged}/pdf")
    assert answer.status_code == 503
    assert "SHA-256" in answer.text


def test_a_list_is_searched_sorted_paged_and_exported(login):
    with transaction() as session:
        session.add_all(Customer(name=f"=客户 {number:05}") for number in range(10_000))
    client = login("boss")
    page = client.get("/customers?sort=name&desc=1&page=2")
    assert "10,002" in page.text
    assert "=客户 09" in page.text
    assert 'aria-sort="descending"' in page.text
    assert "09999" in client.get("/customers?q=09999").text
    for odd in ("page=0", "page=-3", "page=x", "page=999999999999", "sort=nonsense", "q=%25"):
        assert client.get(f"/customers?{odd}").status_code == 200
    book = load_workbook(BytesIO(client.get("/customers.xlsx").content), read_only=True)
    rows = list(book.active.iter_rows())
    assert len(rows) == 10_003
    formulas = [cell for row in rows for cell in row if cell.data_type == "f"]
    assert not formulas


def test_the_excel_file_of_every_list_opens(app, login):
    client = login("boss")
    files = {one.path for one in routes(app) if one.path.endswith(".xlsx") and "{" not in one.path}
    assert {"/customers.xlsx", "/contracts.xlsx", "/systems.xlsx", "/papers.xlsx"} <= files
    for path in files:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert load_workbook(BytesIO(answer.content), read_only=True).active is not None


def test_every_link_to_an_excel_file_leads_to_one(app, login):
    client = login("boss")
    pages = {
        one.path
        for one in routes(app)
        if "GET" in one.methods and "{" not in one.path and not one.path.endswith(".xlsx")
    }
    links = {
        unescape(link)
        for page in pages
        for link in re.findall(r'href="([^"]*\.xlsx[^"]*)"', client.get(page).text)
    }
    assert any(link.startswith("/staff.xlsx") for link in links)
    assert {link: client.get(link).status_code for link in links} == dict.fromkeys(links, 200)


def test_a_site_file_is_previewed_and_written_as_previewed(login):
    client = login("boss")
    text = SITE.read_text("utf-8").replace("总行邮件系统", "改名系统")
    page = client.post("/systems/import", files={"file": ("site.yaml", text.encode())})
    assert page.status_code == 200, page.text
    assert "改名系统" in page.text
    token = re.search(r'name="token" value="(\w+)"', page.text)[1]
    assert "改名系统" not in client.get("/systems").text
    shown = unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page.text, re.S)[1])
    stale = client.post(
        "/systems/import/apply", files={"text": (None, shown), "token": (None, "x")}
    )
    assert stale.status_code == 409
    done = client.post(
        "/systems/import/apply", files={"text": (None, shown), "token": (None, token)}
    )
    assert done.status_code == 303, done.text
    assert "改名系统" in client.get("/systems").text
    assert ("boss", "change", "system/shili-bank-lab") in audited()


def test_a_system_is_edited_as_text_and_wrong_lines_are_named(login):
    client = login("boss")
    form = client.get("/systems/1/change").text
    text = unescape(re.search(r"<textarea[^>]*>\n(.*?)</textarea>", form, re.S)[1])
    assert "profile: postfix-dovecot" in text
    again = client.post("/systems/import", files={"text": (None, text)})
    assert "文件与现有记录一致" in again.text
    wrong = text.replace("profile: postfix-dovecot", "profile: exchange")
    line = 1 + wrong[: wrong.index("profile: exchange")].count("\n")
    answer = client.post("/systems/import", files={"text": (None, wrong)})
    assert answer.status_code == 422
    assert f"第 {line} 行" in answer.text
    assert "profile: exchange" in answer.text  # what was written is not lost
    changed = text.replace("title: 总行邮件系统", "title: 改写系统")
    assert "改写系统" in client.post("/systems/import", files={"text": (None, changed)}).text
    assert client.post("/systems/import", files={"text": (None, " ")}).status_code == 422
    assert client.get("/systems/99/change").status_code == 404


def test_a_system_shows_its_architecture(login):
    page = login("engineer").get("/systems/1").text
    drawing = page[page.index("<svg") : page.index("</svg>")]
    assert "10.66.0.11" in drawing
    assert "style=" not in drawing  # the content policy would drop it


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("/customers/1", "contacts", "王示例"),
        ("/customers/1", "contracts", "HT-2026-001"),
        ("/contract?number=HT-2026-001", "versions", "shili-bank-lab"),
        ("/systems/1", "papers", "XJ-2026-00001"),
    ],
)
def test_a_table_of_a_page_is_saved_as_excel(login, path, name, said):
    client = login("auditor")
    link = re.search(rf'href="(\?[^"]*xlsx={name})"', client.get(path).text)[1]
    answer = client.get(path.partition("?")[0] + unescape(link))
    assert answer.headers["content-disposition"].startswith("attachment;")
    rows = [[cell.value for cell in row] for row in load_workbook(BytesIO(answer.content)).active]
    assert any(said in str(value) for row in rows[1:] for value in row)


def test_of_two_people_who_edit_a_system_the_second_is_told(login):
    def sent(page, **fields):
        shown = unescape(re.search(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', page, re.S)[1])
        version = re.search(r'name="version" value="(\w+)"', page)[1]
        return {"text": (None, shown), "version": (None, version)} | fields

    first, second = (login(one).get("/systems/1/change").text for one in ("boss", "colleague"))
    mine = sent(first)
    mine["text"] = (None, mine["text"][1].replace("总行邮件系统", "改名系统"))
    client = login("boss")
    token = re.search(r'name="token" value="(\w+)"', client.post(EDIT, files=mine).text)[1]
    done = client.post(f"{EDIT}/apply", files=mine | {"token": (None, token)})
    assert done.status_code == 303
    told = login("colleague").post(EDIT, files=sent(second))
    assert told.status_code == 409
    assert "已由 boss 于" in told.text
    assert "总行邮件系统" in told.text  # what the second entered is kept
    assert login("colleague").post(EDIT, files=sent(told.text)).status_code == 409
    assert "改名系统" in client.get("/systems/1").text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("key_file: /run/mailcare-lab/inspector_key", "key_file: /etc/shadow"),
        ("key_file: /run/mailcare-lab/inspector_key", "password_env: AIRFLOW__CORE__FERNET_KEY"),
        ("key_file: /run/mailcare-lab/inspector_key", "connection: mailcare_db"),
    ],
)
def test_a_site_file_from_a_browser_names_no_new_secret_of_the_server(login, before, after):
    text = SITE.read_text("utf-8")
    assert before in text
    body = text.replace(before, after).encode()
    answer = login("boss").post("/systems/import", files={"file": ("site.yaml", body)})
    assert answer.status_code == 422
    assert "mailcare site import" in answer.text


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a: [", b"{}", b"x" * 300_000])
def test_a_file_that_is_no_site_file_is_refused_with_a_sentence(login, body):
    answer = login("boss").post("/systems/import", files={"file": ("site.yaml", body)})
    assert answer.status_code == 422
    assert "以下内容需要改正" in answer.text


def test_a_customer_with_a_contract_is_not_deleted_and_one_without_is(login):
    client = login("boss")
    version = version_in(client.get("/customers/1/change").text)
    refused = client.post("/customers/1/delete", data={"version": version})
    assert refused.status_code == 422
    assert "不能删除，名下还有 1 份合同" in refused.text
    assert client.post("/customers/999/delete", data={"version": "1"}).status_code == 404
    assert client.post("/customers/2/delete", data={"version": "1"}).status_code == 303
    with reading() as session:
        assert session.scalars(select(Contact).where(Contact.customer_id == 2)).all() == []


def test_the_last_manager_stays(login):
    client = login("boss")
    for name in ("colleague", "viewer"):
        data = {"login": name, "role": "manager"}
        assert client.post("/staff/withdraw", data=data).status_code == 303
    data = {"login": "boss", "role": "manager"}
    answer = client.post("/staff/withdraw", data=data)
    assert answer.status_code == 422
    assert "最后一位主管" in answer.text


def test_the_language_is_kept_in_a_cookie_and_nothing_else_is_taken(login):
    client = login("auditor")
    answer = client.post("/language", data={"language": "en"})
    assert "mailcare_language=en" in answer.headers["set-cookie"]
    assert "set-cookie" not in client.post("/language", data={"language": "x"}).headers


def test_a_year_table_is_confirmed_by_another_person(login):
    table = (Path(__file__).parent / "year-2027.yaml").read_bytes()
    answer = login("boss").post("/calendar", files={"file": ("2027.yaml", table)})
    assert answer.status_code == 303, answer.text
    assert login("boss").post("/calendar/confirm", data={"year": "2027"}).status_code == 422
    assert "2027" in login("colleague").get("/calendar").text
    assert login("colleague").post("/calendar/confirm", data={"year": "2027"}).status_code == 303
    told = [one for one in audited() if one[2] == "calendar/2027"]
    assert told == [("boss", "enter", "calendar/2027"), ("colleague", "confirm", "calendar/2027")]


def test_a_contract_is_reached_whatever_its_number_is_made_of(login):
    client, number = login("boss"), "HT&1#2+3%20"
    client.post("/customers/1/contract", data=CONTRACT | {"number": number})
    for page in ("/contracts", "/customers/1"):
        hrefs = re.findall(r'href="(/contract\?number=[^"]+)"', client.get(page).text)
        pages = [client.get(unescape(href)).text for href in hrefs]
        assert any(f"合同 {unescape(number)}" in unescape(one) for one in pages), page
        change = [href for one in pages for href in re.findall(r'/contract/change[^"]+', one)]
        assert all(client.get(unescape(href)).status_code == 200 for href in change)


@time_machine.travel("2026-03-02T09:00:00+08:00")  # the year's own visit is planned for July
def test_a_visit_beyond_the_contract_is_added_by_a_managers_tick_alone(login):
    path = "/contract/visit?number=HT-2026-001"
    asked = {"site": "shili-bank-lab", "due_on": "2026-03-03"}
    plan_due(today=today())
    assert login("engineer").post(path, data=asked | {"approved": "1"}).status_code == 403
    client = login("boss")
    answer = client.post(path, data=asked)
    assert answer.status_code == 422
    assert 'id="approved_by-error"' in answer.text
    assert client.post(path, data=asked | {"approved": "1"}).status_code == 303
    assert "合同外，由 boss 批准" in client.get("/contract?number=HT-2026-001").text
    again = client.post(path, data=asked | {"approved": "1"})
    assert again.status_code == 422
    assert 'id="due_on-error"' in again.text
    assert 'id="due_on-error"' in client.post(path, data=asked | {"due_on": "soon"}).text
    assert "add a visit" in client.get("/audit", headers={"Accept-Language": "en"}).text


def test_a_site_file_that_changes_contacts_tells_who_edits_them_just_now(login, tmp_path):
    client = login("boss")
    version = version_in(client.get("/customers/1/change").text)
    import_site(SITE, recorded_by="li")
    assert version_in(client.get("/customers/1/change").text) == version
    site = tmp_path / "site.yaml"
    site.write_text(SITE.read_text("utf-8").replace("000-0000-0000", "000-1111-1111"), "utf-8")
    import_site(site, recorded_by="li")
    form = {"name": "示例银行", "contacts.0.name": "王示例", "version": version}
    answer = client.post("/customers/1/change", data=form)
    assert answer.status_code == 409
    assert "由 li 于" in answer.text
    assert "000-1111-1111" in client.get("/customers/1").text
    assert ("li", "change", "customer/1") in audited()


def test_counted_findings_and_what_is_late_are_said_in_english():
    english = translator("en")
    assert english("严重 1，警告 2，未测得 3") == "critical 1, warning 2, not measured 3"
    assert english("迟，暂行") == "late, provisional"
    assert english("严重 1，另有备注") == "严重 1，另有备注"


def test_what_is_authorised_for_ever_has_a_day():
    assert moment(datetime.max.replace(tzinfo=UTC)) == "9999-12-31 23:59"
