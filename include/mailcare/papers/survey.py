"""The 《客户满意度调查表》 as a document: filled in but for what the customer writes.

Fields, order and words are those of 服务方案附件四.
"""

from dataclasses import dataclass
from datetime import datetime

from mailcare.papers.document import Document
from mailcare.papers.formats import cut_columns
from mailcare.surveys.scores import QUESTIONS, SCORE_WORDS

TEMPLATE, TEMPLATE_VERSION = "survey/sheet.html", 1
CASE_COLUMNS = 220  # three lines: the form is one page, the case has papers of its own


@dataclass(frozen=True, slots=True)
class AskedCase:
    """What stands on the form before the customer writes; `contact` with how to reach them."""

    customer: str
    contact: str
    description: str
    outcome: str
    started_at: datetime
    finished_at: datetime


def survey_sheet(case: AskedCase, *, number: str, vendor: str) -> Document:
    """Return the form of a case; scores and comments are left to the customer's pen."""
    content = {
        "title": "客户满意度调查表",
        "customer": case.customer,
        "system": "",
        "vendor": vendor,
        "contact": case.contact,
        "description": cut_columns(case.description, CASE_COLUMNS),
        "outcome": cut_columns(case.outcome, CASE_COLUMNS),
        "started_at": case.started_at.isoformat(),
        "finished_at": case.finished_at.isoformat(),
        "questions": list(QUESTIONS.values()),
        "words": [f"{score}分：表示{word}" for score, word in SCORE_WORDS.items()],
    }
    return Document(number, TEMPLATE, TEMPLATE_VERSION, content)
