"""The fields that a site file is made of: names, addresses, files, and where a secret is kept."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, model_validator

from mailcare.addresses import BadAddress, parse_address
from mailcare.systems.complaints import MAIL_ADDRESS
from mailcare.systems.profile import Strict


def _absolute(value: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base", Path())
    return (base / value.expanduser()).absolute()


def _ip(value: str) -> str:
    return str(ip_address(value))


def _sendable(value: str) -> str:
    try:
        parse_address(value)
    except BadAddress:
        raise ValueError("应为“用户名@域名”，且只含 ASCII 字符") from None
    return value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_-]*\.?)*$")]
Address = Annotated[str, AfterValidator(_ip)]
FileName = Annotated[Path, AfterValidator(_absolute)]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
MailAddress = Annotated[str, StringConstraints(pattern=MAIL_ADDRESS), AfterValidator(_sendable)]


class Credential(Strict):
    """A login and where its secret is kept: exactly one of the four places."""

    login: Text
    connection: Text | None = None
    password_env: EnvName | None = None
    password_file: FileName | None = None
    key_file: FileName | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = (self.connection, self.password_env, self.password_file, self.key_file)
        if sum(place is not None for place in places) != 1:
            raise ValueError("connection、password_env、password_file、key_file 必须且只能填写一个")
        return self
