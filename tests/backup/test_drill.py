"""The restore drill on real files: what came back right, wrong, not at all, and what it proves."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailcare.backup import parsing
from mailcare.backup.drill import (
    Drilled,
    candidates,
    judge_drill,
    run_drill,
    scratch_folder,
)
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.opening import Outcome
from mailcare.backup.sampling import draw
from mailcare.backup.source import Message, NotReached, Restored
from mailcare.backup.trees import TreeStore
from mailcare.backup.verdicts import Verdict
from mailcare.systems.copies import StoreFormat
from tests.backup.stores import make_store
from tests.backup.test_opening import nested

SEED = "5eed"


def keeper(root: Path) -> TreeStore:
    return TreeStore(os.fsencode(root), StoreMap(StoreFormat.MAILDIR, "{domain}/{user}"))


@dataclass
class Losing:
    """A copy that does not give some messages back."""

    whole: TreeStore
    lost: set[bytes] = field(default_factory=set)

    def messages(self, mailboxes: Collection[str]) -> Iterator[Message]:
        return self.whole.messages(mailboxes)

    def restore(self, keys: Collection[bytes], scratch: Path) -> Iterator[Restored]:
        for one in self.whole.restore(keys, scratch):
            yield Restored(one.key, None, "坏块") if one.key in self.lost else one


@pytest.fixture
def stores(tmp_path):
    return make_store(tmp_path / "live"), make_store(tmp_path / "copy")


def unknown(_mailbox: str, _identity: bytes) -> None:
    """Know nothing of any message."""


def everyone(store: TreeStore) -> list[str]:
    return [row.mailbox for row in store.census().rows]


def drilled(copy, live=None, *, uniform=5, recorded=None, base=None, **how) -> Drilled:
    whole = getattr(copy, "whole", copy)
    sample = draw(
        candidates(whole.messages(everyone(whole))), mailboxes=9, seed=SEED, uniform=uniform
    )
    return run_drill(copy, live, sample, recorded=recorded or unknown, base=base, **how)


def said(done: Drilled, total_bytes: int | None = None) -> tuple[Verdict, str]:
    judgement = judge_drill(done, total_bytes=total_bytes)
    return judgement.verdict, "；".join(one.text for one in judgement.remarks)


def some(done: Drilled) -> bytes:
    return done.compared[0].key


def test_what_comes_back_as_it_is_in_the_live_store_passes(stores):
    live, copy = map(keeper, stores)
    done = drilled(copy, live)
    verdict, text = said(done, 10**12)
    assert verdict is Verdict.PASS
    assert {one.against for one in done.compared} == {"live"}
    assert "有邮件恢复成功的邮箱 4/4 个" in text
    assert "以 95% 的置信度" in text
    assert "恢复全部 1000.00 GB 约需" in text


def test_one_other_byte_fails(stores):
    live, copy = stores
    path = Path(os.fsdecode(copy), os.fsdecode(some(drilled(keeper(copy)))))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    verdict, text = said(drilled(keeper(copy), keeper(live)))
    assert verdict is Verdict.FAIL
    assert "与在线邮件内容不同" in text


def test_what_does_not_come_back_fails(stores):
    copy = keeper(stores[1])
    verdict, text = said(drilled(Losing(copy, {some(drilled(copy))})))
    assert verdict is Verdict.FAIL
    assert "坏块" in text


def test_a_mailbox_of_which_nothing_comes_back_is_counted(stores):
    copy = keeper(stores[1])
    lost = {one.key for one in copy.messages(["user2@bank.example"])}
    verdict, text = said(drilled(Losing(copy, lost)))
    assert verdict is Verdict.FAIL
    assert "有邮件恢复成功的邮箱 3/4 个" in text


def test_where_the_live_one_is_gone_the_record_counts(stores):
    copy = keeper(stores[1])
    done = drilled(copy)
    assert said(drilled(copy, recorded=lambda _mailbox, _name: "0" * 64))[0] is Verdict.FAIL
    assert {one.against for one in done.compared} == {"mail"}


def test_without_anything_to_compare_it_must_be_mail(stores):
    live, copy = stores
    assert live
    path = Path(os.fsdecode(copy), os.fsdecode(some(drilled(keeper(copy)))))
    path.write_bytes(os.urandom(path.stat().st_size))
    verdict, text = said(drilled(keeper(copy)))
    assert verdict is Verdict.FAIL
    assert "没有 From" in text


def test_what_cannot_be_taken_apart_passes_only_when_it_is_the_same(stores):
    live, copy = stores
    relative = os.fsdecode(some(drilled(keeper(copy))))
    text = nested(1100)
    for root in stores:
        path = (root / relative).parent / f"1790000000.M7.mx1,S={len(text)}:2,S"
        path.write_bytes(text)
    assert said(drilled(keeper(copy), keeper(live)))[0] is Verdict.PASS
    verdict, told = said(drilled(keeper(copy), uniform=50))
    assert verdict is Verdict.DEGRADED
    assert "嵌套过深" in told


def test_scratch_is_removed_whatever_happens(stores, tmp_path):
    base = tmp_path / "scratch"
    base.mkdir()
    drilled(keeper(stores[1]), base=base)

    class Breaking(Losing):
        def restore(self, keys, scratch):  # noqa: ARG002
            (scratch / "half").write_bytes(b"x")
            raise NotReached("unreachable", "中断")

    with pytest.raises(NotReached):
        drilled(Breaking(keeper(stores[1])), base=base)
    assert list(base.iterdir()) == []


def test_no_room_and_no_folder_are_no_verdict(tmp_path):
    for base, needed in ((tmp_path, 2**62), (tmp_path / "none", 0)):
        with pytest.raises(NotReached) as refused, scratch_folder(base, needed):
            pass
        assert refused.value.code == "scratch"
    assert list(tmp_path.iterdir()) == []


def test_a_message_that_eats_the_worker_is_intact_and_the_next_is_opened(tmp_path, monkeypatch):
    hard, easy = tmp_path / "hard", tmp_path / "easy"
    hard.write_bytes(nested(1500))
    easy.write_bytes(b"From: a@b\n\nhi\n")
    monkeypatch.setattr(parsing, "DEADLINE_S", 0.01)
    first = next(parsing.open_all([(hard, None)]))
    assert first.outcome is Outcome.INTACT
    monkeypatch.setattr(parsing, "DEADLINE_S", 20.0)
    assert [one.outcome for one in parsing.open_all([(hard, None), (easy, None)])] == [
        Outcome.INTACT,
        Outcome.MAIL,
    ]
