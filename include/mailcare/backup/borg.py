"""Verify a borg repository by borg itself, on a stand-in in scratch that it may write to.

`borg check` rewrites the configuration of the repository that it checks, `--bypass-lock` or not
(1.2.4), so it is given a folder with copies of the small files and links to the rest. All other
commands are given the same.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailcare.backup.agent.protocol import Folder, Place, Record
from mailcare.backup.agent.running import once, text_of
from mailcare.backup.agent.seats import Job
from mailcare.backup.agent.tools import WENT_BACK
from mailcare.backup.repository import (
    ALARM,
    CheckedByTool,
    RepositorySource,
    Said,
    heard,
)
from mailcare.backup.source import (
    Generation,
    Reach,
    Shard,
    Soundness,
)
from mailcare.backup.verdicts import Coverage

PATHS_A_RUN = 1000
SHOWN = 10
_SHADOW = "{scratch}/repo"
_KEY_FILES = ("KeyfileNotFoundError", "KeyfileInvalidError", "KeyfileMismatchError")
_NO_KEY_FILE = (
    "（仓库的密钥保存在仓库之外的密钥文件里；应放在打开仓库的账号的 ~/.config/borg/keys 下）"
)
_EITHER = "（口令不符，或仓库中的密钥已损坏：两者无法区分）"
_MESSAGES = {
    "PassphraseWrong": "password",
    "PasscommandFailure": "password",
    "PasswordRetriesExceeded": "password",
    "NoPassphraseFailure": "password",
    "Repository.DoesNotExist": "missing",
    "Repository.InvalidRepository": "missing",
    "Repository.InvalidRepositoryConfig": "damaged",
    "Repository.AtticRepository": "tool",
    "MandatoryFeatureUnsupported": "tool",
    "LockTimeout": "locked",
    "LockFailed": "locked",
    "LockErrorT": "locked",
    "Archive.DoesNotExist": "missing",
    **dict.fromkeys(_KEY_FILES, "password"),
}
_DAMAGED = re.compile(
    r"integrity error|IntegrityError|Inconsistency detected|ObjectNotFound"
    r"|No such file or directory: '[^']*/repo/data\b",
    re.I,
)
_MESSAGE = re.compile(r'"message": "([^"]*)"')
_CRASHED = "Local Exception"  # what it died of is told next
_DIED_OF = re.compile(r"^ .*\n(\S.*)", re.M)  # what follows the last place in the program
_VERIFIED = re.compile(r"verified (\d+) chunks with (\d+) integrity errors")
_PLACE = re.compile(r"[^\s']*/mailcare-\w+/repo\b")  # where the stand-in was
_WENT_BACK = re.compile(rf"^{WENT_BACK} (\d+) -> (\d+)$", re.M)
_WORSE_THAN_INFO = ("WARNING", "ERROR", "CRITICAL")
# Told at INFO, with an exit code of 0: an earlier `--repair` filled with zeros what was lost.
_LOST_BEFORE = "Previously missing file chunk is still missing"
# Index, hints and their checksums: borg makes them anew from the segments, in its own copy.
_MADE_ANEW = re.compile(
    r"^(Repository (index|hints file) missing or corrupted"
    r"|Could not (parse|read) integrity (data|file)|Cannot verify integrity)"
)
# A check that was interrupted may still sum up what it saw: only its last words prove its end.
_LAST_WORDS = {
    "borg check --verify-data": "rchive consistency check complete",
    "borg check --repository-only": "repository check",
}


@dataclass(frozen=True)
class BorgSource(RepositorySource):
    """One borg repository; every method may raise `NotReached`."""

    def reach(self) -> Reach:
        """List the archives, find who locks the repository, and whether it can be changed."""
        place, ahead_s = self.repository.place()
        said = self.run("list", "--json", _SHADOW)
        archives = json.loads("\n".join(said.lines))["archives"]
        generations = sorted(map(_generation, archives), key=lambda one: one.started_at)
        is_immutable, looked_at = self._immutability(place)
        return Reach(
            (*generations[:-1], *map(self.sized, generations[-1:])),
            locked_since=self._locked_since(),
            is_immutable=is_immutable,
            immutability=looked_at,
            ahead_s=ahead_s,
            damages=tuple(_lost_commits(said)),
        )

    def size_bytes(self, generation: Generation) -> int:
        """Return the size of what would be restored."""
        words = ("info", "--json", f"{_SHADOW}::{generation.name}")
        [archive] = json.loads("\n".join(self.run(*words).lines))["archives"]
        return int(archive["stats"]["original_size"])

    def _locked_since(self) -> datetime | None:
        path = f"{self.repository.path}/lock.exclusive"
        for record in once(self.repository.seat, Job("look", {"paths": [path]})):
            if isinstance(record, Place):
                return datetime.fromtimestamp(record.changed_s, UTC)
        return None

    def _immutability(self, place: Place) -> tuple[bool | None, str]:
        if place.is_read_only or set(place.flags or ()) & {"immutable", "append"}:
            return True, "只读挂载或不可变标志"
        told = self.run("config", _SHADOW, "append_only").lines
        if told and told[0].strip() == "1":
            return True, "仓库配置为只追加（append_only）"
        return None, "仓库目录可写，未配置只追加"

    def listed(self, generation: Generation) -> Iterator[Folder]:
        """Yield the folders of the tool's own listing."""
        said = Said()
        what = "{type}{path}{size}{isomtime}{source}"
        words = ["list", "--json-lines", "--format", what, f"{_SHADOW}::{generation.name}"]
        if self.repository.inside:
            words.append(f"pp:{self.repository.inside}")
        job = {**self.job(*words), "output": "rows", "names": {"mtime": "isomtime"}}
        for record in heard(self.repository, job, said):
            if isinstance(record, Folder):
                yield record
        self.need_success(said)

    def read(self, generation: Generation, shard: Shard) -> CheckedByTool:  # noqa: ARG002
        """Let borg check: the cryptographic check for all, the segments' CRC for a shard.

        borg knows no part that is checked in turn: with each shard all segments are read.
        """
        how = "--verify-data" if shard.of == 1 else "--repository-only"
        return CheckedByTool(lambda: self._checked(how))

    def _checked(self, how: str) -> Soundness:
        words = ["check", "-v", "--progress", how, _SHADOW]
        said = Said()
        for _ in heard(self.repository, self.job(*words), said, self._told):
            pass
        problems = self.complaints(said)
        if not (problems and self.blames_copy(said)):
            self.need_success(said)
        return _soundness(f"borg check {how}", said, problems, self._spoken(said, _is_made_anew))

    def _told(self, line: str) -> None:
        """Tell how far the check is."""
        if '"progress_percent"' in line and (told := _MESSAGE.search(line)):
            self.repository.tell(f"borg {told[1]}")

    def restored(self, generation: Generation, keys: list[bytes]) -> Iterator[Record]:
        """Yield what the tool sends of the wanted files."""
        for first in range(0, len(keys), PATHS_A_RUN):
            yield from self._sent(generation, keys[first : first + PATHS_A_RUN])

    def _sent(self, generation: Generation, keys: list[bytes]) -> Iterator[Record]:
        paths = {text_of(self.repository.path_of(key)): text_of(key) for key in keys}
        wanted = [
            f"pf:{self.repository.path_of(key).decode('utf-8', 'surrogateescape')}" for key in keys
        ]
        words = ["export-tar", f"{_SHADOW}::{generation.name}", "-", *wanted]
        said = Said()
        job = {**self.job(*words), "output": "tar", "keys": paths}
        yield from heard(self.repository, job, said)
        if not (self.complaints(said) and self.blames_copy(said)):
            self.need_success(said)

    def job(self, *words: str) -> dict[str, Any]:
        """Return the job that runs the tool with these words."""
        return {
            "words": ["borg", "--log-json", *words],
            "env": {
                "BORG_PASSPHRASE": self.repository.password,
                "BORG_BASE_DIR": "{scratch}/cache",
                "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
                "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            },
            "borg": self.repository.path,
            "output": "lines",
        }

    def without_key(self, said: Said) -> tuple[str, str]:
        """Tell a key file that is not here, which is no fault of the copy, from a password."""
        is_apart = any(one.get("msgid") in _KEY_FILES for one in _told(said))
        return ("tool", _NO_KEY_FILE) if is_apart else ("password", _EITHER)

    def proof(self) -> dict[str, Any]:
        """Return the job that makes a repository in scratch."""
        return {**self.job("init", "--encryption", "repokey", _SHADOW), "borg": None}

    def has_run(self, said: Said) -> bool:
        """Tell whether borg did what it was told, if with warnings."""
        return said.code in (0, 1)

    def reason(self, said: Said) -> str:
        """Return the code of `NotReached` for what borg names; empty for nothing."""
        named = (_MESSAGES.get(one.get("msgid", "")) for one in _told(said))
        return next(filter(None, named), "damaged" if _DAMAGED.search(said.text) else "")

    def complaints(self, said: Said) -> list[str]:
        """Return what borg said of damage, each once."""
        return [*self._spoken(said, _is_bad), *_lost_commits(said)]

    def _spoken(self, said: Said, is_wanted: Callable[[dict[str, Any]], bool]) -> list[str]:
        told = (_brief(one["message"]) for one in _told(said) if is_wanted(one))
        placed = (_PLACE.sub(self.repository.path, one) for one in told)
        return list(dict.fromkeys(map(self.repository.hidden, placed)))


def _generation(archive: dict[str, Any]) -> Generation:
    started_at = datetime.fromisoformat(archive["start"])
    return Generation(
        archive["name"], started_at if started_at.tzinfo else started_at.replace(tzinfo=UTC)
    )


def _told(said: Said) -> list[dict[str, Any]]:
    """Return what borg logged, a line of JSON each; what else Python says is none of it."""
    found = []
    for line in said.errors:
        with suppress(ValueError):
            found.append(json.loads(line))
    return [one for one in found if isinstance(one, dict)]


def _is_bad(one: dict[str, Any]) -> bool:
    message = one.get("message") or ""
    is_question = one.get("msgid", "").startswith("BORG_")
    is_warning = one.get("levelname") in _WORSE_THAN_INFO and not _is_made_anew(one)
    is_told = is_warning and message not in ("", _CRASHED) and not is_question
    return is_told or _LOST_BEFORE in message


def _is_made_anew(one: dict[str, Any]) -> bool:
    return one.get("levelname") == "WARNING" and bool(_MADE_ANEW.match(one.get("message") or ""))


def _lost_commits(said: Said) -> list[str]:
    text = "事务 {} 的提交记录已损坏或丢失，borg 退回到事务 {}：其后的备份代不再可见"
    return [text.format(*one) for one in _WENT_BACK.findall(said.text)]


def _brief(message: str) -> str:
    """Return what borg says; of a crash, what it died of."""
    died_of = _DIED_OF.findall(message) if "Traceback" in message else []
    return f"borg 异常中止：{died_of[-1]}" if died_of else message


def _soundness(method: str, said: Said, problems: list[str], made_anew: list[str]) -> Soundness:
    verified = _VERIFIED.search(said.text)
    torn = sum(1 for one in problems if "integrity error" in one)
    whole, bad = map(int, verified.groups()) if verified else (_segments(said), torn)
    bad = max(bad, int(said.code != 0 or bool(problems)))
    whole = max(whole, bad)
    alarms = tuple(line for line in problems if ALARM.search(line))
    coverage = Coverage(whole, whole, ok=whole - bad, bad=bad)
    is_finished = said.code in (0, 1) and _LAST_WORDS[method] in said.text
    return Soundness(
        method,
        coverage,
        tuple(problems[:SHOWN]),
        alarms,
        tuple(made_anew[:SHOWN]),
        is_finished=is_finished,
    )


def _segments(said: Said) -> int:
    """Return how many segments the progress told of."""
    told = (one for one in _told(said) if one.get("msgid") == "repository.check")
    return max((one.get("total", 0) for one in told), default=0)
