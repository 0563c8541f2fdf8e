"""On-site visits on the command line: `mailcare visit`."""

from pathlib import Path
from typing import Annotated

import typer

visit_app = typer.Typer(help="现场巡检：资料包与导入。", no_args_is_help=True)


@visit_app.command("kit")
def make_kit(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="巡检编号，例如 XC-2026-00001")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="写到这个文件夹（U 盘）")],
) -> None:
    """写出现场资料包：采集脚本、巡检单、填写表、说明；在没有网络的现场使用。"""
    from mailcare.visits import steps

    for path in steps.make_kit(number, out):
        typer.echo(str(path))


@visit_app.command("import")
def import_kit(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="带回的资料包文件夹")],
) -> None:
    """导入带回的资料包：采集结果、现场记录、培训、照片；可重复执行，不会重复登记。"""
    from getpass import getuser

    from mailcare.visits import steps

    done = steps.import_kit(folder, by=getuser())
    typer.echo(
        f"{done.number}：新增采集回复 {done.replies} 项；现场记录 {done.observations} 项，"
        f"培训 {done.lessons} 项，照片 {done.photos} 份。"
    )
