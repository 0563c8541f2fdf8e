"""Find the secret that a credential names; the secret itself never leaves memory."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mailcare.errors import InputError
from mailcare.systems.site import Credential


@dataclass(frozen=True, slots=True)
class Secret:
    """A password or the text of an OpenSSH private key; neither shows in a repr."""

    login: str
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)


FindSecret = Callable[[Credential], Secret]


def find_secret(credential: Credential) -> Secret:
    """Return the secret from its file, environment variable or Airflow connection.

    Raise `InputError` where it is not there.
    """
    if credential.key_file:
        return Secret(credential.login, private_key=_read(credential.key_file))
    if credential.password_file:
        return Secret(credential.login, password=_read(credential.password_file).strip())
    if credential.password_env:
        return Secret(credential.login, password=_environment(credential.password_env))
    return _connection(credential.login, credential.connection or "")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"密钥或口令文件无法读取（{error}）", subject=str(path)) from None


def _environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise InputError("环境变量没有设置", subject=name)
    return value


def _connection(login: str, conn_id: str) -> Secret:
    # Only tasks ask for a connection; the command line stays free of Airflow's start-up time.
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import (
        AirflowNotFoundException,
        AirflowRuntimeError,
        AirflowSecretsBackendAccessDenied,
    )

    try:
        connection = Connection.get(conn_id)
    except (AirflowNotFoundException, AirflowRuntimeError) as error:
        raise InputError("没有这个 Airflow 连接", subject=conn_id) from error
    except AirflowSecretsBackendAccessDenied as error:
        raise InputError("没有读取这个 Airflow 连接的权限", subject=conn_id) from error
    key = connection.extra_dejson.get("private_key")
    return Secret(connection.login or login, connection.password, key)
