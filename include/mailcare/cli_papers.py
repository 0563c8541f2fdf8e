"""Papers on the command line: `mailcare paper`."""

from pathlib import Path
from typing import Annotated

import typer

from mailcare.clock import BEIJING
from mailcare.errors import InputError

CHANGED = 1
VERDICTS = {
    "intact": "签字后未改动",
    "extended": "签字后仅增加了允许的内容（如客户签字）",
    "changed": "签字后被改动",
}

paper_app = typer.Typer(help="报告文件。", no_args_is_help=True)


@paper_app.command("render")
def render_paper(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="报告编号")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="写到这个文件")],
) -> None:
    """按编号取出报告的最新版本，写成 PDF（或按扩展名 .html、.xlsx）。"""
    from mailcare.papers import steps

    typer.echo(str(steps.write_paper(number, out)))


@paper_app.command("verify")
def verify_paper(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="签字的 PDF")],
) -> None:
    """核对 PDF 的签字：谁、何时、签字后是否被改动。未改动退出码为 0，被改动或没有签字为 1。"""
    from mailcare.papers import steps

    try:
        body = file.read_bytes()
    except OSError as error:
        raise InputError(f"文件无法读取（{error.strerror}）", subject=str(file)) from None
    found = steps.verify_file(body)
    for one in found:
        at = f"{one.signed_at.astimezone(BEIJING):%Y-%m-%d %H:%M}" if one.signed_at else "时间不明"
        origin = "测试证书" if one.is_test else f"证书 {one.certificate}"
        known = "" if one.is_known else "，签发者不在信任之列"
        typer.echo(f"{one.signer}  {at}（北京时间）  {VERDICTS[one.verdict]}  {origin}{known}")
    if not found:
        typer.echo("文件中没有任何签字。", err=True)
    if not found or any(one.verdict == "changed" for one in found):
        raise typer.Exit(CHANGED)
