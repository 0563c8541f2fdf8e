"""`mailcare backup`: verify the copies of a site, and audit the evidence of it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mailcare.backup.verification import Verification

FAILED, NOT_RUN = 1, 3


class Through(StrEnum):
    """How deep a verification goes."""

    L0 = "L0"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"
    L5 = "L5"


backup_app = typer.Typer(help="备份验证：验证副本、审核证据。", no_args_is_help=True)


@backup_app.command("verify")
def verify(
    site_file: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="站点文件")],
    copy: Annotated[list[str] | None, typer.Option(metavar="NAME", help="只验证这些副本")] = None,
    through: Annotated[Through, typer.Option(help="验证到哪一级")] = Through.L5,
    out: Annotated[Path, typer.Option(metavar="DIR", help="结果与证据存放目录")] = Path("out"),
) -> None:
    """验证备份副本，写出 verification.json 和签名的证据；从不写入、解锁或修复备份。"""
    from mailcare.backup.verdicts import Level, Verdict
    from mailcare.backup.verification import verify_site
    from mailcare.progress import following

    with following() as progress:
        done = verify_site(
            site_file, copy or [], through=Level(through.value), out=out, progress=progress
        )
    for line in _told(done):
        typer.echo(line)
    typer.echo(str(out / "verification.json"))
    if done.verdict in (Verdict.FAIL, Verdict.DEGRADED):
        raise typer.Exit(FAILED)
    if done.verdict is Verdict.NOT_RUN:
        raise typer.Exit(NOT_RUN)


def _told(done: "Verification") -> list[str]:
    from mailcare.backup.verdicts import Weight

    words = {"PASS": "通过", "FAIL": "不通过", "DEGRADED": "降级", "NOT_RUN": "未执行"}
    lines = []
    for outcome in done.outcomes:
        lines.append(f"{outcome.copy.label}：{words[outcome.verdict]}")
        for one in outcome.findings:
            judgement = one.judgement()
            coverage = judgement.coverage
            covered = f"{coverage.ok}/{coverage.expected}" if coverage.expected else "—"
            what = f"  {one.level} {one.level.label} {one.generation}".rstrip()
            told = f"{what}：{words[judgement.verdict]} {covered} {judgement.reason}"
            lines.append(told.rstrip())
            notes = [remark for remark in judgement.remarks if remark.weight is Weight.NOTE]
            lines.extend(f"    · {note.text}" for note in notes if note.text not in told)
    return lines


@backup_app.command("audit")
def audit(
    evidence: Annotated[
        Path, typer.Argument(metavar="EVIDENCE", help="一份证据，或存放证据的目录")
    ],
    key: Annotated[
        str | None, typer.Option(metavar="BASE64", help="可信的公钥；缺省为本机的签名公钥")
    ] = None,
) -> None:
    """只凭证据重新得出结论，并检查签名和前后相连；有不符则以 1 退出。"""
    from mailcare.backup.verification import audit_file

    count, wrong = audit_file(evidence, trusted_key=key)
    for one in wrong:
        typer.echo(one, err=True)
    if wrong:
        raise typer.Exit(FAILED)
    typer.echo(f"{count} 份证据：签名有效，前后相连，结论与事实一致。")
