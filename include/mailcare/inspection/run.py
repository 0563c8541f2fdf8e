"""Run an inspection without a database: plan, ask or read a bundle, judge."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mailcare.clock import utc_now
from mailcare.contracts.authorisation import Authorisation, permission
from mailcare.errors import InputError, NotAuthorised
from mailcare.inspection.check import Answer, Area, Ask, Channel, Finding, NoReply, Reply, Result
from mailcare.inspection.checks import all_checks
from mailcare.inspection.collect.frames import looks_framed, read_bundle, unpacked
from mailcare.inspection.collect.orchestra import OnAnswer, collect_answers
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.collect.script import general_script, system_script
from mailcare.inspection.judging import judge_answers
from mailcare.inspection.outcome import read_replies
from mailcare.inspection.planning import AnyCheck, Plan, plan_inspection
from mailcare.progress import Progress
from mailcare.secrets import find_secret
from mailcare.systems.site import Site, load_site
from mailcare.systems.system import System


@dataclass(frozen=True, slots=True)
class Inspection:
    """One run: the replies verbatim, and what they mean."""

    system: System
    answers: Mapping[Ask, Answer]
    results: tuple[Result, ...]
    started_at: datetime
    finished_at: datetime

    def measured(self) -> bool:
        """Tell whether anything at all could be measured."""
        return any(isinstance(result, Finding) for result in self.results)


def described_by(site: Site) -> System:
    """Return the system that a site file describes."""
    return System(site, site.profile())


def areas() -> dict[str, Area]:
    """Return the area of each check by its name."""
    return {check.name: check.area for check in all_checks()}


def choose_checks(names: Sequence[str]) -> tuple[AnyCheck, ...]:
    """Return the checks of these names, all where none is named; raise `InputError` if unknown."""
    known = {check.name: check for check in all_checks()}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"没有这些检查项：{'、'.join(unknown)}；可用：{'、'.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names)) or tuple(known.values())


def given_by_file(site: Site) -> tuple[Authorisation, ...]:
    """Return the authorisations that the site file records."""
    return tuple(
        Authorisation(
            f"{site.site}#{number}",
            one.given_by,
            frozenset(one.nodes),
            one.valid_from,
            one.valid_to,
            one.revoked_at,
        )
        for number, one in enumerate(site.authorisations, start=1)
    )


def inspect_online(site: Site, plan: Plan, *, on_answer: OnAnswer) -> dict[Ask, Answer]:
    """Put the plan's asks to the system; without a valid authorisation nothing connects."""
    given = given_by_file(site)

    def permit(node: str) -> None:
        permission(given, node, utc_now())

    asks = plan.asks()
    scene = Scene(plan.system, find_secret, permit)
    if not any(_permits(permit, node.name) for node in site.nodes):
        return _unanswered(asks, "站点文件中没有当前有效的授权（authorisations），未建立任何连接")
    return collect_answers(asks, scene, on_answer=on_answer)


def _permits(permit: Callable[[str], None], node: str) -> bool:
    try:
        permit(node)
    except NotAuthorised:
        return False
    return True


def _unanswered(asks: Iterable[Ask], reason: str) -> dict[Ask, Answer]:
    return {ask: NoReply(reason, utc_now(), "mailcare", permanent=True) for ask in asks}


def open_bundle(path: Path, plan: Plan) -> dict[Ask, Answer]:
    """Read what a customer handed back: the collector's output, or a file of replies.

    What it does not answer is unmeasured; nothing connects. Raise `InputError` for a file that is
    neither.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"文件无法读取（{error.strerror}）", subject=str(path)) from None
    data = unpacked(data)
    if not looks_framed(data):
        return read_replies(data)
    on_hosts = [ask for ask in plan.asks() if ask.channel is Channel.SSH]
    probes = [ask for ask in plan.asks() if ask.channel is not Channel.SSH]
    collected = read_bundle(data, on_hosts, plan.system, source=f"bundle:{path.name}")
    return collected | _unanswered(probes, "本次只判读交回的采集结果，没有做网络探测")


def read_hosts(data: bytes, plan: Plan, *, source: str) -> dict[Ask, Reply]:
    """Return the replies in the collector's output, as it came or packed.

    Raise `InputError` where it is no such output, or that of other hosts.
    """
    data = unpacked(data)
    if not looks_framed(data):
        raise InputError("不是采集脚本的输出", subject=source)
    on_hosts = [ask for ask in plan.asks() if ask.channel is Channel.SSH]
    answers = read_bundle(data, on_hosts, plan.system, source=f"bundle:{source}")
    replies = {ask: one for ask, one in answers.items() if isinstance(one, Reply)}
    if not replies:
        raise InputError("采集结果不是本系统的主机，或其中没有任何回复", subject=source)
    return replies


def measured_span(answers: Mapping[Ask, Answer]) -> tuple[datetime, datetime] | None:
    """Return the moments of the first and the last reply; None where there is none.

    A bundle was measured when its replies were taken, not when somebody reads it.
    """
    moments = [answer.taken_at for answer in answers.values() if isinstance(answer, Reply)]
    return (min(moments), max(moments)) if moments else None


def judged(
    plan: Plan, answers: Mapping[Ask, Answer], span: tuple[datetime, datetime]
) -> Inspection:
    """Judge the answers that were taken in that span of time."""
    return Inspection(plan.system, answers, judge_answers(plan, answers), *span)


def planned(site: Site, names: Sequence[str]) -> Plan:
    """Plan the named checks, or all, for a site."""
    return plan_inspection(described_by(site), choose_checks(names))


def inspect_site(
    path: Path, names: Sequence[str], *, bundle: Path | None, progress: Progress
) -> Inspection:
    """Inspect a site file: the named checks, or all.

    With `bundle` what the customer handed back is judged and nothing connects. Raise `InputError`
    for a file or a name that cannot be used.
    """
    site = load_site(path)
    plan = planned(site, names)
    started_at = utc_now()
    if bundle:
        answers = open_bundle(bundle, plan)
        return judged(plan, answers, measured_span(answers) or (started_at, started_at))
    progress.stage("采集", len(plan.asks()))

    def note(ask: Ask, _answer: Answer) -> None:
        progress.step(f"{ask.channel} {ask.node}")

    answers = inspect_online(site, plan, on_answer=note)
    return judged(plan, answers, (started_at, utc_now()))


def collector(path: Path | None) -> str:
    """Return the read-only script that a customer runs: for one site, or for every product."""
    return system_script(described_by(load_site(path))) if path else general_script()
