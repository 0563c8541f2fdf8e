"""The probes against the real mail system of the lab, in health."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mailcare.inspection.check import Answer, Ask, Channel, Finding, Severity
from mailcare.inspection.collect import dns, https, imap, loop, pop3, smtp, tcp, tls
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.planning import plan_inspection
from mailcare.secrets import find_secret
from tests.inspection.checks.reply_files import check_named
from tests.inspection.checks.test_probe_replies import CHECKS
from tests.inspection.samples import lab_system

PROBES = {
    Channel.TCP: tcp.probe,
    Channel.SMTP: smtp.probe,
    Channel.IMAP: imap.probe,
    Channel.POP3: pop3.probe,
    Channel.HTTPS: https.probe,
    Channel.TLS: tls.probe,
    Channel.DNS: dns.probe,
    Channel.LOOP: loop.probe,
}


@pytest.mark.lab
def test_a_healthy_system_is_measured_whole_and_found_in_order(lab):
    system = lab_system()
    plan = plan_inspection(system, [check_named(name) for name in CHECKS])
    scene = Scene(system, find_secret, lambda _node: None)

    def answer(ask: Ask) -> tuple[Ask, Answer]:
        return ask, PROBES[ask.channel](ask, scene)

    with ThreadPoolExecutor(8) as pool:
        answers = dict(pool.map(answer, plan.asks()))
    results = judge_answers(plan, answers)
    assert {result.check for result in results} == set(CHECKS)
    troubles = [
        result
        for result in results
        if not isinstance(result, Finding) or result.severity is not Severity.OK
    ]
    assert troubles == []
