"""The collector for any product against a real host of the lab, in health."""

import subprocess
import sys

import pytest

from mailcare.inspection.check import Finding, Severity
from mailcare.inspection.collect.frames import read_bundle
from mailcare.inspection.collect.script import general_script
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import Plan, plan_inspection
from tests.inspection.checks.reply_files import check_named
from tests.inspection.checks.test_host_replies import CHECKS
from tests.inspection.samples import lab_system

NEEDS_LOGIN = {"ssh.login", "os.clock"}


def planned() -> Plan:
    return plan_inspection(lab_system(), [check_named(name) for name in CHECKS])


@pytest.mark.lab
def test_what_a_customer_sends_back_is_judged_like_what_we_ask(lab):
    done = subprocess.run(
        [sys.executable, "-m", "lab", "exec", "mx1", "--", "sh", "-c", general_script()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    plan = planned()
    asks = [ask for ask in plan.asks() if ask.node == "mx1"]
    answers = read_bundle(done.stdout, asks, plan.system, source="bundle:reply.txt")
    results = [one for one in judge_answers(plan, answers) if one.target.node == "mx1"]
    measured = {one.check for one in results if isinstance(one, Finding)}
    assert measured == set(CHECKS) - NEEDS_LOGIN
    assert max(one.severity for one in results if isinstance(one, Finding)) <= Severity.NOTICE
