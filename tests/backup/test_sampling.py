"""The sample covers every mailbox, is the same for the same seed, and no more than it needs."""

import random
from collections import Counter
from datetime import date

from mailcare.backup.sampling import Candidate, Sample, draw, seed_of

SEED = seed_of("5f2e", date(2026, 11, 28), "示例银行")


def population(mailboxes: int = 20, messages: int = 100) -> list[Candidate]:
    return [
        Candidate(
            f"{box}/{number}".encode(), f"u{box}", 1000 + number * 37 % 5000, float(number + box)
        )
        for box in range(mailboxes)
        for number in range(messages)
    ]


def drawn_from(everything: list[Candidate], seed: str = SEED, uniform: int = 50) -> Sample:
    mailboxes = len({one.mailbox for one in everything})
    return draw(iter(everything), seed=seed, mailboxes=mailboxes, uniform=uniform)


def test_every_mailbox_gives_its_newest_and_its_oldest():
    everything = population()
    keys = {one.key for one in drawn_from(everything).chosen}
    for box in range(20):
        assert {f"{box}/0".encode(), f"{box}/99".encode()} <= keys


def test_the_largest_hundredth_is_in_it():
    everything = population()
    largest = sorted(everything, key=lambda one: (one.size_bytes, one.key))[-20:]
    assert {one.key for one in largest} <= {one.key for one in drawn_from(everything).chosen}


def test_the_rest_is_drawn_apart_from_what_is_chosen():
    sample = drawn_from(population())
    assert len(sample.drawn) == 50
    assert len({one.key for one in sample}) == len(sample)
    assert (sample.population, sample.mailboxes) == (2000, 20)


def test_the_same_seed_gives_the_same_sample_in_any_order():
    everything = population()
    shuffled = random.Random(7).sample(everything, len(everything))
    assert drawn_from(everything) == drawn_from(shuffled)


def test_another_day_customer_or_content_gives_another_sample():
    everything = population()
    root, day, customer = "5f2e", date(2026, 11, 28), "示例银行"
    seeds = [
        seed_of(root, day, customer),
        seed_of("5f2f", day, customer),
        seed_of(root, date(2026, 11, 29), customer),
        seed_of(root, day, "示例证券"),
    ]
    assert len({drawn_from(everything, seed).drawn for seed in seeds}) == len(seeds)


def test_a_mailbox_of_one_message_is_chosen_once():
    sample = drawn_from([Candidate(b"only", "u", 5, 1.0)])
    assert [one.key for one in sample] == [b"only"]


def test_an_empty_population_gives_an_empty_sample():
    sample = drawn_from([])
    assert (len(sample), sample.population, sample.mailboxes) == (0, 0, 0)


def test_the_draw_favours_nobody():
    everything = [Candidate(str(number).encode(), "u", 1, 0.0) for number in range(100)]
    seen = Counter(
        one.key
        for trial in range(200)
        for one in drawn_from(everything, seed=str(trial), uniform=20).drawn
    )
    drawable = seen.most_common()
    assert len(drawable) > 95
    assert min(seen.values()) > 15
    assert max(seen.values()) < 75
