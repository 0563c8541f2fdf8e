"""What the README promises is there, and its example works as it stands."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailcare.inspection.check import Finding, Reply, Severity, Unmeasured
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import plan_inspection
from tests.inspection.samples import lab_system

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture
def check():
    [example] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(example, names)
    [check] = names["CHECKS"]
    return check


def judged(check, text):
    plan = plan_inspection(lab_system(), [replace(check, after=())])
    reply = Reply(text, 0, datetime(2026, 3, 2, tzinfo=UTC), "ssh://mx1")
    return judge_answers(plan, dict.fromkeys(plan.asks(), reply))


def test_the_example_check_measures(check):
    results = judged(check, "800\t0\t1000\n")
    assert results
    assert all(isinstance(one, Finding) and one.severity is Severity.WARNING for one in results)


def test_the_example_check_says_when_it_could_not_measure(check):
    results = judged(check, "Permission denied")
    assert results
    assert all(isinstance(one, Unmeasured) for one in results)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_every_file_that_a_readme_links_to_is_there(name):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
