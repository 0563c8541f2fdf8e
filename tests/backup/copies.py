"""Sites with copies under a contract, and evidence of them as runs leave it, without the runs."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from mailcare.backup.promises import restate
from mailcare.contracts.forms import ContractForm, read_form
from mailcare.contracts.steps import enter_contract
from mailcare.records.backups import BackupEvidence, BackupLevel, BackupVerdict, Verification
from mailcare.records.customers import System
from mailcare.records.session import transaction
from mailcare.systems.steps import import_site

SITE = """\
schema: 1
site: {site}
customer: {{name: 示例银行, contacts: [{{name: 王工, phone: 0000-1234}}]}}
system: {{title: 企业邮件系统, profile: generic}}
domains: [{{name: bank.example}}]
nodes: [{{name: mx1, hostname: mx1.bank.example, address: 192.0.2.1}}]
backups: [{copies}]
"""
DAILY = "L3: null, L4: null, L5: null"


def declare(folder: Path, *copies: str, site: str = "bank", policy: str = DAILY) -> None:
    """Import a site with copies of these names, each by the same policy."""
    each = (
        f"{{name: {name}, kind: tree, path: /srv/{name}, policy: {{{policy}}}}}" for name in copies
    )
    path = folder / f"{site}.yaml"
    path.write_text(SITE.format(site=site, copies=", ".join(each)), "utf-8")
    import_site(path, recorded_by="li")


def cover(*sites: str, **terms) -> None:
    """Enter a contract of ten years from 2026 for these sites."""
    form = {
        "number": f"HT-{sites[0]}",
        "customer": "示例银行",
        "starts_on": "2026-01-01",
        "ends_on": "2035-12-31",
        "systems": list(sites),
        "visits_per_year": 0,
    }
    enter_contract(read_form(ContractForm, form | terms), by="li")


def looked(copy: str, at: datetime, *, site: str = "bank", reason: str = "", **levels: str) -> None:
    """Keep evidence of a copy: what was said of each level, which examined something if it ran."""
    with transaction() as session:
        system = session.scalars(select(System.id).where(System.site == site)).one()
        of_it = BackupEvidence.system_id == system, BackupEvidence.copy_name == copy
        sequence = len(session.scalars(select(BackupEvidence.id).where(*of_it)).all()) + 1
        key = f"{site}/{copy}/{sequence}"
        run = Verification(
            system_id=system, key=key, through="", copies=[], definition={}, started_at=at
        )
        session.add(run)
        session.flush()
        session.add(
            BackupEvidence(
                verification_id=run.id, system_id=system, copy_name=copy, sequence=sequence,
                previous=None if sequence == 1 else "0", statement='{"findings": []}', sha256=key,
                signature="", public_key="", verdict=_worst(levels), finished_at=at,
                levels=[
                    _level(system, copy, at, reason, level, verdict)
                    for level, verdict in levels.items()
                ],
            )
        )  # fmt: skip
        session.flush()
        restate(session, system, copy)


def _worst(levels: dict[str, str]) -> BackupVerdict:
    order = ("FAIL", "DEGRADED", "NOT_RUN", "PASS")
    return BackupVerdict(min(levels.values(), key=order.index))


def _level(
    system: int, copy: str, at: datetime, reason: str, level: str, verdict: str
) -> BackupLevel:
    ran = int(verdict != "NOT_RUN")
    ok = int(verdict == "PASS")
    return BackupLevel(
        system_id=system, copy_name=copy, level=level, generation="", judged_at=at,
        verdict=BackupVerdict(verdict), reason="" if ok else reason or f"{level} 有问题",
        expected=ran, examined=ran, ok=ok, bad=ran - ok, unreadable=0, changed=0,
    )  # fmt: skip
