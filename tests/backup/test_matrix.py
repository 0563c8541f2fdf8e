"""The matrix: what contracts promise stands in it, verified or not, and no better than it is."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
import time_machine

from mailcare.backup import steps
from mailcare.backup.matrix import RANKED, Standing
from mailcare.errors import InputError
from mailcare.listing import Wish
from tests.backup.copies import cover, declare, looked

NOW = datetime(2026, 11, 30, 2, tzinfo=UTC)
DAY = timedelta(days=1)
ALL = dict.fromkeys(("L0", "L1", "L2"), "PASS")
WORSE = Wish(sort="verdict")


@pytest.fixture
def bank(database_url, tmp_path, monkeypatch):
    monkeypatch.setenv("MAILCARE_DB_URL", database_url)
    with time_machine.travel(NOW, tick=False):
        yield tmp_path


def copies(wish=WORSE):
    page = steps.list_copies(wish)
    assert page.total >= len(page.rows)
    return {one.copy: one for one in page.rows}


def test_a_promised_copy_stands_in_it_before_anything_was_verified(bank):
    declare(bank, "nightly")
    assert copies() == {}, "no contract promises it yet"
    cover("bank")
    [one] = copies().values()
    assert one.standing is Standing.NEVER
    assert (one.verdict, one.verified_at, one.reason) == (None, None, "")
    assert {level: cell.verdict for level, cell in one.levels.items()} == dict.fromkeys(
        ALL, Standing.NEVER
    )
    assert [run["conf"]["site"] for run in steps.routine_runs(now=NOW)] == ["bank"]
    assert steps.copy_detail(one.system_id, "nightly") == one


def test_a_copy_that_no_run_could_look_at_stays_never_verified_and_says_why(bank):
    declare(bank, "nightly")
    cover("bank")
    asked = dict.fromkeys(ALL, "NOT_RUN")
    looked("nightly", NOW - 3 * DAY, reason="mx1：没有有效的授权", **asked)
    looked("nightly", NOW - DAY / 24, reason="mx1：没有有效的授权；首次验证已过 3 天", **asked)
    one = copies()["nightly"]
    assert (one.standing, one.verified_at) == (Standing.NEVER, None)
    assert one.reason == "L0 副本与备份代：mx1：没有有效的授权；首次验证已过 3 天"
    assert {cell.verdict for cell in one.levels.values()} == {Standing.NEVER}
    assert all(cell.is_overdue for cell in one.levels.values())


def test_a_level_that_was_promised_and_never_run_keeps_the_copy_from_passing(bank):
    declare(bank, "nightly", policy="L3: null, L4: 7, L5: null")
    cover("bank")
    looked("nightly", NOW - 3 * DAY, **ALL)
    looked("nightly", NOW, **ALL)
    one = copies()["nightly"]
    assert (one.standing, one.verdict) == (Standing.NOT_RUN, "PASS")
    assert one.reason == "L4 恢复演练：从未验证"
    assert one.levels["L0"].verdict is Standing.PASS
    with time_machine.travel(NOW + 5 * DAY, tick=False):
        looked("nightly", NOW + 5 * DAY, **ALL)
        one = copies()["nightly"]
    assert one.standing is Standing.DEGRADED
    assert one.levels["L4"].is_overdue
    assert one.reason == "L4 恢复演练：首次验证已过 8 天，从未完成，约定至少每 7 天一次"


def test_what_passed_is_overdue_when_no_run_came_for_longer_than_promised(bank):
    declare(bank, "nightly")
    cover("bank")
    looked("nightly", NOW - 1.4 * DAY, **ALL)
    assert copies()["nightly"].standing is Standing.PASS, "today's run may still be coming"
    with time_machine.travel(NOW + 3 * DAY, tick=False):
        one = copies()["nightly"]
    assert one.standing is Standing.DEGRADED
    assert one.levels["L1"].verdict is Standing.PASS
    assert (one.levels["L1"].is_overdue, one.levels["L1"].age_days) == (True, 4)
    assert "约定至少每 1 天一次" in one.reason
    assert one.verified_at == NOW - 1.4 * DAY


def test_a_failed_level_stands_until_it_is_run_again(bank):
    declare(bank, "nightly", policy="L3: null, L4: 7, L5: null")
    cover("bank")
    looked("nightly", NOW - 2 * DAY, **ALL, L4="FAIL")
    looked("nightly", NOW - DAY, **ALL)
    one = copies()["nightly"]
    assert (one.standing, one.verdict) == (Standing.FAIL, "PASS")
    assert one.reason == "L4 恢复演练：L4 有问题"
    looked("nightly", NOW, **ALL, L4="PASS")
    assert copies()["nightly"].standing is Standing.PASS


def test_the_worst_stand_first_over_all_pages_and_are_found_by_their_word(bank):
    declare(bank, *(f"copy-{number}" for number in range(7)), "old")
    cover("bank")
    said = ("PASS", "NOT_RUN", "FAIL", None, "DEGRADED", "PASS")
    for number, verdict in enumerate(said):
        if verdict:
            looked(f"copy-{number}", NOW - DAY, **ALL)
            looked(f"copy-{number}", NOW, **ALL | {"L1": verdict})
    looked("old", NOW, **ALL | {"L2": "FAIL"})
    declare(bank, *(f"copy-{number}" for number in range(7)))
    order = [2, 3, 6, 4, 1, 0, 5]
    wanted = [*(f"copy-{number}" for number in order), "old"]
    pages = [steps.list_copies(Wish(sort="verdict", page=page, rows=3)) for page in (1, 2, 3)]
    assert [one.copy for page in pages for one in page.rows] == wanted
    assert {page.total for page in pages} == {8}
    assert [*copies(Wish(sort="verdict", rows=0))] == wanted
    assert next(iter(copies(Wish(sort="verdict", is_descending=True)))) == "old"
    assert [*copies(Wish(text="从未"))] == ["copy-3", "copy-6"]
    assert [*copies(Wish(text="合同外"))] == ["old"]


def test_what_no_contract_in_force_promises_stays_as_long_as_there_is_evidence(bank):
    declare(bank, "nightly", "gone")
    declare(bank, "nightly", site="branch")
    cover("bank", ends_on="2026-12-01")
    looked("nightly", NOW, **ALL)
    looked("nightly", NOW, site="branch", **ALL)
    gone, nightly, branch = steps.list_copies(WORSE).rows
    assert (gone.copy, gone.standing) == ("gone", Standing.NEVER)
    assert (nightly.standing, branch.standing) == (Standing.PASS, Standing.OUTSIDE)
    assert (branch.verdict, branch.levels["L0"].verdict) == ("PASS", Standing.PASS)
    with time_machine.travel(NOW + 3 * DAY, tick=False):
        rows = steps.list_copies(Wish()).rows
    assert [(one.copy, one.standing) for one in rows] == [("nightly", Standing.OUTSIDE)] * 2
    assert [one.verified_at for one in rows] == [NOW, NOW]


def test_a_contract_without_remote_service_promises_no_verification(bank):
    declare(bank, "nightly")
    cover("bank", remote_service=False, visits_per_year=1)
    assert copies() == {}
    assert steps.routine_runs(now=NOW) == []


def test_an_unknown_copy_is_refused(bank):
    declare(bank, "nightly")
    cover("bank")
    [one] = copies().values()
    with pytest.raises(InputError, match="没有这个备份副本"):
        steps.copy_detail(one.system_id, "other")


def test_a_copy_stands_as_its_worst_promised_level(bank):
    cases = [*product((None, "FAIL", "DEGRADED", "NOT_RUN", "PASS"), (0, 5, 9), ("PASS", "FAIL"))]
    names = [f"copy-{number}" for number in range(len(cases))]
    declare(bank, *names, policy="L1: null, L2: null, L3: null, L4: 7, L5: null")
    cover("bank")
    for name, (drill, age, listing) in zip(names, cases, strict=True):
        looked(name, NOW - age * DAY, L0="PASS", **({"L4": drill} if drill else {}))
        looked(name, NOW, L0=listing)
    found = copies(Wish(rows=0))
    assert len(found) == len(cases)
    for one in found.values():
        weights = [Standing.NOT_RUN if cell.standing is Standing.NEVER else cell.standing
                   for cell in one.levels.values()]  # fmt: skip
        assert one.standing is min(weights, key=RANKED.index), one
    assert {one.standing for one in found.values()} >= {
        Standing.FAIL,
        Standing.DEGRADED,
        Standing.NOT_RUN,
        Standing.PASS,
    }
