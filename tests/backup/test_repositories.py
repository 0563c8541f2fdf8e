"""restic and borg by themselves: real repositories of a real Maildir, sound, damaged, shut."""

import errno
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailcare.backup import restic as restic_tool
from mailcare.backup.agent.protocol import Piece, Whole
from mailcare.backup.agent.script import Refused, Stream, b64
from mailcare.backup.agent.seats import Here
from mailcare.backup.agent.tools import make_shadow
from mailcare.backup.borg import BorgSource
from mailcare.backup.chain import chain_facts, judge_chain, unreached
from mailcare.backup.mailstore import StoreMap
from mailcare.backup.parts import Parts
from mailcare.backup.repository import Repository, Said, heard
from mailcare.backup.restic import ResticSource
from mailcare.backup.source import Generation, NotReached, Reach, Shard, Soundness, Source
from mailcare.backup.trees import TreeStore
from mailcare.backup.verdicts import Coverage, Level, Verdict
from mailcare.systems.copies import StoreFormat
from tests.backup.stores import copy_of, flip
from tests.surroundings import need

PASSWORD = "correct horse"
MAILBOXES = ("li@shili-bank.example", "wang@shili-bank.example")


def store_map() -> StoreMap:
    return StoreMap(StoreFormat.MAILDIR, "{domain}/{user}")


def make_store(root: Path) -> Path:
    for user in ("li", "wang"):
        for part in ("cur", "new", ".Sent/cur"):
            (root / "shili-bank.example" / user / part).mkdir(parents=True)
        for number in range(12):
            text = b"From: a@b\nMessage-ID: <%d.%s@x>\n\n" % (number, user.encode())
            text += os.urandom(1500).hex().encode() + b"\n"
            folder = ".Sent/cur" if number % 3 else "cur"
            name = f"{1790000000 + number}.M{number}.mx1,S={len(text)}:2,S"
            (root / "shili-bank.example" / user / folder / name).write_bytes(text)
    first = next((root / "shili-bank.example/li/cur").iterdir())
    os.link(first, root / "shili-bank.example/li/.Sent/cur" / f"1790000099.copy,{first.name[-10:]}")
    return root


@dataclass(frozen=True)
class Made:
    """A repository and the store that it is a backup of."""

    source: ResticSource | BorgSource
    store: Path
    data: Path
    reach: Reach

    @property
    def newest(self) -> Generation:
        return self.reach.generations[-1]

    def but(self, **changed: str) -> Source:
        return type(self.source)(replace(self.source.repository, **changed))

    def state(self) -> list[tuple[str, int, int]]:
        """Return every file of the repository with what would tell a write."""
        root = Path(self.source.repository.path)
        facts = ((path, path.lstat()) for path in sorted(root.rglob("*")))
        return [(str(path), one.st_mtime_ns, one.st_ctime_ns) for path, one in facts]


def shell(tmp_path: Path, *words: str) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RESTIC_PASSWORD": PASSWORD,
        "BORG_PASSPHRASE": PASSWORD,
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }
    subprocess.run(words, check=True, env=env, cwd=tmp_path, capture_output=True)


def restic(tmp_path: Path) -> Made:
    need("restic")
    store, path = make_store(tmp_path / "vmail"), str(tmp_path / "restic")
    shell(tmp_path, "restic", "init", "-r", path)
    shell(tmp_path, "restic", "backup", "-q", "-r", path, str(store))
    inside = str(store).lstrip("/")
    repository = Repository(Here(), path, PASSWORD, store_map(), inside)
    source = ResticSource(repository)
    return Made(source, store, Path(path, "data"), source.reach())


def borg(tmp_path: Path) -> Made:
    need("borg")
    store, path = make_store(tmp_path / "vmail"), str(tmp_path / "borg")
    shell(tmp_path, "borg", "init", "-e", "repokey", path)
    shell(tmp_path, "borg", "create", f"{path}::one", "vmail")
    repository = Repository(Here(), path, PASSWORD, store_map(), "vmail")
    source = BorgSource(repository)
    return Made(source, store, Path(path, "data"), source.reach())


@pytest.fixture(scope="module")
def restic_made(tmp_path_factory) -> Made:
    return restic(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def borg_made(tmp_path_factory) -> Made:
    return borg(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module", params=["restic", "borg"])
def made(request) -> Made:
    return request.getfixturevalue(f"{request.param}_made")


@pytest.fixture
def damaged(made, tmp_path) -> Callable[[int], Made]:
    """Return a copy of the repository in which one byte of the largest file is another."""

    def flip(at_pct: int) -> Made:
        path = tmp_path / "copy"
        shutil.copytree(made.source.repository.path, path)
        files = [one for one in (path / "data").rglob("*") if one.is_file()]
        largest = max(files, key=lambda one: one.stat().st_size)
        content = bytearray(largest.read_bytes())
        content[len(content) * at_pct // 100] ^= 1
        largest.chmod(0o600)
        largest.write_bytes(content)
        repository = replace(made.source.repository, path=str(path))
        return Made(type(made.source)(repository), made.store, path / "data", made.reach)

    return flip


def checked(source: Source, generation: Generation, shard: Shard) -> Soundness:
    reading = source.read(generation, shard)
    assert list(reading) == []
    return reading.soundness()


def test_the_first_look_dates_and_sizes_the_generation(made):
    reach = made.reach
    [one] = reach.generations
    assert one.started_at.tzinfo
    assert one.size_bytes
    assert one.size_bytes > 24 * 3000
    assert (reach.locked_since, reach.is_immutable) == (None, None)


def test_the_census_is_that_of_the_store_itself(made):
    rows = TreeStore(os.fsencode(made.store), store_map()).census().rows
    assert [one.mailbox for one in rows] == list(MAILBOXES)
    assert [one.messages for one in rows] == [13, 12]
    assert made.source.census(made.newest).rows == rows


def test_every_message_comes_back_as_it_was(made, tmp_path):
    messages = list(made.source.messages(made.newest, MAILBOXES))
    keys = [one.key for one in messages]
    restored = {one.key: one for one in made.source.restore(made.newest, keys, tmp_path)}
    assert len(restored) == 25
    for key, one in restored.items():
        assert one.path
        assert one.path.read_bytes() == (made.store / os.fsdecode(key)).read_bytes()
        assert one.path.name.isdigit()


def test_what_is_not_in_it_is_said_not_to_come_back(made, tmp_path):
    [one] = made.source.restore(made.newest, [b"shili-bank.example/li/cur/none"], tmp_path)
    assert (one.path, one.problem) == (None, "没有恢复出来")
    assert list(tmp_path.iterdir()) == []


def test_a_sound_repository_is_read_to_its_end(made):
    whole = checked(made.source, made.newest, Shard())
    assert (whole.is_finished, whole.problems) == (True, ())
    assert whole.coverage.expected == whole.coverage.ok > 0


def test_one_flipped_byte_is_found(damaged):
    torn = damaged(40)
    found = checked(torn.source, torn.newest, Shard())
    assert found.problems
    assert found.coverage.bad >= 1


def test_nothing_is_written_into_the_repository(made, tmp_path):
    before = made.state()
    made.source.reach()
    key = next(made.source.messages(made.newest, MAILBOXES)).key
    list(made.source.restore(made.newest, [key], tmp_path))
    checked(made.source, made.newest, Shard(0, 2))
    assert made.state() == before


def copied(made: Made, path: Path) -> tuple[Source, Path]:
    """Return a copy of a repository, to be spoiled."""
    shutil.copytree(made.source.repository.path, path / "copy")
    return made.but(path=str(path / "copy")), path / "copy"


def the_only(kind: str, path: Path) -> Path:
    [one] = path.glob(kind)
    one.chmod(0o600)
    return one


def test_what_borg_makes_anew_from_its_segments_is_no_damage(borg_made, tmp_path):
    source, path = copied(borg_made, tmp_path)
    flip(the_only("index.*", path))
    found = checked(source, borg_made.newest, Shard())
    assert (found.problems, found.is_finished, found.coverage.bad) == ((), True, 0)
    assert "index missing or corrupted" in found.oddities[0]


def test_a_commit_of_borg_that_is_spoiled_is_told_of_at_the_first_look_and_by_the_check(
    borg_made, tmp_path
):
    source, path = copied(borg_made, tmp_path)
    flip(max((path / "data/0").iterdir(), key=lambda one: int(one.name)))
    reach = source.reach()
    assert reach.generations == ()
    [damage] = reach.damages
    assert "提交记录" in damage
    assert damage in checked(source, borg_made.newest, Shard(0, 2)).problems


def test_what_is_spoiled_of_a_copy_fails_the_first_look():
    now = datetime.now(UTC)
    reach = Reach((Generation("one", now),), damages=("spoiled",))
    judgement = judge_chain(chain_facts(copy_of("restic", "/repo"), reach, None, now=now))
    assert (judgement.verdict, judgement.reason) == (Verdict.FAIL, "spoiled")


def test_a_snapshot_that_restic_passes_over_is_told_of_at_the_first_look(restic_made, tmp_path):
    source, path = copied(restic_made, tmp_path)
    snapshot = the_only("snapshots/*", path)
    flip(snapshot)
    reach = source.reach()
    assert reach.generations == ()
    [damage] = reach.damages
    assert snapshot.name[:10] in damage


def test_a_spoiled_key_of_restic_is_told_from_a_password_that_is_not_its(restic_made, tmp_path):
    source, path = copied(restic_made, tmp_path)

    def refused() -> tuple[str, str]:
        with pytest.raises(NotReached) as refusal:
            source.reach()
        return refusal.value.code, refusal.value.message

    key = the_only("keys/*", path)
    key.write_text(re.sub('(?<="salt":").', lambda one: chr(ord(one[0]) ^ 1), key.read_text()))
    code, message = refused()
    assert (code, key.name[:10] in message) == ("damaged", True)
    key = key.rename(key.with_name(hashlib.sha256(key.read_bytes()).hexdigest()))
    code, message = refused()
    assert (code, "密钥文件完好" in message) == ("password", True)
    key.unlink()
    code, message = refused()
    assert (code, "没有密钥文件" in message) == ("damaged", True)


def test_a_spoiled_key_of_somebody_else_is_told_of_at_the_first_look(tmp_path):
    (tmp_path / "keys").mkdir()
    whole, spoiled = hashlib.sha256(b"whole").hexdigest(), "ab" * 32
    for name in (whole, spoiled, "foreign"):
        (tmp_path / "keys" / name).write_bytes(b"whole")
    source = ResticSource(Repository(Here(), str(tmp_path), "", store_map()))
    [damage] = source._spoiled_keys()
    assert spoiled[:10] in damage


def test_a_wrong_password_is_told_apart_and_stays_unseen(made):
    with pytest.raises(NotReached) as refused:
        made.but(password="not this one").reach()
    assert refused.value.code == "password"
    assert "not this one" not in refused.value.message


def test_a_repository_that_is_not_there_is_missing(made, tmp_path):
    with pytest.raises(NotReached) as refused:
        made.but(path=str(tmp_path)).reach()
    assert refused.value.code == "missing"


def test_a_store_that_is_not_where_it_should_be_has_no_mailboxes(made):
    assert made.but(inside="etc").census(made.newest).rows == ()


def test_scratch_that_cannot_be_made_is_no_verdict(made):
    with pytest.raises(NotReached) as refused:
        made.but(scratch="/none/such").reach()
    assert refused.value.code == "scratch"


def test_a_repository_that_is_being_written_is_told_since_when(made, damaged):
    path = damaged(50).source.repository.path
    with being_written(made, path):
        assert made.but(path=path).reach().locked_since


def test_a_lock_of_restic_that_a_crash_left_empty_is_a_lock(tmp_path):
    (tmp_path / "locks").mkdir()
    lock = tmp_path / "locks" / ("ab" * 32)
    lock.touch()
    os.utime(lock, (1790000000, 1790000000))
    source = ResticSource(Repository(Here(), str(tmp_path), "", store_map()))
    assert source._locked_since() == datetime.fromtimestamp(1790000000, UTC)
    lock.rename(tmp_path / "locks/foreign")
    assert source._locked_since() is None


@contextmanager
def being_written(made: Made, path: str) -> Iterator[None]:
    if isinstance(made.source, BorgSource):
        Path(path, "lock.exclusive").mkdir()
        yield
        return
    words = ["restic", "backup", "-q", "-r", path, "--stdin", "--no-cache"]
    env = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": PASSWORD}
    with subprocess.Popen(words, stdin=subprocess.PIPE, env=env) as writing:
        while not list(Path(path, "locks").iterdir()):
            assert writing.poll() is None
        yield
        writing.kill()


@pytest.mark.parametrize("mode", ["keyfile", "authenticated", "none"])
def test_a_borg_is_read_wherever_its_key_is_and_not_blamed_for_one_that_is_elsewhere(
    tmp_path, monkeypatch, mode
):
    need("borg")
    store, path = make_store(tmp_path / "vmail"), str(tmp_path / "borg")
    shell(tmp_path, "borg", "init", "-e", mode, path)
    shell(tmp_path, "borg", "create", f"{path}::one", "vmail")
    source = BorgSource(Repository(Here(), path, PASSWORD, store_map(), "vmail"))
    monkeypatch.setenv("HOME", str(tmp_path))
    (newest,) = source.reach().generations
    rows = TreeStore(os.fsencode(store), store_map()).census().rows
    assert [one.digest for one in source.census(newest).rows] == [one.digest for one in rows]
    assert source.read(newest, Shard()).soundness().is_finished
    keys = list(tmp_path.glob(".config/borg/keys/*"))
    assert len(keys) == (mode == "keyfile")
    monkeypatch.setenv("HOME", str(tmp_path / "else"))
    if mode != "keyfile":
        assert source.reach().generations == (newest,)
        return
    with pytest.raises(NotReached, match=r"~/\.config/borg/keys") as refused:
        source.reach()
    assert unreached(Level.L0, refused.value).verdict is Verdict.NOT_RUN


def test_an_append_only_borg_is_seen(tmp_path):
    copy = borg(tmp_path)
    config = Path(copy.source.repository.path, "config")
    config.write_text(config.read_text().replace("append_only = 0", "append_only = 1"))
    assert copy.source.reach().is_immutable


def test_what_keeps_a_generation_from_being_listed_is_found_by_every_level(made, tmp_path):
    path = tmp_path / "copy"
    shutil.copytree(made.source.repository.path, path)
    if isinstance(made.source, ResticSource):
        for index in (path / "index").iterdir():
            index.unlink()
    else:
        max((path / "data/0").iterdir(), key=lambda one: one.stat().st_size).unlink()
    source = made.but(path=str(path))
    with pytest.raises(NotReached) as refused:
        source.census(made.newest)
    assert refused.value.code == "damaged"
    assert unreached(Level.L2, refused.value).verdict is Verdict.FAIL
    assert checked(source, made.newest, Shard()).problems
    if isinstance(made.source, ResticSource):
        [one] = source.reach().generations
        assert (one.name, one.size_bytes) == (made.newest.name, None)


SOURCES = {
    tool: tool(Repository(Here(), "/repo", "", store_map())) for tool in (ResticSource, BorgSource)
}


@pytest.mark.parametrize(
    ("tool", "said", "code"),
    [
        (ResticSource, "Load(<data/4755528ae4>, 0, 0) failed: open x: no such file", "damaged"),
        (ResticSource, "Load(<config/0000000000>, 0, 0): read x: is a directory", "damaged"),
        (ResticSource, "Load(<data/4755528ae4>, 0, 0): read x: input/output error", "alarm"),
        (ResticSource, "unable to open config file: stat x: permission denied", "unreadable"),
        (ResticSource, "error: write /tmp/x: no space left on device", "scratch"),
        (ResticSource, "fatal error: runtime: cannot allocate memory", "shortage"),
        (ResticSource, "Fatal: unable to open config file: unsupported repository version", "tool"),
        (ResticSource, "something else", "untold"),
        (BorgSource, "FileNotFoundError: No such file or directory: '/t/repo/data/0/2'", "damaged"),
        (BorgSource, "OSError: [Errno 5] Input/output error: '/t/repo/data/0/2'", "alarm"),
        (
            BorgSource,
            "PermissionError: [Errno 13] Permission denied: '/t/repo/data/0'",
            "unreadable",
        ),
        (BorgSource, "OSError: [Errno 28] No space left on device", "scratch"),
        (BorgSource, "ModuleNotFoundError: No module named 'borg'", "tool"),
        (BorgSource, "repository version 3 is not supported by this borg version", "tool"),
        (BorgSource, "something else", "untold"),
    ],
)
def test_a_failure_is_told_apart_by_what_is_said(tool, said, code):
    assert SOURCES[tool]._failure(Said(code=2, errors=[said])) == code


@pytest.mark.parametrize("tool", list(SOURCES))
def test_a_tool_that_was_killed_blames_no_repository(tool):
    assert SOURCES[tool]._failure(Said(code=-9)) == "shortage"


def test_of_a_crash_of_borg_is_told_what_it_died_of():
    trace = 'Traceback (most recent call last):\n  File "archiver.py", line 5213, in main\n'
    text = f"Local Exception\n{trace}binascii.Error: Incorrect padding\n\nPlatform: Linux"
    said = Said(code=2, errors=["Traceback", json.dumps({"levelname": "ERROR", "message": text})])
    assert SOURCES[BorgSource].complaints(said) == [
        "borg 异常中止：binascii.Error: Incorrect padding"
    ]


@pytest.mark.parametrize(
    "content", [b"", b"YOUR FILES ARE ENCRYPTED"], ids=["emptied", "encrypted"]
)
def test_a_repository_whose_configuration_is_spoiled_is_damaged(made, tmp_path, content):
    path = tmp_path / "copy"
    shutil.copytree(made.source.repository.path, path)
    (path / "config").chmod(0o600)
    (path / "config").write_bytes(b"ENCRYPTED")
    source = made.but(path=str(path))
    with pytest.raises(NotReached) as refused:
        source.reach()
    assert refused.value.code == "damaged"


def logged(level: str, message: str) -> str:
    return json.dumps({"levelname": level, "message": message})


@pytest.mark.parametrize(
    ("line", "problems", "oddities"),
    [
        (logged("WARNING", "Repository index missing or corrupted, trying to recover"), 0, 1),
        (logged("WARNING", "Could not parse integrity data for index.13: 'algorithm'"), 0, 1),
        (logged("WARNING", "ID: ab rebuilt index: (10, 7) committed index: (6, 7)"), 1, 0),
        (logged("ERROR", "Index object count mismatch."), 1, 0),
        (logged("WARNING", "size inconsistency detected"), 1, 0),
        (logged("INFO", "Previously missing file chunk is still missing"), 1, 0),
        (logged("INFO", "Analyzing archive"), 0, 0),
    ],
)
def test_of_what_borg_says_in_a_check_that_it_passes_what_is_lost_is_a_problem(
    tmp_path, line, problems, oddities
):
    last = logged("INFO", "Archive consistency check complete, no problems found.")

    class Passes(Here):
        def stream(self, job):
            words = ["printf", "%s\n" * 2, line, last]
            yield from super().stream(job.with_(words=["sh", "-c", f"{shlex.join(words)} >&2"]))

    (tmp_path / "config").touch()
    found = BorgSource(Repository(Passes(), str(tmp_path), "", store_map()))._checked(
        "--verify-data"
    )
    assert (len(found.problems), found.coverage.bad, len(found.oddities)) == (
        problems,
        problems,
        oddities,
    )


class Fails:
    """A machine on which a tool fails without a reason, but where it does this."""

    name = "bak1"

    def __init__(self, *but: str) -> None:
        self.but = but

    def stream(self, job):
        works = set(self.but) & set(job.given["words"])
        words = ["sh", "-c", f"echo something else >&2; exit {0 if works else 2}"]
        yield from Here().stream(job.with_(words=words, borg=None))


@pytest.mark.parametrize("tool", list(SOURCES))
def test_what_fails_in_one_repository_only_is_that_ones_fault(tool, tmp_path):
    found = []
    for seat in (Fails(), Fails("init")):
        with pytest.raises(NotReached) as refused:
            tool(Repository(seat, str(tmp_path), "", store_map())).run("list")
        found.append((refused.value.code, "新建仓库" in refused.value.message))
    assert found == [("tool", True), ("damaged", True)]


@pytest.mark.parametrize("tool", list(SOURCES))
def test_what_may_not_be_read_is_no_message_lost(tool, tmp_path):
    class Closed(Here):
        def stream(self, job):
            said = '{"levelname": "ERROR", "message": "error: permission denied"}'
            words = ["sh", "-c", f"echo '{said}' >&2; exit 2"]
            yield from super().stream(job.with_(words=words, borg=None))

    source = tool(Repository(Closed(), str(tmp_path), "", store_map()))
    one = Generation("one", datetime.now(UTC))
    for attempt in (
        lambda: list(source.restore(one, [b"a"], tmp_path)),
        lambda: checked(source, one, Shard(0, 2)),
    ):
        with pytest.raises(NotReached) as refused:
            attempt()
        assert refused.value.code == "unreadable"


def test_a_disk_that_dies_under_the_small_files_of_a_borg_is_told_with_the_file(
    tmp_path, monkeypatch
):
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/config").touch()

    def dying(_source, _target):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(shutil, "copyfile", dying)
    with pytest.raises(Refused, match=r"/repo/config: 输入/输出错误：磁盘可能正在损坏") as refused:
        make_shadow(str(tmp_path / "repo"), str(tmp_path / "stand-in"))
    assert refused.value.code == "alarm"


def test_what_borg_deletes_or_overwrites_is_not_in_the_repository(tmp_path):
    repository, shadow = tmp_path / "borg", tmp_path / "shadow"
    (repository / "data/0/2").mkdir(parents=True)
    (repository / "index.0").mkdir()
    names = ("config", "config.old", "nonce", "README", "index.1", "data/0/1")
    for name in names:
        (repository / name).write_bytes(name.encode())
    make_shadow(str(repository), str(shadow))
    made = {str(one.relative_to(shadow)) for one in shadow.rglob("*") if one.is_file()}
    assert made == {"config", "nonce", "index.1", "data/0/1"}
    assert all(one.is_dir() for one in (shadow / "index.0", shadow / "data/0/2"))
    assert (shadow / "data/0/1").read_bytes() == b"data/0/1"
    for name in ("config", "nonce"):
        (shadow / name).write_bytes(b"other")
    shutil.rmtree(shadow)
    assert [(repository / name).read_bytes() for name in names] == [n.encode() for n in names]


@pytest.mark.parametrize("tool", list(SOURCES))
def test_a_tool_is_not_let_wait_for_a_pipe_among_the_files(tool, tmp_path):
    (tmp_path / "data/0").mkdir(parents=True)
    (tmp_path / "data/loop").symlink_to("loop")
    os.mkfifo(tmp_path / "data/0/1")
    with pytest.raises(NotReached) as refused:
        tool(Repository(Here(), str(tmp_path), "", store_map())).run("list")
    assert (refused.value.code, "data/0/1" in refused.value.message) == ("damaged", True)


def test_a_check_that_finds_no_room_blames_no_repository(tmp_path):
    class Full(Here):
        def stream(self, job):
            words = ["sh", "-c", "echo error: no space left on device >&2; exit 1"]
            yield from super().stream(job.with_(words=words))

    source = ResticSource(Repository(Full(), str(tmp_path), "", store_map()))
    with pytest.raises(NotReached) as refused:
        source._checked(Shard())
    assert refused.value.code == "scratch"


def test_a_file_of_its_data_that_is_not_there_is_named(made, tmp_path, monkeypatch):
    monkeypatch.setattr(restic_tool, "RETRIES_READING", 1)
    path = tmp_path / "copy"
    shutil.copytree(made.source.repository.path, path)
    gone = max((path / "data").rglob("*"), key=lambda one: one.stat().st_size)
    gone.unlink()
    told: list[str] = []
    repository = replace(made.source.repository, path=str(path), tell=told.append)
    found = checked(type(made.source)(repository), made.newest, Shard())
    assert found.coverage.bad >= 1
    if isinstance(made.source, ResticSource):
        assert gone.name in found.problems[0]
        assert (found.is_finished, found.coverage.ok) == (False, 0)
        assert any("retrying" in line for line in told)


class Tool:
    """A host on which restic says what is written here; what breaks off comes by its half."""

    name = "bak1"

    def __init__(self, *, cuts: int = 0) -> None:
        self.cuts, self.ran = cuts, []

    def stream(self, job):
        stream = Stream(io.BytesIO(), 60)
        stream.say("header", version=1, host="bak1", python="3.6", at=0)
        self.ran.append("packs" if job.task == "list" else job.given["words"][-1])
        for kind, values in self.told(self.ran[-1]):
            stream.say(kind, **values)
        stream.say("exit", code=0)
        stream.end()
        said = stream.out.getvalue()
        self.cuts -= 1
        yield said[: len(said) // 2] if self.cuts >= 0 else said

    def told(self, word):
        if word == "packs":
            files = [[b64(b"%02x" % number * 32), 1, 0] for number in range(4)]
            return [("folder", {"path": "", "files": files, "last": True, "written": 0})]
        if word.startswith("--read-data"):
            return [("line", {"text": "[0:01] 50%"}), ("line", {"text": "no errors were found"})]
        one = {"path": b64(b"a"), "data": b64(b"x" * 500)}
        two = {"path": b64(b"b"), "data": b64(b"y" * 500)}
        return [("piece", one), ("whole", one), ("piece", two), ("whole", two)]


def said_by(seat: Tool, **more) -> Repository:
    return Repository(seat, "/repo", "", store_map(), **more)


def test_what_a_tool_does_is_done_anew_after_a_cut_and_told_once(tmp_path):
    seat = Tool(cuts=2)
    said = Said()
    found = list(heard(said_by(seat), {"words": ["restore"]}, said))
    assert [type(one) for one in found] == [Piece, Whole, Piece, Whole]
    assert (len(seat.ran), said.code) == (3, 0)


def test_a_connection_that_breaks_off_again_and_again_is_no_verdict():
    seat = Tool(cuts=9)
    with pytest.raises(NotReached) as refused:
        ResticSource(said_by(seat))._checked(Shard())
    assert refused.value.code == "unreachable"
    assert len(seat.ran) == 3


def test_a_part_of_a_small_repository_without_a_pack_is_checked_all_the_same():
    assert ResticSource(said_by(Tool()))._checked(Shard(9, 12)).coverage == Coverage(1, 1, ok=1)


def test_a_long_check_goes_on_with_the_parts_that_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(restic_tool, "PACKS_A_PART", 1)
    every = [f"--read-data-subset={number}/4" for number in range(1, 5)]
    seat, now = Tool(), datetime.now(UTC)

    def attempt(run: str, at: datetime = now, tell=lambda _line: None) -> Soundness:
        seat.ran.clear()
        source = ResticSource(said_by(seat, tell=tell), Parts(tmp_path / "kept.parts", run, at))
        return source._checked(Shard())

    def breaks_off(_line: str) -> None:
        if len(seat.ran) == 4:
            raise NotReached("unreachable", "cut")

    with pytest.raises(NotReached):
        attempt("one", tell=breaks_off)
    assert seat.ran == ["packs", *every[:3]]
    assert attempt("another").is_finished
    assert seat.ran == ["packs", *every]
    with pytest.raises(NotReached):
        attempt("one", tell=breaks_off)
    assert attempt("one", now + timedelta(days=2)).is_finished
    assert seat.ran == ["packs", *every]
    with pytest.raises(NotReached):
        attempt("one", tell=breaks_off)
    whole = attempt("one")
    assert seat.ran == ["packs", *every[2:]]
    assert (whole.method, whole.coverage) == ("restic check --read-data", Coverage(4, 4, ok=4))
    attempt("one")
    assert seat.ran == ["packs", *every]


def test_a_borg_whose_listing_is_torn_is_damaged_and_not_merely_unread(tmp_path):
    copy = borg(tmp_path)
    segments = [one for one in copy.data.rglob("*") if one.is_file()]
    largest = max(segments, key=lambda one: one.stat().st_size)
    os.truncate(largest, 3000)
    for index in Path(copy.source.repository.path).glob("index.*"):
        index.unlink()
    with pytest.raises(NotReached) as refused:
        copy.source.reach()
    assert refused.value.code == "damaged"
