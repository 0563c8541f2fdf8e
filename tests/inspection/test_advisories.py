"""The shipped list of flaws is whole, and a host is held against its own release's versions."""

from datetime import date

import pytest

from mailcare.inspection.advisories import Range, known_advisories, standing
from mailcare.inspection.check import Severity
from mailcare.inspection.packages import Package, Packages
from mailcare.inspection.versions import compare_deb, compare_rpm
from mailcare.systems.profile import profile_names

LIST = known_advisories()


def bug(name: str, source: str = ""):
    return next(one for one in LIST.bugs if one.name == name and source in one.deb_source)


def rpm(*rows: tuple[str, str]) -> Packages:
    return Packages(True, tuple(Package(*row) for row in rows))


def test_the_list_is_dated_and_long_enough_to_be_of_use():
    assert isinstance(LIST.as_of, date)
    assert 20 <= len(LIST.bugs) <= 60
    assert len(LIST.products) >= 3


@pytest.mark.parametrize("entry", LIST.bugs, ids=lambda entry: f"{entry.name} {entry.title[:8]}")
def test_a_bug_says_what_it_is_where_it_is_mended_and_what_to_do(entry):
    assert entry.title
    assert entry.source
    assert entry.remedy.endswith("。")
    assert entry.fixed
    assert set(entry.fixed) <= LIST.releases
    for release, versions in entry.fixed.items():
        is_deb = release.startswith(("debian", "ubuntu"))
        named = entry.deb_source or entry.deb_package if is_deb else entry.rpm_package
        assert named or entry.is_kernel, f"{release} does not know the package"
        order = compare_deb if is_deb else compare_rpm
        assert all(order(versions[0], other) >= 0 for other in versions), "the newest stands first"


@pytest.mark.parametrize("entry", LIST.products, ids=lambda entry: entry.name)
def test_an_advisory_belongs_to_a_shipped_profile(entry):
    assert set(entry.profiles) <= set(profile_names())
    assert entry.text
    assert entry.remedy
    assert entry.source


def test_no_bug_is_told_twice_of_one_package():
    told = [(one.name, one.deb_source, one.deb_package, one.rpm_package) for one in LIST.bugs]
    assert len(set(told)) == len(told)


def test_every_release_has_bugs_to_compare_with():
    assert all(len(LIST.of_release(release)) >= 5 for release in LIST.releases)


def test_a_release_that_is_not_listed_has_none():
    assert LIST.of_release("kylin-V10") == ()


@pytest.mark.parametrize(
    ("version", "is_mended"),
    [
        ("0:2.28-251.el8_10.1", True),
        ("0:2.28-251.el8", False),
        ("0:2.28-225.el8_8.11", True),
        ("0:2.28-225.el8_8.10", False),
        ("0:2.28-260.el8_11.3", True),
    ],
)
def test_a_minor_release_is_held_against_its_own_fix(version, is_mended):
    stands = standing(bug("CVE-2024-2961"), "rhel-8", rpm(("glibc", version)))
    assert stands is not None
    assert stands.is_mended is is_mended


def test_of_two_kernels_the_newest_decides():
    kernels = rpm(("kernel-core", "0:5.14.0-1.el9"), ("kernel-core", "0:5.14.0-999.el9"))
    stands = standing(bug("CVE-2024-1086"), "almalinux-9", kernels)
    assert stands is not None
    assert stands.is_mended


def test_of_two_libraries_the_oldest_decides():
    libraries = rpm(("glibc", "0:2.34-1.el9"), ("glibc", "0:2.34-999.el9"))
    stands = standing(bug("CVE-2024-2961"), "almalinux-9", libraries)
    assert stands is not None
    assert not stands.is_mended


def test_a_package_that_is_not_there_has_no_bug():
    assert standing(bug("CVE-2023-42115"), "debian-12", rpm(("glibc", "0:1-1"))) is None


@pytest.mark.parametrize(
    ("version", "is_in"),
    [("2.10.1", True), ("3.5.22", True), ("3.5.23", False), ("3.6.0", True), ("3.9.0", False)],
)
def test_a_branch_is_affected_up_to_its_own_fix(version, is_in):
    advisory = next(one for one in LIST.products if one.name == "CVE-2023-51764")
    assert advisory.concerns(version) is is_in


def test_one_version_may_be_named_alone():
    only = Range(only="5.2.0")
    assert only.holds("5.2")
    assert not only.holds("5.2.1")


def test_where_nobody_said_which_versions_are_affected_none_is_ruled_out():
    advisory = next(one for one in LIST.products if one.name == "TM-2022-viewfile")
    assert advisory.concerns("99.0")
    assert advisory.severity is Severity.WARNING
