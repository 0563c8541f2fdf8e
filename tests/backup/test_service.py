"""The service drill: a real Dovecot, a real client, and mail that is not as it should be."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mailcare.backup.service import Served, judge_service, serve
from mailcare.backup.verdicts import Judgement, Verdict
from tests.backup.stores import mail
from tests.surroundings import need

pytestmark = pytest.mark.usefixtures("dovecot")


@pytest.fixture
def dovecot():
    return need("dovecot")


@pytest.fixture
def scratch():
    # Not below pytest's own folder, which is closed to whom the servers run as.
    with TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


def files(folder: Path, count: int, first: int = 0) -> tuple[Path, ...]:
    folder.mkdir(parents=True)
    made = []
    for number in range(first, first + count):
        path = folder / str(number)
        path.write_bytes(mail(number))
        made.append(path)
    return tuple(made)


def drill(mailboxes: list[Served], scratch: Path) -> Judgement:
    return judge_service(mailboxes, serve(mailboxes, scratch))


def test_everything_restored_is_served(tmp_path, scratch):
    mailboxes = [
        Served("li@bank.example", {"INBOX": files(tmp_path / "a", 60)}),
        Served("wang@bank.example", {".Sent": files(tmp_path / "b", 3, 100), ".草稿": ()}),
    ]
    judgement = drill(mailboxes, scratch)
    assert judgement.verdict is Verdict.PASS
    assert judgement.coverage.ok == 63
    assert "登录 2 个邮箱" in judgement.remarks[0].text


def test_nothing_is_left_running_and_nothing_belongs_to_root(tmp_path, scratch):
    drill([Served("li@bank.example", {"INBOX": files(tmp_path / "a", 1)})], scratch)
    owners = {path.lstat().st_uid for path in scratch.rglob("*")}
    assert owners == {65534 if os.getuid() == 0 else os.getuid()}
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [one for one in running if os.fsencode(scratch) in one]


# As in the container, whose user `airflow` has root's group.
BOXED = """\
import sys
from pathlib import Path
from mailcare.backup import service
from mailcare.backup.throwaway import Identity
folder, scratch = map(Path, sys.argv[1:])
service.own_identity = lambda: Identity("boxed", 50000, 0)
one = service.Served("li@bank.example", {"INBOX": tuple(folder.iterdir())})
print(service.judge_service([one], service.serve([one], scratch)).verdict)
"""


def test_a_user_of_root_s_group_serves_too(tmp_path, scratch):
    files(tmp_path / "a", 3)
    users = tmp_path / "passwd"
    users.write_text(Path("/etc/passwd").read_text() + "boxed:x:50000:0::/:/bin/sh\n")
    words = [need("unshare"), "--mount", "sh", "-c"]
    words += [f'mount --bind {users} /etc/passwd && exec "$@"', "sh", sys.executable, "-c", BOXED]
    done = subprocess.run(
        [*words, tmp_path / "a", scratch], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == Verdict.PASS, done.stderr


def test_line_ends_of_the_store_do_not_matter(tmp_path, scratch):
    [path] = files(tmp_path / "a", 1)
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
    assert drill([Served("li@bank.example", {"INBOX": (path,)})], scratch).verdict is Verdict.PASS


def test_a_message_that_the_server_does_not_serve_whole_fails(tmp_path, scratch):
    one, two = files(tmp_path / "a", 2)
    served = Served("li@bank.example", {"INBOX": (one, two)})
    tally = serve([served], scratch)
    two.write_bytes(mail(77))
    judgement = judge_service([served], tally)
    assert judgement.verdict is Verdict.FAIL
    assert (judgement.coverage.ok, judgement.coverage.bad) == (1, 1)


def test_a_mailbox_that_could_not_be_seen_is_not_passed(tmp_path, scratch):
    served = Served("li@bank.example", {"INBOX": files(tmp_path / "a", 1)})
    tally = serve([served], scratch)
    other = Served("wang@bank.example", {"INBOX": files(tmp_path / "b", 1)})
    assert judge_service([served, other], tally).verdict is Verdict.DEGRADED


def test_an_empty_sample_passes_nothing(scratch):
    assert drill([], scratch).verdict is Verdict.DEGRADED
