"""The packages that a host's own package manager has installed: how they are asked for and read."""

import re
from dataclasses import dataclass

from mailcare.inspection.check import Reply, ReplyError
from mailcare.inspection.hosts import NOT_FOUND, first_line, lines_of

# Either manager may be there as a mere tool of the other's distribution: dpkg's own list decides.
PACKAGES = (
    "sh",
    "-c",
    "if [ -s /var/lib/dpkg/status ]; then echo 'manager dpkg'; "
    "dpkg-query -W -f='${db:Status-Abbrev}\\t${Package}\\t${Version}\\t${source:Package}\\t"
    "${source:Version}\\n'; "
    "elif command -v rpm >/dev/null; then echo 'manager rpm'; "
    "rpm -qa --qf '%{NAME}\\t%|EPOCH?{%{EPOCH}}:{0}|:%{VERSION}-%{RELEASE}\\n'; "
    "else exit 127; fi",
)
PACKAGES_S = 30.0
_DPKG_ROW = re.compile(r"^[a-z][a-zA-Z].?\t([^\t]+)\t([^\t]+)\t([^\t]+)\t([^\t]+)$")
_RPM_ROW = re.compile(r"^([^\t ]+)\t(\d+:[^\t]+)$")
# The second letter of dpkg's status: files of a package that waits to be set up are there, too.
_INSTALLED = frozenset("iUFWt")
_RPM_ERROR = re.compile(r"^(?:error|rpmdb|BDB\d+):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package; `source` is what it was built from, and RPM does not tell it."""

    name: str
    version: str
    source: str = ""
    source_version: str = ""


@dataclass(frozen=True, slots=True)
class Packages:
    """All installed packages, `is_rpm` tells by which manager."""

    is_rpm: bool
    installed: tuple[Package, ...]

    def named(self, name: str) -> tuple[Package, ...]:
        """Return the packages of a name: a kernel's may be there in several versions."""
        return tuple(one for one in self.installed if one.name == name)

    def built_from(self, source: str) -> tuple[Package, ...]:
        """Return the packages that one source was built into; RPM does not tell."""
        return tuple(one for one in self.installed if source and one.source == source)


def read_packages(reply: Reply) -> Packages:
    """Read the answer to `PACKAGES`; raise `ReplyError` where it is not a whole list."""
    if reply.exit_code == NOT_FOUND:
        raise ReplyError("主机上没有 dpkg 或 rpm，无法列出已安装的软件包")
    head, *rows = lines_of(reply.text) or [""]
    if head not in ("manager dpkg", "manager rpm") or reply.exit_code != 0:
        raise ReplyError(
            f"软件包清单无法读取（退出码 {reply.exit_code}）：{first_line(reply.text)}"
        )
    is_rpm = head == "manager rpm"
    if is_rpm and (trouble := next(filter(_RPM_ERROR.match, rows), "")):
        raise ReplyError(f"rpm 报告错误，清单可能不全：{first_line(trouble)}")
    packages = [_rpm(row) if is_rpm else _dpkg(row) for row in rows]
    installed = tuple(one for one in packages if one)
    if not installed:
        raise ReplyError(f"软件包清单中没有一个已安装的软件包：{first_line(reply.text)}")
    return Packages(is_rpm, installed)


def _dpkg(row: str) -> Package | None:
    found = _DPKG_ROW.match(row)
    if not found or row[1] not in _INSTALLED:
        return None
    return Package(found[1], found[2], found[3], found[4])


def _rpm(row: str) -> Package | None:
    found = _RPM_ROW.match(row)
    return Package(found[1], found[2]) if found else None
