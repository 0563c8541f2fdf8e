"""The collector and the hosts' checks against the real hosts of the lab, in health."""

import asyncio
import subprocess
import sys

import pytest

from mailcare.inspection.check import Answer, Ask, Finding, NoReply, Severity
from mailcare.inspection.collect import ssh
from mailcare.inspection.collect.frames import read_bundle
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.script import general_script
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import Plan, by_node, plan_inspection
from mailcare.secrets import find_secret
from tests.inspection.checks.reply_files import check_named
from tests.inspection.checks.test_host_replies import CHECKS
from tests.inspection.samples import lab_system

NEEDS_LOGIN = {"ssh.login", "os.clock"}


def planned() -> Plan:
    return plan_inspection(lab_system(), [check_named(name) for name in CHECKS])


async def ask_hosts(plan: Plan) -> dict[Ask, Answer]:
    answers: dict[Ask, Answer] = {}
    scene = Scene(plan.system, find_secret, lambda _node: None)
    async with asyncio.TaskGroup() as tasks:
        for node, asks in by_node(plan.asks()).items():
            host = plan.system.node(node)
            tasks.create_task(ssh.ask_host(host, asks, scene, answers.__setitem__))
    return answers


@pytest.mark.lab
def test_a_healthy_host_is_measured_whole_and_found_in_order(lab):
    plan = planned()
    answers = asyncio.run(ask_hosts(plan))
    assert [one for one in answers.values() if isinstance(one, NoReply)] == []
    results = judge_answers(plan, answers)
    assert {result.check for result in results} == set(CHECKS)
    troubles = [
        result
        for result in results
        if not isinstance(result, Finding) or result.severity > Severity.NOTICE
    ]
    assert troubles == []


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
