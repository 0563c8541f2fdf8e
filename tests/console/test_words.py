"""English is whole: whatever a template or a list says in Chinese has its English."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.console.visits import PARTY_TITLES, WAY_TITLES
from mailcare.console.words import DONE, ENGLISH, FIELDS, LABELS, translator
from mailcare.deadlines import LEVEL_MEANINGS
from mailcare.faults.wording import WORD_TITLES
from mailcare.papers.wording import STATES as FOUND_STATES
from mailcare.systems import complaints
from mailcare.visits.appointment import ACT_TITLES, STATE_TITLES
from mailcare.visits.entries import DAY_TITLES, OPINIONS, TOPIC_TITLES
from mailcare.visits.entries import FIELDS as ENTRIES

ROOT = Path(__file__).resolve().parents[2] / "include"
TEMPLATES = ROOT / "templates" / "console"
CHINESE = re.compile(r"[一-鿿]")
# What is said through `_`, or by a macro or a value that a page says through it.
IN_TEMPLATES = re.compile(r"""\b(?:_|fact|field|file_field)\((?:[\w.' ~]+, )??'([^']+)'""")
IN_CODE = re.compile(r'\b(?:(?:Column|Action)\(\s*|title=|Shape\("[^"]*", )"([^"]+)"')
ANSWERED = "answer.html"  # the customer's own page: Chinese only


def chinese(pattern: re.Pattern[str], text: str) -> set[str]:
    return {one for one in pattern.findall(text) if CHINESE.search(one)}


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_what_a_template_says_has_its_english(path):
    if path.name == ANSWERED:
        return
    assert chinese(IN_TEMPLATES, path.read_text("utf-8")) - set(ENGLISH) == set()


def test_titles_of_lists_columns_and_actions_have_their_english():
    files = (ROOT / "mailcare/console").glob("*.py")
    said = {one for path in files for one in chinese(IN_CODE, path.read_text("utf-8"))}
    assert len(said) > 80
    assert said - set(ENGLISH) == set()


WORDS = {
    "labels": LABELS,
    "fields": FIELDS,
    "done": DONE,
    "states": STATE_TITLES,
    "acts": ACT_TITLES,
    "parties": PARTY_TITLES,
    "ways": WAY_TITLES,
    "days": DAY_TITLES,
    "topics": TOPIC_TITLES,
    "entries": ENTRIES,
    "opinions": OPINIONS,
    "found": FOUND_STATES,
    "meanings": LEVEL_MEANINGS,
    "words": WORD_TITLES,
}


@pytest.mark.parametrize("words", WORDS.values(), ids=list(WORDS))
def test_recorded_words_have_their_english(words):
    assert words
    assert {one for one in words.values() if CHINESE.search(one)} - set(ENGLISH) == set()


def test_english_holds_no_chinese():
    assert [one for one in ENGLISH.values() if CHINESE.search(one)] == []
    assert translator("en")("严重 2，未测得 1") == "critical 2, not measured 1"


SAYING = (  # the modules whose sentences come to the console's pages
    *(f"contracts/{one}.py" for one in ("sheets", "importing", "imported", "forms", "entering")),
    *(f"contracts/{one}.py" for one in ("extra_visits", "notices", "daily", "authorisation")),
    *(f"systems/{one}.py" for one in ("site", "lines", "previewing", "authorising", "forms")),
    *("systems/fields.py", "systems/backups.py", "systems/evidence.py", "systems/profile.py"),
    *("year_tables.py", "staff/steps.py", "staff/forms.py", "staff/duty.py"),
    *(f"console/{one}.py" for one in ("access", "entered", "guard", "importing", "runs")),
    *(f"console/{one}.py" for one in ("contracts", "systems", "authorisations", "customers")),
    *(f"surveys/{one}.py" for one in ("forms", "recording", "asking", "lists", "steps")),
    *(f"visits/{one}.py" for one in ("forms", "appointment", "negotiating", "onsite")),
    *("visits/appointing.py", "reviews/opening.py"),
)
# Parts that only make sense in their sentence, and what no page says: tested as a whole, if at all.
PARTS = {
    *("份合同", "项服务", "份文书", "份授权", "个故障", "封信件", "由 {} 于 {} ", "被他人"),
    *("{}，由 {} 批准", "还有 {} 天到期（{}）", "合同 {} {}，请联系续约", "合同 {} 第 {} 年度"),
    *("{}的{}已用完：购买 {} 次，已用 {} 次", "{}的{}超出合同 {} 次（合同外）：购买 {} 次"),
    "{}还有 {} 天结束，{}购买 {} 次，已用 {} 次，请尽快安排，逾期作废",
    *("{} 列「{}」：{}", "已{}修改，您的修改没有保存，请重新打开后再改", "{} 年（{}）与{}相比："),
    *("{} 不在可安排的日期内（{}）", "{} 至 {}", "{}的现场巡检不能{}", "{}的现场巡检须由{}{}"),
    *("{} 客户另提现场巡检日期", "{}，由 {} 批准；{}"),
    *("单机", "双机", "集群", "分布式", "远程", "一二三四五六日", "{} 还没有业务角色"),
}


def literals(path: Path) -> set[str]:
    """Return the Chinese texts of a module, `{}` for each value that stands in one."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    composed = [one for one in nodes if isinstance(one, ast.JoinedStr)]
    inside = {id(part) for one in composed for part in one.values}
    shown = {id(one.value) for one in nodes if isinstance(one, ast.Expr)}  # docstrings
    said = {"".join(str(getattr(part, "value", "")) if isinstance(part, ast.Constant) else "{}"
                    for part in one.values) for one in composed}  # fmt: skip
    said |= {
        one.value
        for one in nodes
        if isinstance(one, ast.Constant)
        and isinstance(one.value, str)
        and id(one) not in inside | shown
    }
    return {one for one in said if CHINESE.search(one)}


@pytest.mark.parametrize("path", SAYING)
def test_what_a_module_says_on_pages_has_its_english(path):
    said = literals(ROOT / "mailcare" / path)
    english = translator("en")
    unsaid = {one for one in said - PARTS if CHINESE.search(english(one.replace("{}", "7")))}
    assert unsaid == set()


@pytest.mark.parametrize(
    ("said", "english"),
    [
        (
            "合同 HT-1 还有 30 天到期（2026-12-31），请联系续约",
            "contract HT-1 ends in 30 days (2026-12-31): talk about its renewal",
        ),
        (
            "合同 HT-1 第 1 年度的现场巡检已用完：购买 1 次，已用 1 次",
            "contract HT-1, year 1: on-site visit used up (1 bought, 1 used)",
        ),
        (
            "合同 HT-1 第 2 年度还有 31 天结束，年度远程巡检购买 1 次，已用 0 次，"
            "请尽快安排，逾期作废",
            "contract HT-1, year 2, ends in 31 days; annual remote inspection: 1 bought, 0 used. "
            "Arrange it, it lapses then",
        ),
        (
            "合同 HT-1 第 1 年度的现场巡检超出合同 1 次（合同外）：购买 0 次",
            "contract HT-1, year 1: on-site visit beyond the contract 1 times (0 bought)",
        ),
        ("示例银行：不能删除，名下还有1 份合同、2 项服务",
         "示例银行: cannot be deleted, for there are 1 contracts, 2 services"),
        (
            "  第 12 行 nodes.1.port：不能大于 65535",
            "  line 12: nodes.1.port: must not be above 65535",
        ),
        ("合同 第 5 行", "Contracts row 5"),
        ("开始日期：2026-01-01 → 2026-02-01", "First day: 2026-01-01 → 2026-02-01"),
        ("远程服务：是 → 否", "Remote service: yes → no"),
        ("净 1小时0分 / 总 3天1小时", "net 1 h 0 min / gross 3 d 1 h"),
        ("还剩 3天4小时（暂行）", "3 d 4 h left (provisional)"),
        ("2027-02-11（周四）：班 → 休", "2027-02-11 (Thu): work → rest"),
        (
            "2027 年（国办）与现行年度表相比：5 天不同，工作日 248 → 245 天",
            "2027 (国办) against the table in force: 5 days differ, working days 248 → 245",
        ),
        ("C 列「开始日期」：是公式，请改为填写结果",
         "column C (First day): is a formula; enter its result"),
        ("响应净中位", "Response, net median"),
        (
            "HT-1：已由 wang 于 2026-11-28 21:22 修改，您的修改没有保存，请重新打开后再改",
            "HT-1: wang changed it at 2026-11-28 21:22; yours was not saved, open it again",
        ),
        ("合同外，由 boss 批准", "beyond the contract, approved by boss"),
        (
            "2026-09-29、2026-10-08 被休息日隔开，不是连续的3个工作日；须客户同意并记录在案",
            "2026-09-29、2026-10-08 are split by rest days, not 3 working days in a row; "
            "the customer must agree on record",
        ),
        (
            "首日：2027-01-01、2027-01-04 不在可安排的日期内（2026-04-01 至 2026-12-31）",
            "First day: 2027-01-01、2027-01-04 is not within what can be arranged "
            "(2026-04-01 to 2026-12-31)",
        ),
        (
            "已约定的现场巡检不能完成",
            "not possible while the visit is in the state: days agreed (wanted: completed)",
        ),
        (
            "待客户答复的现场巡检须由客户约定日期",
            "in the state: waits for the customer, this is for the customer to say "
            "(wanted: Days agreed)",
        ),
        (
            "XC-2026-00001：「硬件设备运行情况」还没有任何记录；「用户技术人员培训与交流」还没有培训记录",
            "XC-2026-00001: nothing is recorded yet of: hardware; no training is recorded yet",
        ),
        ("页", ""),
    ],
)  # fmt: skip
def test_a_sentence_is_said_in_english_with_what_it_names(said, english):
    assert translator("en")(said) == english


@given(st.text(alphabet="：；、 → 第3行甲a（）\n", max_size=400))
def test_whatever_people_entered_is_said_somehow(text):
    assert isinstance(translator("en")(text), str)


def test_what_pydantic_finds_wrong_has_its_english_with_the_fields_name():
    said = {re.sub(r"\{[^}]*\}", "X", one) for one in complaints.SENTENCES.values()}
    assert {one for one in said if CHINESE.search(translator("en")(one))} == set()
    assert translator("en")("合同号：不能超过 200 个字") == "Number: at most 200 characters"
    assert translator("en")("一家叫甲；乙的公司") == "一家叫甲；乙的公司"
