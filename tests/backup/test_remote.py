"""Copies on a host, as far as a stream that somebody else wrote can tell."""

import io
import time

import pytest

from mailcare.backup.agent.protocol import Link, Piece, Problem, Whole
from mailcare.backup.agent.script import Stream, b64
from mailcare.backup.chain import unreached
from mailcare.backup.freshness import FreshFacts, judge_freshness
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.remote import RemoteSource
from mailcare.backup.repository import Repository, census_of, written
from mailcare.backup.source import Generation, NotReached
from mailcare.backup.verdicts import Level, Verdict
from mailcare.systems.copies import StoreFormat
from tests.backup.stores import NOW, copy_of


class Told:
    """A host that says what the test lets it say, under a header with its clock."""

    name = "bak1"

    def __init__(self, *records, ahead_s=0.0):
        self.records, self.ahead_s = records, ahead_s

    def stream(self, _job):
        stream = Stream(io.BytesIO(), 60)
        at = time.time() + self.ahead_s
        stream.say("header", version=1, host="bak1", python="3.6", at=at)
        for kind, values in self.records:
            stream.say(kind, **values)
        stream.end()
        yield stream.out.getvalue()


def source(tmp_path, *records, **more):
    copy = copy_of("tar", "/backups")
    seat = Told(*records, **more)
    return RemoteSource(copy, StoreMap(copy.format, copy.layout), seat, tmp_path)


PIECE = ("piece", {"path": b64(b"backups/a.tar"), "data": b64(b"half")})
PLACE = {
    "path": b64(b"/backups"),
    "identity": [1, 2],
    "is_folder": True,
    "size": 0,
    "mtime": 1.0,
    "read_only": False,
    "free_bytes": 1,
    "flags": None,
    "boot": "b1",
    "system": [b64(b"ext4"), b64(b"/dev/vda1")],
}


def test_a_file_that_was_not_sent_whole_is_not_taken_for_whole(tmp_path):
    generation = Generation("a.tar", NOW, 4)
    with pytest.raises(NotReached, match="没有传完"):
        source(tmp_path, PIECE).file(generation)
    whole = source(tmp_path, PIECE, ("whole", {"path": PIECE[1]["path"]}))
    assert whole.file(generation).read_bytes() == b"half"


def test_a_dying_disk_under_a_file_fails_the_level_that_needs_it(tmp_path):
    dying = ("problem", {"what": "alarm", "path": PIECE[1]["path"], "text": "Input/output error"})
    with pytest.raises(NotReached) as refused:
        source(tmp_path, PIECE, dying).file(Generation("a.tar", NOW, 4))
    judgement = unreached(Level.L4, refused.value)
    assert judgement.verdict is Verdict.FAIL
    assert "磁盘可能正在损坏" in judgement.reason


def test_a_file_larger_than_scratch_is_not_brought(tmp_path):
    with pytest.raises(NotReached, match="暂存空间不足"):
        source(tmp_path, PIECE).file(Generation("a.tar", NOW, 1 << 60))


@pytest.mark.parametrize(("ahead_s", "told"), [(-7200, "慢 120 分钟"), (60, ""), (7200, "快 120")])
def test_a_host_whose_clock_is_wrong_proves_no_freshness(tmp_path, ahead_s, told):
    reach = source(tmp_path, ("place", PLACE), ahead_s=ahead_s).reach()
    assert reach.ahead_s == pytest.approx(ahead_s, abs=30)
    facts = FreshFacts(NOW, 26, "a.tar", NOW, True, 4, 1, None, None, (), reach.ahead_s)
    judgement = judge_freshness(facts)
    assert judgement.verdict is (Verdict.DEGRADED if told else Verdict.PASS)
    assert told in judgement.reason


def test_what_a_host_sends_beside_the_matter_is_no_crash(tmp_path):
    records = [Link(b"b", b"a"), Piece(b"a", b"x"), Whole(b"a"), Whole(b"other")]
    found = {one.key: one.path for one in written(iter(records), [b"a", b"b"], tmp_path)}
    assert found == {b"a": tmp_path / "0", b"b": None}
    with pytest.raises(NotReached, match="没有要求的文件"):
        list(written(iter([Problem("alarm", b"other", "EIO")]), [b"a"], tmp_path))


def test_an_mbox_in_a_repository_is_not_counted_and_never_passed():
    repository = Repository(Told(), "/repo", "", StoreMap(StoreFormat.MBOX, "{user}"))
    with pytest.raises(NotReached, match="mbox 不能清点"):
        census_of(repository, lambda: iter(()))
