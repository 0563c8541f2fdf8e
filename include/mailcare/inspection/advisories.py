"""The list of known flaws that is shipped with the product, and how a version is held against it.

Judged by version alone, never by trying. Distributions mend flaws without taking the maker's next
version: a package is compared with its own distribution's fixed version only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache, cmp_to_key
from importlib import resources
from typing import Any

import yaml

from mailcare.inspection.check import Severity
from mailcare.inspection.packages import Package, Packages
from mailcare.inspection.versions import compare_deb, compare_rpm, compare_upstream

_SEVERITIES = {
    "critical": Severity.CRITICAL,
    "high": Severity.WARNING,
    "medium": Severity.NOTICE,
}
_MINOR_RELEASE = re.compile(r"\.el\d+_\d+")
_KERNEL_IMAGE = re.compile(r"^linux-image-(?:unsigned-)?\d|^kernel(?:-core|-default)?$")


@dataclass(frozen=True, slots=True)
class Range:
    """Versions of a maker, from `start` (empty: the first) to before `end`, or `only` one."""

    start: str = ""
    end: str = ""
    only: str = ""

    def holds(self, version: str) -> bool:
        """Tell whether a version is in the range."""
        if self.only:
            return compare_upstream(version, self.only) == 0
        is_late = not self.start or compare_upstream(version, self.start) >= 0
        return is_late and compare_upstream(version, self.end) < 0


@dataclass(frozen=True, slots=True)
class Advisory:
    """A known flaw of a mail product.

    `affected` is None where nobody has said which versions are: each must then be taken for it.
    `package` is the distribution's package that the product may come as; `fixed` is written out.
    """

    name: str
    profiles: tuple[str, ...]
    title: str
    severity: Severity
    affected: tuple[Range, ...] | None
    source: str
    text: str
    remedy: str
    fixed: str = ""
    package: str = ""

    def concerns(self, version: str) -> bool:
        """Tell whether a version is affected, or cannot be ruled out."""
        return self.affected is None or any(each.holds(version) for each in self.affected)


@dataclass(frozen=True, slots=True)
class Bug:
    """A serious bug of a distribution's package; `fixed` maps a release to its good versions."""

    name: str
    title: str
    severity: Severity
    fixed: Mapping[str, tuple[str, ...]]
    source: str
    remedy: str
    deb_source: str = ""
    deb_package: str = ""
    rpm_package: str = ""
    is_kernel: bool = False

    def installed(self, packages: Packages) -> tuple[Package, ...]:
        """Return the installed packages that the bug is in."""
        if self.is_kernel:
            return tuple(one for one in packages.installed if _KERNEL_IMAGE.match(one.name))
        if packages.is_rpm:
            return packages.named(self.rpm_package)
        if self.deb_package:
            return packages.named(self.deb_package)
        return packages.built_from(self.deb_source)


@dataclass(frozen=True, slots=True)
class Advisories:
    """The whole list: `releases` are those that the bugs are known for."""

    as_of: date
    products: tuple[Advisory, ...]
    releases: frozenset[str]
    bugs: tuple[Bug, ...]

    def of_product(self, profile: str) -> tuple[Advisory, ...]:
        """Return the advisories about a product."""
        return tuple(one for one in self.products if profile in one.profiles)

    def of_release(self, release: str) -> tuple[Bug, ...]:
        """Return the bugs that a release had, with its fixed version."""
        return tuple(one for one in self.bugs if release in one.fixed)


@dataclass(frozen=True, slots=True)
class Standing:
    """The package that decides whether a host has a bug, and the version it should have."""

    name: str
    version: str
    fixed: str
    is_mended: bool


def standing(bug: Bug, release: str, packages: Packages) -> Standing | None:
    """Return how a host stands to a bug; None where the package is not there.

    Of several versions of a kernel the newest decides: an older one is kept to fall back to.
    """
    order = compare_rpm if packages.is_rpm else compare_deb
    versions = [(one.name, _version(one, bug)) for one in bug.installed(packages)]
    if not versions:
        return None
    by_age = sorted(versions, key=cmp_to_key(lambda one, two: order(one[1], two[1])))
    name, version = by_age[-1 if bug.is_kernel else 0]
    fixed = _wanted(bug.fixed[release], version)
    return Standing(name, version, fixed, order(version, fixed) >= 0)


def _version(package: Package, bug: Bug) -> str:
    # A signed kernel has a source of its own, with a version of its own.
    return package.version if bug.is_kernel else package.source_version or package.version


def _wanted(fixed: tuple[str, ...], version: str) -> str:
    # A minor release that is kept going by itself gets the fix under its own number.
    own = (one for one in fixed if _minor_release(one) == _minor_release(version))
    return next(own, fixed[0])


def _minor_release(version: str) -> str:
    found = _MINOR_RELEASE.search(version)
    return found[0] if found else ""


@cache
def known_advisories() -> Advisories:
    """Return the shipped list."""
    text = (resources.files("mailcare.inspection") / "advisories.yaml").read_text("utf-8")
    data = yaml.safe_load(text)
    return Advisories(
        data["as_of"],
        tuple(map(_advisory, data["products"])),
        frozenset(data["packages"]["releases"]),
        tuple(map(_bug, data["packages"]["bugs"])),
    )


def _advisory(entry: Mapping[str, Any]) -> Advisory:
    affected = entry["affected"]
    return Advisory(
        name=entry["id"],
        profiles=tuple(entry["profiles"]),
        title=entry["title"],
        severity=_severity(entry),
        affected=None if affected == "*" else tuple(map(_range, affected)),
        source=entry["source"],
        text=entry["text"],
        remedy=entry["remedy"],
        fixed=entry["fixed"] or "",
        package=entry.get("package", ""),
    )


def _severity(entry: Mapping[str, Any]) -> Severity:
    # What has a fix that is not installed needs the update, however it is rated.
    least = Severity.WARNING if entry["fixed"] else Severity.NOTICE
    return max(_SEVERITIES[entry["severity"]], least)


def _range(entry: Mapping[str, str]) -> Range:
    return Range(entry.get("from", ""), entry.get("before", ""), entry.get("only", ""))


def _bug(entry: Mapping[str, Any]) -> Bug:
    return Bug(
        name=entry["id"],
        title=entry["title"],
        severity=_severity(entry),
        fixed={release: _several(fixed) for release, fixed in entry["fixed"].items()},
        source=entry["source"],
        remedy=entry["remedy"],
        deb_source=entry.get("deb_source", ""),
        deb_package=entry.get("deb_package", ""),
        rpm_package=entry.get("rpm_package", ""),
        is_kernel=entry.get("kernel", False),
    )


def _several(fixed: str | list[str]) -> tuple[str, ...]:
    return (fixed,) if isinstance(fixed, str) else tuple(fixed)
