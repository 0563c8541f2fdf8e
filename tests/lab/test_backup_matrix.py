"""Real backups of the lab's mail: sound ones pass every level over SSH, a damaged one does not.

`make lab-backup-matrix` tries every damage on every kind of copy.
"""

import pytest

from lab import backup_matrix, backups
from mailcare.backup.verdicts import Level, Verdict

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab", "backed_up")]


@pytest.fixture(scope="module")
def backed_up(lab):
    backups.make_all()


def test_every_damage_names_who_must_find_it():
    for damage in backups.DAMAGES:
        assert damage.found_by
        assert set(damage.found_by) <= set(backups.KINDS)


def test_sound_copies_of_a_real_store_pass_every_level():
    found = backup_matrix.verify(("zst", "restic"), Level.L5)
    for levels, reason in found.values():
        assert set(levels.values()) == {Verdict.PASS}, reason
        assert list(levels) == list(Level)


def test_a_message_that_was_left_out_is_found_in_every_kind_of_copy():
    rows = list(backup_matrix.examine(backup_matrix.damage_of("message-missing")))
    assert [row.kind for row in rows] == list(backups.KINDS)
    assert all(row.is_right() for row in rows)
