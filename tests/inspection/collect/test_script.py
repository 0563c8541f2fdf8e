"""The collector run for real, by each shell that this machine has, on its own commands."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from mailcare.inspection.check import Answer, Ask, Channel, NoReply, Reply
from mailcare.inspection.collect.frames import read_frames, read_output
from mailcare.inspection.collect.script import (
    ANSWER_LIMIT_BYTES,
    SAMPLE_WINDOW_S,
    ask_key,
    collector_script,
    general_script,
    system_script,
)
from mailcare.inspection.hosts import CUT, NOT_FOUND
from mailcare.inspection.planning import plan_inspection
from tests.inspection.checks.reply_files import check_named
from tests.inspection.samples import lab_system
from tests.surroundings import need

AT = datetime(2026, 11, 24, tzinfo=UTC)
SHELLS = (["dash"], ["bash"], ["busybox", "sh"])
HANGING = Ask(Channel.SSH, ("sleep", "86398"), timeout_s=1)
HANGING_CHILDREN = Ask(Channel.SSH, ("sh", "-c", "sleep 86397 | cat; echo late"), timeout_s=1)


def ask(*words: str, sample: int = 1) -> Ask:
    return Ask(Channel.SSH, words, timeout_s=5, sample=sample)


def run(shell: list[str], asks: list[Ask], **environment: str) -> dict[Ask, Answer]:
    """Run the collector as SSH does, by its standard input; return what it answered."""
    done = subprocess.run(
        [need(shell[0]), *shell[1:], "-s"],
        input=collector_script(asks).encode(),
        capture_output=True,
        timeout=60,
        env={**os.environ, **environment},
        check=True,
    )
    assert done.stderr == b""
    return read_frames(read_output(done.stdout), asks, source="test", taken_at=AT)


def told(answer: Answer) -> tuple[int, str]:
    assert isinstance(answer, Reply)
    return answer.exit_code, answer.text


@pytest.fixture(params=SHELLS, ids=lambda words: words[0])
def shell(request):
    return request.param


@pytest.fixture
def poor_path(tmp_path):
    """A PATH with the least a host can have: no timeout, no ps, no df."""
    for name in ("sh", "sleep", "cat", "head", "uname", "date", "setsid", "true", "printf", "yes"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    return str(tmp_path)


def test_an_answer_is_its_exact_bytes_and_exit_code(shell):
    asks = {
        ask("printf", "two lines\nand three ends\n\n\n"): (0, "two lines\nand three ends\n\n\n"),
        ask("printf", "no end"): (0, "no end"),
        ask("true"): (0, ""),
        ask("printf", "%s", "quoted ' \" $HOME `id` \\ * 中文"): (
            0,
            "quoted ' \" $HOME `id` \\ * 中文",
        ),
        ask("sh", "-c", "echo out; echo err >&2; exit 3"): (3, "out\nerr\n"),
        ask("sh", "-c", "cat; echo nothing to read"): (0, "nothing to read\n"),
        ask("sh", "-c", "echo $LC_ALL"): (0, "C\n"),
    }
    answers = run(shell, list(asks), LC_ALL="C.UTF-8")
    assert {one: told(answers[one]) for one in asks} == asks


def test_a_command_that_is_not_there_is_told_apart(shell):
    missing = ask("no-such-command", "-x")
    assert told(run(shell, [missing])[missing])[0] == NOT_FOUND


def test_programs_of_the_administrator_are_found(shell):
    looked = ask("sh", "-c", "echo $PATH")
    path = told(run(shell, [looked], PATH="/usr/bin:/bin")[looked])[1]
    assert {"/usr/sbin", "/sbin"} <= set(path.strip().split(":"))


def test_a_hanging_command_is_cut_with_its_children_and_the_rest_goes_on(shell):
    after = ask("echo", "still here")
    answers = run(shell, [HANGING, HANGING_CHILDREN, after])
    assert told(answers[HANGING])[0] == told(answers[HANGING_CHILDREN])[0] == 124
    assert told(answers[after]) == (0, "still here\n")
    assert not re.search(r"sleep\s8639[78]", processes())


def test_a_hanging_command_is_cut_where_there_is_no_timeout_program(shell, poor_path):
    after = ask("printf", "still here\n")
    script = collector_script([HANGING, HANGING_CHILDREN, after])
    # The collector looks into the administrator's folders too; this host has none.
    script = re.sub(r"^PATH=.*$", "PATH=$PATH", script, flags=re.MULTILINE)
    done = subprocess.run(
        [need(shell[0]), *shell[1:], "-s"],
        input=script.encode(),
        capture_output=True,
        timeout=60,
        env={"PATH": poor_path},
        check=True,
    )
    answers = read_frames(
        read_output(done.stdout),
        [HANGING, HANGING_CHILDREN, after],
        source="test",
        taken_at=AT,
    )
    assert told(answers[HANGING])[0] == told(answers[HANGING_CHILDREN])[0] == 124
    assert told(answers[after]) == (0, "still here\n")
    assert not re.search(r"sleep\s8639[78]", processes())


def processes() -> str:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return "\n".join(lines)


def test_endless_output_is_cut_at_the_limit_and_says_so(shell):
    endless = ask("sh", "-c", "while :; do printf 0123456789abcdef0123456789abcdef; done")
    code, text = told(run(shell, [endless])[endless])
    assert code == CUT
    assert len(text) == ANSWER_LIMIT_BYTES


def test_binary_output_arrives_but_for_its_zeros(shell):
    binary = ask("printf", "".join(f"\\{byte:03o}" for byte in range(256)))
    code, text = told(run(shell, [binary])[binary])
    assert code == 0
    assert "ABC" in text
    assert "\\x1b" in text


def test_samples_are_taken_a_window_apart_while_the_others_run(shell):
    samples = [ask("cat", "/proc/uptime", sample=number) for number in (1, 2, 3, 4)]
    slow = [ask("sh", "-c", f"sleep 1.{number}; cat /proc/uptime") for number in (0, 1, 2)]
    answers = run(shell, [*slow, *samples])
    times = [float(told(answers[one])[1].split()[0]) for one in samples]
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= SAMPLE_WINDOW_S - 0.02
    others = [float(told(answers[one])[1].split()[0]) for one in slow]
    assert times[0] < min(others)
    assert max(others) < times[-1]


def test_a_slow_command_delays_a_sample_and_loses_none(shell):
    samples = [ask("cat", "/proc/uptime", sample=number) for number in (1, 2, 3)]
    answers = run(shell, [*samples, ask("sleep", "5"), ask("true")])
    times = [float(told(answers[one])[1].split()[0]) for one in samples]
    assert times == sorted(times)
    assert times[1] - times[0] >= SAMPLE_WINDOW_S - 0.02


def test_a_password_on_a_command_line_stays_on_the_host(shell):
    words = ["sh", "-c", "read line; :", "java", "-Ddb.Password=hunter2", "--token", "t0ps3cret"]
    listing = plan_inspection(lab_system(), [check_named("service.processes")]).asks()[0]
    with subprocess.Popen(words, stdin=subprocess.PIPE):
        code, text = told(run(shell, [listing])[listing])
    assert code == 0
    assert "-Ddb.Password=*** --token ***" in text
    assert "hunter2" not in text
    assert "t0ps3cret" not in text


def test_sampled_commands_run_first_and_the_others_once():
    asks = [ask("true"), ask("cat", "/proc/stat"), ask("cat", "/proc/stat", sample=2)]
    lines = collector_script(asks).splitlines()
    main = lines[lines.index("main() {") :]
    assert [line.split(" ", 3)[-1] for line in main[3:-3]] == [
        "take",
        "true",
        "take_due",
        "take_rest",
    ]


def test_a_script_without_samples_waits_for_no_window():
    assert "window" not in collector_script([ask("true")])


def test_the_same_words_have_one_key_on_every_host_and_another_for_another_sample():
    one = ask("true")
    elsewhere = Ask(Channel.SSH, ("true",), timeout_s=1, node="bak1")
    assert ask_key(one) == ask_key(elsewhere)
    assert ask_key(one) != ask_key(ask("true", sample=2))
    assert collector_script([one, elsewhere]).count("ask ") == collector_script([one]).count("ask ")


def test_the_login_is_no_command():
    login = Ask(Channel.SSH, ())
    answers = run(["sh"], [login, ask("true")])
    assert isinstance(answers[login], NoReply)


def test_a_customer_can_read_what_the_file_does():
    script = general_script()  # the kit's, of one system, is run by the tests of visits
    assert script.splitlines()[0] == "#!/bin/sh"
    assert "只读" in script[:400]
    assert subprocess.run(["sh", "-n"], input=script.encode(), check=True).returncode == 0


def test_the_script_of_a_system_asks_what_its_profile_says():
    script = system_script(lab_system())
    assert "postconf -h mail_version" in script
    assert "postqueue -j" in script
    assert subprocess.run(["sh", "-n"], input=script.encode(), check=True).returncode == 0


def test_the_collector_leaves_no_trace_on_the_host(tmp_path):
    before = sorted(tmp_path.iterdir())
    subprocess.run(
        ["sh", "-s"],
        input=collector_script([ask("true"), HANGING]).encode(),
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        timeout=60,
        check=True,
    )
    assert sorted(tmp_path.iterdir()) == before
    words = set(re.findall(r"[a-z-]+", general_script()))
    assert not words & {
        "rm",
        "mv",
        "cp",
        "mkdir",
        "touch",
        "tee",
        "mktemp",
        "chmod",
        "curl",
        "wget",
    }
