from datetime import timedelta

import pytest

from mailcare.delivery.patience import CHAT, JITTER, MAIL, Patience, wait_after


@pytest.mark.parametrize("patience", [MAIL, CHAT])
def test_waits_grow_up_to_the_longest_and_end(patience: Patience) -> None:
    waits = [wait_after(patience, tries=tries, key="k") for tries in range(1, patience.tries_most)]

    assert all(waits)
    assert all(patience.first <= wait <= patience.most * (1 + JITTER) for wait in waits)
    assert waits[-1] >= patience.most
    assert wait_after(patience, tries=patience.tries_most, key="k") is None


def test_letters_refused_together_come_back_apart() -> None:
    waits = {wait_after(MAIL, tries=1, key=f"letter/{number}") for number in range(20)}

    assert len(waits) == 20


def test_mail_is_tried_for_four_days_and_soon_after_greylisting() -> None:
    waits = [
        wait
        for tries in range(1, MAIL.tries_most)
        if (wait := wait_after(MAIL, tries=tries, key="k"))
    ]

    assert sum(waits, timedelta()) > timedelta(days=4)
    assert sum(waits[:3], timedelta()) < timedelta(minutes=10)


def test_a_silent_chat_gives_way_to_mail_within_minutes() -> None:
    waits = [
        wait
        for tries in range(1, CHAT.tries_most)
        if (wait := wait_after(CHAT, tries=tries, key="k"))
    ]

    assert sum(waits, timedelta()) < timedelta(minutes=4)
