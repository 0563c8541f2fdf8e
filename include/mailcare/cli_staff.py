"""The operator's way to say who may do what on the console: `mailcare staff`."""

from getpass import getuser
from typing import Annotated

import typer

from mailcare.listing import Wish
from mailcare.records.people import Role

staff_app = typer.Typer(help="人员：谁在维保控制台上可以做什么。", no_args_is_help=True)

Login = Annotated[str, typer.Argument(metavar="LOGIN", help="Airflow 的登录名")]
RoleName = Annotated[Role, typer.Argument(metavar="ROLE", help="、".join(Role))]


@staff_app.command("grant")
def grant(login: Login, role: RoleName) -> None:
    """授予角色：manager 主管、engineer 工程师、customer_service 客服、auditor 审计（只读）。"""
    from mailcare.staff import steps

    steps.grant_role(login, role, by=_operator())
    typer.echo(f"已授予 {login}：{role}")


@staff_app.command("withdraw")
def withdraw(login: Login, role: RoleName) -> None:
    """收回角色。"""
    from mailcare.staff import steps

    steps.withdraw_role(login, role, by=_operator())
    typer.echo(f"已收回 {login}：{role}")


@staff_app.command("list")
def show() -> None:
    """列出每个人的角色。"""
    from mailcare.staff import steps

    for row in steps.list_roles(Wish(rows=0)).rows:
        typer.echo(f"{row.login}  {row.role}  由 {row.given_by} 授予")


def _operator() -> str:
    return f"cli:{getuser()}"
