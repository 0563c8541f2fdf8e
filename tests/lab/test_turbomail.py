"""The TurboMail profile on the stand-in: what the site file fills in is used, a gap is said."""

from pathlib import Path

import pytest

from lab import faults, matrix
from mailcare.inspection.check import Finding, Unmeasured
from mailcare.inspection.run import inspect_site
from mailcare.progress import Lines

SITE = Path(__file__).resolve().parents[2] / "lab" / "site-turbomail.yaml"

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


def test_the_profile_is_used_with_the_sites_overrides_and_its_gaps_are_said() -> None:
    faults.heal_all()
    results = inspect_site(SITE, [], bundle=None, progress=Lines()).results
    [version] = [one for one in results if one.check == "app.version"]
    assert isinstance(version, Finding)
    assert "5.2" in version.summary
    gaps = [one for one in results if one.check.startswith("queue.")]
    assert gaps
    assert all(isinstance(one, Unmeasured) and "未填写 queue" in one.reason for one in gaps)
    flaws = [one for one in results if one.check == "app.advisory"]
    assert {one.target.part for one in flaws} == {"TM-2022-viewfile", "TM-2025-pm"}
    raised = {one.check for one in matrix.raised(results)}
    assert raised == {one.check for one in gaps} | {"app.advisory"}
