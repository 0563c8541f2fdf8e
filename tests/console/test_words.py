"""English is whole: whatever a template or a list says in Chinese has its English."""

import re
from pathlib import Path

import pytest

from mailcare.console.words import DONE, ENGLISH, FIELDS, LABELS, translator
from mailcare.systems import complaints

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


@pytest.mark.parametrize("words", [LABELS, FIELDS, DONE], ids=["labels", "fields", "done"])
def test_recorded_words_have_their_english(words):
    assert words
    assert {one for one in words.values() if CHINESE.search(one)} - set(ENGLISH) == set()


def test_english_holds_no_chinese():
    assert [one for one in ENGLISH.values() if CHINESE.search(one)] == []
    assert translator("en")("严重 2，未测得 1") == "critical 2, not measured 1"


ENTERED = (  # the areas whose sentences stand beside a field
    *("contracts/forms.py", "contracts/entering.py", "contracts/extra_visits.py"),
    *("systems/authorising.py", "systems/forms.py"),
)
SENTENCE = re.compile(r'(?:complain\("\w+", |raise ValueError\()f?"([^"]+)"')


@pytest.mark.parametrize("path", ENTERED)
def test_what_is_wrong_with_a_form_has_its_english(path):
    said = {
        re.sub(r"\{[^}]*\}", "X", one)
        for one in chinese(SENTENCE, (ROOT / "mailcare" / path).read_text("utf-8"))
    }
    assert said
    assert {one for one in said if CHINESE.search(translator("en")(one))} == set()


def test_what_pydantic_finds_wrong_has_its_english_with_the_fields_name():
    said = {re.sub(r"\{[^}]*\}", "X", one) for one in complaints.SENTENCES.values()}
    assert {one for one in said if CHINESE.search(translator("en")(one))} == set()
    assert translator("en")("合同号：不能超过 200 个字") == "Number: at most 200 characters"
    assert translator("en")("一家叫甲；乙的公司") == "一家叫甲；乙的公司"
