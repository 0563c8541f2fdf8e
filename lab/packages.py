"""What the package managers of mx1 and bak1 tell: a view, the same on every machine.

The hosts run the machine's own programs; which packages those came from, and which are waiting,
must not depend on the machine. The view shows a Debian 12 whose security archive was read just now.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lab.commands import run
from lab.topology import MX1, MX2, Host

STATUS = "var/lib/dpkg/status"
RELEASE_LIST = "var/lib/apt/lists/security.example_debian-security_dists_bookworm-security_Release"
SOURCES = "deb [trusted=yes] http://security.example/debian-security bookworm-security main\n"
RELEASE = """\
Origin: Debian
Label: Debian-Security
Suite: oldstable-security
Version: 12
Codename: bookworm-security
Date: Mon, 05 Jan 2026 00:00:00 UTC
Architectures: all amd64 arm64
Components: main
"""


@dataclass(frozen=True, slots=True)
class Package:
    """A package, with the source that it was built from where that has another name."""

    name: str
    version: str
    source: str = ""

    @property
    def fields(self) -> str:
        """Write what both dpkg and apt want to know of it."""
        source = f"Source: {self.source}\n" if self.source else ""
        return (
            f"Package: {self.name}\n{source}Version: {self.version}\nArchitecture: all\n"
            "Maintainer: lab <lab@shili-bank.example>\nDescription: a package of the lab's view\n"
        )


_EVERYWHERE = (
    Package("libc6", "2.36-9+deb12u14", "glibc"),
    Package("libssl3", "3.0.22-1~deb12u2", "openssl"),
    Package("openssh-server", "1:9.2p1-2+deb12u10", "openssh"),
    Package("openssl", "3.0.22-1~deb12u2"),
    Package("rsync", "3.2.7-1+deb12u5"),
    Package("sudo", "1.9.13p3-1+deb12u4"),
)
_FOR_MAIL = (
    Package("dovecot-core", "1:2.3.19.1+dfsg1-2.1+deb12u7", "dovecot"),
    Package("dovecot-imapd", "1:2.3.19.1+dfsg1-2.1+deb12u7", "dovecot"),
    Package("nginx-light", "1.22.1-9+deb12u11", "nginx"),
    Package("opendkim", "2.11.0~beta2-8+deb12u1"),
    Package("postfix", "3.7.11-0+deb12u1"),
    Package("roundcube-core", "1.6.5+dfsg-1+deb12u13", "roundcube"),
)


def packages_of(host: Host) -> tuple[Package, ...]:
    """List what a healthy host has installed."""
    return (*_EVERYWHERE, *_FOR_MAIL) if host in (MX1, MX2) else _EVERYWHERE


def at_version(packages: Iterable[Package], name: str, version: str) -> tuple[Package, ...]:
    """List the packages with one of them, and all else of its source, at another version."""
    listed = tuple(packages)
    source = next(one.source or one.name for one in listed if one.name == name)
    return tuple(
        replace(one, version=version) if (one.source or one.name) == source else one
        for one in listed
    )


def status(packages: Sequence[Package]) -> str:
    """Write dpkg's list of installed packages."""
    return "".join(f"{one.fields}Status: install ok installed\n\n" for one in packages)


def packages_list() -> str:
    """Name apt's list of the packages in the security archive, for this machine's processor."""
    processor = run(["dpkg", "--print-architecture"]).strip()
    folder = RELEASE_LIST.removesuffix("Release")
    return f"{folder}main_binary-{processor}_Packages"


def archive(packages: Sequence[Package]) -> str:
    """Write apt's list of the packages that the archive offers."""
    return "".join(
        f"{one.fields}Filename: pool/{one.name}.deb\nSize: 1\nSHA256: {'0' * 64}\n\n"
        for one in packages
    )
