import threading

from mailcare import progress
from mailcare.progress import Lines, going_on


class Noted(Lines):
    """Counts what is noted."""

    def __init__(self):
        super().__init__("验证", 6)
        self.notes = []
        self.came = threading.Semaphore(0)

    def note(self, detail):
        self.notes.append(detail)
        self.came.release()


def test_work_that_takes_long_gives_signs_until_it_ends(monkeypatch):
    monkeypatch.setattr(progress, "FIRST_SIGN_S", 0.01)
    noted = Noted()
    with going_on(noted, "L4 进行中"):
        for _ in range(3):
            assert noted.came.acquire(timeout=30)
    assert not [one for one in threading.enumerate() if one.name == "going on"]
    assert all(one.startswith("L4 进行中（已 ") for one in noted.notes)
