"""What an engineer uses without Airflow: `mailcare`, or `python -m mailcare`."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from mailcare.cli_backup import backup_app
from mailcare.cli_contracts import contract_app
from mailcare.cli_discover import discover
from mailcare.cli_faults import FAULT_COMMANDS, LEVELS
from mailcare.cli_papers import paper_app
from mailcare.cli_staff import staff_app
from mailcare.cli_time import calendar_app, deadline_app, fault_app
from mailcare.cli_visits import visit_app
from mailcare.errors import InputError, MailcareError

UNUSABLE_INPUT = 2
NOTHING_MEASURED = 3

app = typer.Typer(
    help="邮件系统维保：巡检、报告、站点与数据库。",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
site_app = typer.Typer(help="站点文件：检查、结构、导入。", no_args_is_help=True)
db_app = typer.Typer(help="数据库。", no_args_is_help=True)
app.add_typer(site_app, name="site")
app.add_typer(paper_app, name="paper")
app.add_typer(db_app, name="db")
app.add_typer(deadline_app, name="deadline")
app.add_typer(calendar_app, name="calendar")
app.add_typer(fault_app, name="fault")
app.add_typer(contract_app, name="contract")
app.add_typer(staff_app, name="staff")
app.add_typer(backup_app, name="backup")
app.add_typer(visit_app, name="visit")
app.command("discover")(discover)
for _name, _command in FAULT_COMMANDS.items():
    fault_app.command(_name, epilog=LEVELS)(_command)

SiteFile = Annotated[Path, typer.Argument(metavar="SITE.yaml", help="站点文件")]


@app.command()
def inspect(
    site_file: SiteFile,
    out: Annotated[Path, typer.Option(metavar="DIR", help="结果存放目录")] = Path("out"),
    bundle: Annotated[
        Path | None, typer.Option(metavar="FILE", help="只判读客户交回的文件，不建立任何连接")
    ] = None,
    check: Annotated[list[str] | None, typer.Option(metavar="NAME", help="只做这些检查")] = None,
) -> None:
    """巡检一个站点，写出报告（PDF、HTML）、findings.json、统计表和全部原始回复。"""
    from mailcare.inspection.run import inspect_site
    from mailcare.inspection.table import findings_table
    from mailcare.papers.steps import write_outcome
    from mailcare.progress import following

    with following() as progress:
        inspection = inspect_site(site_file, check or [], bundle=bundle, progress=progress)
        files = write_outcome(inspection, out, progress=progress)
    typer.echo(findings_table(inspection.results))
    for path in files:
        typer.echo(str(path))
    if not inspection.measured():
        typer.echo("没有任何一项能够测得，原因见上表。", err=True)
        raise typer.Exit(NOTHING_MEASURED)


@app.command("collector")
def print_collector(
    site_file: Annotated[
        Path | None, typer.Argument(metavar="[SITE.yaml]", help="按此站点生成；缺省适用所有产品")
    ] = None,
) -> None:
    """打印只读采集脚本，交给不开放远程登录的客户执行：sh collect.sh > reply.txt。"""
    from mailcare.inspection.run import collector

    typer.echo(collector(site_file), nl=False)


@site_app.command("check")
def check_site(site_file: SiteFile) -> None:
    """检查站点文件，逐行指出错误。"""
    from mailcare.systems import steps

    typer.echo(steps.describe_site(site_file))


@site_app.command("schema")
def print_schema() -> None:
    """打印站点文件的 JSON Schema。"""
    from mailcare.systems import steps

    typer.echo(steps.site_schema())


@site_app.command("import")
def import_site(site_file: SiteFile) -> None:
    """把站点文件导入数据库：客户、联系人、系统、授权；重复导入不会重复登记。"""
    from mailcare.systems import steps

    typer.echo(steps.import_site(site_file, recorded_by=_operator()))


@db_app.command("upgrade")
def upgrade_database() -> None:
    """把数据库升级到当前版本。"""
    from mailcare.records.schema import upgrade
    from mailcare.settings import read_settings

    upgrade(read_settings().database_url)
    typer.echo("数据库已是最新版本。")


def _operator() -> str:
    import getpass

    return getpass.getuser()


def _leave(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one must not stop the removal
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; what a person can act on is one message, never a traceback.

    A request to end (SIGTERM) unwinds like an error, so that no scratch stays behind.
    """
    signal.signal(signal.SIGTERM, _leave)
    try:
        app()
    except InputError as error:
        typer.echo(f"错误：{error}", err=True)
        sys.exit(UNUSABLE_INPUT)
    except MailcareError as error:
        typer.echo(f"错误：{error}", err=True)
        sys.exit(1)
