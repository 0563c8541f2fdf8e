"""Verify the copies that a site file declares: levels, evidence, and what both come to."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mailcare.backup.alone import alone
from mailcare.backup.drill import scratch_folder
from mailcare.backup.evidence import (
    PROGRAM,
    Evidence,
    Finding,
    Statement,
    audit,
    forked,
    judgement_json,
    public_text,
    read_evidence,
    sign,
    signing_key,
)
from mailcare.backup.ground import Ground
from mailcare.backup.history import History, history_of
from mailcare.backup.judging import withheld
from mailcare.backup.kept import kept_of
from mailcare.backup.opened import listed_accounts, open_live, open_source, spot_of
from mailcare.backup.parts import Parts
from mailcare.backup.running import findings_of
from mailcare.backup.source import NotReached, Shard
from mailcare.backup.verdicts import Level, Verdict, aged, not_run, worst
from mailcare.clock import utc_now
from mailcare.contracts.authorisation import permission
from mailcare.errors import InputError
from mailcare.files import write_whole
from mailcare.inspection.collect.scene import Scene
from mailcare.inspection.run import described_by, given_by_file
from mailcare.progress import Progress
from mailcare.secrets import find_secret
from mailcare.settings import data_folder
from mailcare.systems.backups import BackupCopy
from mailcare.systems.site import Site, load_site

SCHEMA = 1
WHOLE = Shard()
NUMBER = "[0-9]" * 6


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """What a run found of one copy, and the evidence that was made of it."""

    copy: BackupCopy
    findings: tuple[Finding, ...]
    evidence: Evidence
    started_at: datetime
    finished_at: datetime

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of the copy."""
        return worst(one.judgement().verdict for one in self.findings)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a run found of a site's copies."""

    site: Site
    outcomes: tuple[CopyOutcome, ...]
    started_at: datetime
    finished_at: datetime

    @property
    def verdict(self) -> Verdict:
        """Return the worst verdict of all copies."""
        return worst(one.verdict for one in self.outcomes)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be verified of one copy: how deep, which shard, and its past.

    `run` is the key of a run that goes on after a kill; empty for one that begins anew.
    """

    site: Site
    copy: BackupCopy
    through: Level
    history: History
    scene: Scene
    shard: Shard = WHOLE
    scratch: Path | None = None
    run: str = ""


def chosen_copies(site: Site, names: Sequence[str]) -> tuple[BackupCopy, ...]:
    """Return the copies of these names, all where none is named; raise `InputError`."""
    if not site.backups:
        raise InputError("站点文件没有声明备份副本（backups）", subject=site.site)
    known = {one.name: one for one in site.backups}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"没有这些备份副本：{'、'.join(unknown)}；可用：{'、'.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names)) or site.backups


def verify_copy(task: Task, *, key: Ed25519PrivateKey, progress: Progress) -> CopyOutcome:
    """Verify one copy and sign what was found; nothing that goes wrong outside is raised."""
    started_at = utc_now()
    try:
        with scratch_folder(task.scratch, 0) as scratch:
            ground = _ground(task, started_at, progress, scratch=scratch)
            kept = kept_of(ground, task.run) if task.run else None
            started_at = kept.begun_at if kept else started_at
            findings = list(findings_of(ground, through=task.through, kept=kept))
    except NotReached as error:
        findings = [_unreached(level, error) for level in _asked(task)]
    settled = tuple(_settled(task, findings, started_at))
    finished_at = utc_now()
    statement = Statement(
        task.site.site,
        task.site.customer.name,
        task.copy.name,
        task.copy.kind.value,
        task.history.sequence + 1,
        task.history.last_sha256,
        started_at,
        finished_at,
        PROGRAM,
        settled,
    )
    return CopyOutcome(task.copy, settled, sign(statement, key), started_at, finished_at)


def _asked(task: Task) -> Iterator[Level]:
    for level in Level:
        if level.is_within(task.through) and getattr(task.copy.promised, level.value) is not None:
            yield level


def _ground(task: Task, now: datetime, progress: Progress, *, scratch: Path) -> Ground:
    folder = data_folder() / "backups" / task.site.site
    copy, live, scene = task.copy, task.copy.live, task.scene
    parts = Parts(folder / f"{copy.name}.parts", task.run, now) if task.run else None
    ground = Ground(
        task.site,
        copy,
        open_source(copy, scene, scratch=scratch, parts=parts, tell=progress.note),
        spot_of(copy.path, copy.node, scene),
        None,
        spot_of(live.path, live.node, scene) if live else None,
        task.history,
        now,
        folder / f"{task.copy.name}.manifest",
        progress,
        shard=task.shard,
        scratch=scratch,
    )
    with _noted(ground):
        ground.live = open_live(copy, scene)
    with _noted(ground):
        ground.listed = listed_accounts(live)
    return ground


@contextmanager
def _noted(ground: Ground) -> Iterator[None]:
    try:
        yield
    except NotReached as error:
        ground.notes.append(str(error))


def _unreached(level: Level, error: NotReached) -> Finding:
    return Finding(level, "", withheld(not_run(level, str(error), code=error.code)))


def _settled(task: Task, findings: Iterable[Finding], now: datetime) -> Iterator[Finding]:
    """Yield the findings, those that were not run for too long as degraded, and what is overdue."""
    found = list(findings)
    for one in found:
        yield _aged(task, one, now)
    for level in (one for one in Level if one not in {done.level for done in found}):
        idle = Finding(level, "", withheld(not_run(level, "本次没有安排这一级", code="not_due")))
        late = _aged(task, idle, now)
        if late.judgement().verdict is Verdict.DEGRADED:
            yield late


def _aged(task: Task, finding: Finding, now: datetime) -> Finding:
    judgement = finding.judgement()
    older = aged(
        judgement,
        policy_days=getattr(task.copy.promised, finding.level.value),
        last_run_at=task.history.last_run_at.get(finding.level),
        known_since=task.history.begun_at,
        now=now,
    )
    return finding if older is judgement else Finding(
        finding.level, finding.generation, withheld(older)
    )  # fmt: skip


def verify_site(
    path: Path, names: Sequence[str], *, through: Level, out: Path, progress: Progress
) -> Verification:
    """Verify the named copies of a site file, or all, and write `verification.json` and evidence.

    The evidence that lies in `out` is the past that is built on. Raise `InputError` for a file or
    a name that cannot be used.
    """
    site = load_site(path)
    copies = chosen_copies(site, names)
    key = signing_key(key_path())
    scene = Scene(described_by(site), find_secret, permit_by_file(site))
    started_at = utc_now()
    outcomes = []
    for copy in copies:
        progress.stage(f"验证 {copy.label}", len(Level))
        with alone(site.site, copy.name, progress):
            task = Task(site, copy, through, _past(out, site, copy), scene)
            outcome = verify_copy(task, key=key, progress=progress)
            sequence = task.history.sequence + 1
            body = json.dumps(outcome.evidence.as_json(), ensure_ascii=False, indent=1)
            write_whole(out / "evidence" / f"{copy.name}-{sequence:06d}.json", body.encode())
        outcomes.append(outcome)
    done = Verification(site, tuple(outcomes), started_at, utc_now())
    body = json.dumps(verification_document(done), ensure_ascii=False, indent=2)
    write_whole(out / "verification.json", body.encode())
    return done


def permit_by_file(site: Site) -> Callable[[str], None]:
    """Return what lets a host be logged in to by the authorisations that the file records."""
    given = given_by_file(site)

    def permit(node: str) -> None:
        permission(given, node, utc_now())

    return permit


def key_path() -> Path:
    """Return the file of the key that evidence is signed with."""
    return data_folder() / "evidence-key.pem"


def _past(out: Path, site: Site, copy: BackupCopy) -> History:
    folder = out / "evidence"
    found = [read_evidence(one.read_bytes(), name=str(one)) for one in _files(folder, copy.name)]
    said = [(one.sha256, one.statement()) for one in found]
    return history_of(one for one in said if one[1]["site"] == site.site)


def _files(folder: Path, copy: str) -> list[Path]:
    return sorted(folder.glob(f"{copy}-{NUMBER}.json"))


def verification_document(done: Verification) -> dict[str, Any]:
    """Return what `verification.json` says."""
    return {
        "schema": SCHEMA,
        "site": done.site.site,
        "started_at": done.started_at.isoformat(),
        "finished_at": done.finished_at.isoformat(),
        "verdict": done.verdict.value,
        "copies": [_copy_json(one) for one in done.outcomes],
    }


def _copy_json(outcome: CopyOutcome) -> Mapping[str, Any]:
    return {
        "copy": outcome.copy.name,
        "title": outcome.copy.label,
        "kind": outcome.copy.kind.value,
        "off_site": outcome.copy.off_site,
        "verdict": outcome.verdict.value,
        "levels": [
            {"level": one.level.value, "generation": one.generation}
            | judgement_json(one.judgement())
            for one in outcome.findings
        ],
        "evidence": {
            "sha256": outcome.evidence.sha256,
            "sequence": outcome.evidence.statement()["sequence"],
        },
    }


def audit_file(path: Path, *, trusted_key: str | None) -> tuple[int, tuple[str, ...]]:
    """Audit a file of evidence, or all in a folder; return how many, and what is wrong.

    `trusted_key` is the public key that must have signed; without one this machine's own, where it
    has one. Raise `InputError` where there is no evidence.
    """
    trusted = trusted_key or own_key()
    paths = sorted(path.rglob(f"*-{NUMBER}.json")) if path.is_dir() else [path]
    if not paths:
        raise InputError("这里没有证据文件", subject=str(path))
    near = _near(paths)
    twins = forked(near)
    wrong = []
    for one in paths:
        evidence = _read(one)
        told = audit(evidence, near, trusted=trusted)
        wrong += [f"{one.name}：{sentence}" for sentence in told]
        if evidence.sha256 in twins:
            wrong.append(f"{one.name}：另有一份不同的证据占用同一序号")
    return len(paths), tuple(wrong)


def own_key() -> str | None:
    """Return the public half of this machine's signing key; None where it has none."""
    return public_text(signing_key(key_path())) if key_path().exists() else None


def _near(paths: Sequence[Path]) -> list[Evidence]:
    """Return all evidence that lies beside: the piece before is looked for there."""
    folders = {one.parent for one in paths}
    beside = {one for folder in folders for one in folder.glob("*.json")}
    found = []
    for one in sorted(beside):
        try:
            found.append(_read(one))
        except InputError:
            continue  # another JSON file
    return found


def _read(path: Path) -> Evidence:
    try:
        return read_evidence(path.read_bytes(), name=path.name)
    except OSError as error:
        raise InputError(f"文件无法读取（{error.strerror}）", subject=str(path)) from None
