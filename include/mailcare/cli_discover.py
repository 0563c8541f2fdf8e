"""The command line's `mailcare discover`: begin with a mail system that nobody has described."""

from pathlib import Path
from typing import Annotated

import typer

from mailcare.errors import InputError

NO_KEY = (
    "还没有核对主机密钥，没有登录。请与客户通过电话等另一途径核对上面的指纹，"
    "相符后再运行一次，并加上 --host-key '{key}'"
)


def discover(
    host: Annotated[str, typer.Argument(metavar="HOST", help="主机名或 IP 地址")],
    port: Annotated[str, typer.Option(metavar="PORT", help="SSH 端口")] = "22",
    login: Annotated[str, typer.Option(metavar="NAME", help="登录账号（必填）")] = "",
    key_file: Annotated[str, typer.Option(metavar="FILE", help="OpenSSH 私钥文件")] = "",
    password_env: Annotated[
        str, typer.Option(metavar="VAR", help="存放口令的环境变量；与 --key-file 二选一")
    ] = "",
    host_key: Annotated[
        str,
        typer.Option(metavar="'TYPE BASE64'", help="已与客户核对的主机密钥；缺省只显示，不登录"),
    ] = "",
    authorised_by: Annotated[
        str, typer.Option(metavar="NAME", help="授权本次登录的客户方人员（必填）")
    ] = "",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="写到这个文件；缺省打印")] = None,
) -> None:
    """登录一台主机，只读查看，起草站点文件，供人核对后使用。"""
    from mailcare.files import write_whole
    from mailcare.inspection.discover import Request, ShownKey, look_at
    from mailcare.progress import following

    if out and out.exists():
        raise InputError("文件已存在，不会覆盖；请另取文件名", subject=str(out))
    request = Request(host, port, login, key_file, password_env, host_key, authorised_by)
    with following() as progress:
        found = look_at(request, progress)
    if isinstance(found, ShownKey):
        typer.echo(f"主机密钥：{found.host_key}\n指纹：{found.fingerprint}")
        raise InputError(NO_KEY.format(key=found.host_key), subject=host)
    if out:
        typer.echo(
            f"{write_whole(out, found.encode())}：草稿已写好，请逐项核对「待填写」与「待确认」"
        )
    else:
        typer.echo(found, nl=False)
