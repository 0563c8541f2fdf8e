from datetime import UTC, datetime, timedelta

from mailcare.backup.evidence import Finding, finding_json
from mailcare.backup.freshness import FreshFacts, Size
from mailcare.backup.history import history_of, unmended
from mailcare.backup.verdicts import Level

DAY = timedelta(days=1)
FIRST = datetime(2026, 11, 1, 2, tzinfo=UTC)


def size(day: int, messages: int | None = None) -> Size:
    return Size(f"mail-{day}", FIRST + day * DAY, 1000 + day, messages)


def statement(newest: Size, *earlier: Size):
    at = newest.started_at + DAY / 4
    facts = FreshFacts(
        at, 26, newest.generation, newest.started_at, True, newest.size_bytes, newest.messages,
        None, None, earlier,
    )  # fmt: skip
    findings = [finding_json(Finding(Level.L1, newest.generation, facts))]
    return "sha", {"sequence": 1, "finished_at": at.isoformat(), "findings": findings}


def test_generations_that_were_there_before_the_first_verification_are_in_the_sizes():
    past = history_of([statement(size(3, 30), size(1), size(2))])
    assert past.sizes == (size(1), size(2), size(3, 30))


def test_what_was_counted_itself_is_kept_beside_what_a_later_listing_shows():
    told = [statement(size(3, 30), size(2)), statement(size(4, 40), size(2), size(3))]
    assert history_of(told).sizes == (size(2), size(3, 30), size(4, 40))


def read(shard: int, of: int, verdict: str, *, is_finished: bool = True):
    facts = {"shard": shard, "shards": of, "is_finished": is_finished}
    return {"findings": [{"facts_kind": "integrity", "verdict": verdict, "facts": facts}]}


def stands(*said) -> int | None:
    """Say which of the statements, in order, has the failure that stands."""
    return unmended(reversed([*enumerate(said)]))


def test_a_failed_shard_stands_while_others_are_sound():
    assert stands(read(0, 1, "PASS"), read(2, 7, "FAIL"), read(3, 7, "PASS")) == 1


def test_a_failed_shard_is_mended_when_it_or_all_was_read_again():
    failed = read(0, 1, "PASS"), read(2, 7, "FAIL")
    assert stands(*failed, read(2, 7, "PASS")) is None
    assert stands(*failed, read(0, 1, "PASS"), read(3, 7, "PASS")) is None
    assert stands(*failed, {"findings": []}) == 1
    assert stands(*failed, read(2, 7, "DEGRADED", is_finished=False)) == 1


def test_what_failed_as_a_whole_stands_until_all_was_read_again():
    shards = [read(number, 3, "PASS") for number in range(3)]
    assert stands(read(0, 1, "FAIL"), *shards) == 0
    assert stands(read(0, 1, "FAIL"), *shards, read(0, 1, "PASS")) is None
