"""The command line's view of contracts: `mailcare contract`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailcare.errors import InputError

if TYPE_CHECKING:
    from mailcare.contracts.importing import Preview, PreviewRow
    from mailcare.contracts.lists import ContractRow

UNUSABLE_INPUT = 2

contract_app = typer.Typer(help="合同：导入、列表。", no_args_is_help=True)

KIND_TITLES = {"addition": "新增", "change": "更改", "same": "不变", "error": "错误"}


@contract_app.command("import")
def import_contracts(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="xlsx 或 YAML 文件")],
    apply: Annotated[bool, typer.Option("--apply", help="写入；缺省只预览")] = False,
) -> None:
    """导入客户与合同：逐行列出新增、更改与错误；--apply 全部写入，有错则一行也不写。"""
    from getpass import getuser

    from mailcare.contracts import steps

    content = _content(file)
    preview = steps.preview_import(content, file.name)
    typer.echo(_preview_text(preview))
    if preview.count("error"):
        raise typer.Exit(UNUSABLE_INPUT)
    if apply:
        steps.apply_import(content, file.name, token=preview.token, by=getuser())
        typer.echo("已写入。")
    elif preview.is_applicable:
        typer.echo("以上为预览，尚未写入；加 --apply 写入。")


@contract_app.command("list")
def list_contracts(
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="按编号、客户、备注查找")] = "",
    json_: Annotated[bool, typer.Option("--json", help="输出 JSON")] = False,
) -> None:
    """列出合同。"""
    from mailcare.calendars.steps import today
    from mailcare.contracts import steps
    from mailcare.listing import Wish

    rows = steps.list_contracts(Wish(text=text, rows=0), on=today()).rows
    if json_:
        listed = [asdict(row) for row in rows]
        typer.echo(json.dumps(listed, ensure_ascii=False, indent=2, default=str))
    else:
        typer.echo("\n".join(map(_contract_text, rows)) or "没有合同。")


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise InputError("文件不存在", subject=str(file)) from None
    except OSError as error:
        raise InputError(f"文件无法读取（{error.strerror}）", subject=str(file)) from None


def _preview_text(preview: "Preview") -> str:
    counts = [f"{title} {preview.count(kind)}" for kind, title in KIND_TITLES.items()]
    lines = [_row_text(row) for row in preview.rows if row.kind != "same"]
    return "\n".join([*lines, f"共 {len(preview.rows)} 行：{'，'.join(counts)}"])


def _row_text(row: "PreviewRow") -> str:
    changes = [f"{one.field} {one.before or '空'} → {one.after or '空'}" for one in row.changes]
    said = "；".join(row.sentences or changes)
    return f"{KIND_TITLES[row.kind]}  {row.place}  {row.subject}  {said}"


def _contract_text(row: "ContractRow") -> str:
    state = "有效" if row.is_in_force else "期外"
    remote = "远程服务" if row.remote_service else "无远程服务"
    return (
        f"{row.number}  {row.customer}  {row.starts_on} 至 {row.ends_on}  {state}  {remote}"
        f"  现场巡检每年 {row.visits_per_year} 次  系统 {row.systems} 个  第 {row.version} 版"
    )
