"""Verify a restic repository by restic itself: `--no-lock` always, never repair, unlock, prune.

Old versions end with 1 whatever went wrong (10, 11, 12 came with 0.17), so a failure is told apart
by what is said.
"""

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailcare.backup.agent.protocol import Entry, Folder, Problem, Record, Whole
from mailcare.backup.agent.running import LIMITS, digests, listing, text_of
from mailcare.backup.names import moment_of
from mailcare.backup.parts import Parts
from mailcare.backup.repository import (
    ALARM,
    CheckedByTool,
    RepositorySource,
    Said,
    heard,
    seconds_of,
)
from mailcare.backup.source import (
    Generation,
    NotReached,
    Reach,
    Shard,
    Soundness,
)
from mailcare.backup.verdicts import Coverage

_ALWAYS = ("--no-lock", "--cache-dir", "{scratch}/cache")
PATTERNS_A_RUN = 400
SHOWN = 10
SHORT = 10  # characters of an id, as restic itself shows it
_PROOF = "{scratch}/out/proof"
# How often it may try anew to read a file, over all files, before it is ended: it does so for a
# minute a file or (0.17) for a quarter of an hour, and what a disk does not give now it never will.
RETRIES, RETRIES_READING = 6, 30
PACKS_A_PART, PARTS_AT_MOST = 4096, 16  # each part costs a look at the whole structure
SUBSETS_AT_MOST = 256  # restic takes the first byte of a pack's name modulo the number of subsets
_REASONS = (
    ("password", re.compile(r"wrong password or no key found")),
    ("locked", re.compile(r"unable to create lock|already locked")),
    ("missing", re.compile(r"Is there a repository at|does not exist|unable to open config file")),
    (
        "damaged",
        re.compile(
            r"does not match|verification failed|invalid data returned|EOF$|decrypting blob"
            r"|not found in repository|(Load|List)\(<?\w+",
            re.M,
        ),
    ),
)
_ID = re.compile(rb"[0-9a-f]{64}")
_CODES = {10: "missing", 11: "locked", 12: "password"}
_ALL_WHOLE = "（密钥文件完好：口令不符）"
_SOUND = "no errors were found"
_UNSOUND = "repository contains errors"
_CHATTER = re.compile(r"^(using temporary cache|load indexes|check all packs|check snapshots|\[)")
_DAMAGE = re.compile(
    r"does not match|does not exist|verification failed|not found in|error|invalid"
    r"|failed to download",
    re.I,
)
_TRIED_ANEW = "returned error, retrying after"
_RETRY = re.compile(rf"(?P<what>\w+\(<[^>]*>)[^)]*\) {_TRIED_ANEW} [^:]+: (?P<why>.*)")
_PROGRESS = re.compile(r"\[[\d:]+\] ")
_SPECIAL = re.compile(rb"([\\*?\[])")


@dataclass(frozen=True)
class ResticSource(RepositorySource):
    """One restic repository; every method may raise `NotReached`.

    `parts` keeps what a run has read of it, where that run may be repeated.
    """

    parts: Parts | None = None

    def reach(self) -> Reach:
        """List the snapshots, find who locks the repository, and whether it can be changed."""
        place, ahead_s = self.repository.place()
        kept = self._files("snapshots")
        generations = [_generation(one) for one in self._json("snapshots", "--json") or ()]
        generations.sort(key=lambda one: one.started_at)
        flags = place.flags or ()
        is_immutable = place.is_read_only or "immutable" in flags or "append" in flags
        return Reach(
            (*generations[:-1], *map(self.sized, generations[-1:])),
            locked_since=self._locked_since(),
            is_immutable=is_immutable or None,
            immutability="只读挂载或不可变标志" if is_immutable else "仓库目录可写，无不可变标志",
            ahead_s=ahead_s,
            damages=(*self._passed_over(kept, generations), *self._spoiled_keys()),
        )

    def _passed_over(self, kept: Collection[str], listed: list[Generation]) -> Iterator[str]:
        """Yield the snapshots that restic left out with no more than a warning."""
        if left_out := set(kept) - {one.name for one in listed}:
            for name in sorted(left_out & self._files("snapshots").keys()):  # none just forgotten
                yield f"快照 {name[:SHORT]} 已损坏，不能列出"

    def _spoiled_keys(self) -> Iterator[str]:
        """Yield the key files that are not what their names say: the SHA-256 of what is in them."""
        place = f"{self.repository.path}/keys"
        names = list(map(str.encode, self._files("keys")))
        for one in digests(self.repository.seat, place, names, LIMITS):
            if isinstance(one, Problem):
                _need_gone(place, one)
            elif one.sha256 != (name := one.path.decode()):
                yield f"密钥文件 {name[:SHORT]} 已损坏：内容的 SHA-256 与文件名不符"

    def without_key(self, said: Said) -> tuple[str, str]:  # noqa: ARG002 - the files tell more
        """Tell a password that is not theirs from key files that are gone or spoiled."""
        if not self._files("keys"):
            return "damaged", "（仓库中没有密钥文件）"
        spoiled = next(self._spoiled_keys(), "")
        return ("damaged", f"（{spoiled}）") if spoiled else ("password", _ALL_WHOLE)

    def size_bytes(self, generation: Generation) -> int:
        """Return the size of what would be restored."""
        stats = self._json("stats", "--json", "--mode", "restore-size", generation.name)
        return int(stats["total_size"])

    def _locked_since(self) -> datetime | None:
        moments = (moment_of(seconds_of(one.time)) for one in self._files("locks").values())
        return min(moments, default=None)

    def _files(self, kind: str) -> dict[str, Entry]:
        """Return the files of a kind by their names in the repository; nothing foreign."""
        place = f"{self.repository.path}/{kind}"
        try:
            told = list(listing(self.repository.seat, place, LIMITS))
        except NotReached as error:
            if error.code != "missing":
                raise
            return {}  # restic itself takes it for empty, and finds what is gone by its index
        for record in told:
            if isinstance(record, Problem):
                _need_gone(place, record)
        files = (one for folder in told if isinstance(folder, Folder) for one in folder.files)
        return {one.name.decode(): one for one in files if _ID.fullmatch(one.name)}

    def listed(self, generation: Generation) -> Iterator[Folder]:
        """Yield the folders of the tool's own listing."""
        said = Said()
        words = ["ls", "--json", generation.name]
        if self.repository.inside:
            words += ["--recursive", f"/{self.repository.inside}"]
        job = {**self.job(*words), "output": "rows", "names": {"mtime": "mtime"}}
        for record in heard(self.repository, job, said):
            if isinstance(record, Folder):
                yield record
        self.need_success(said)

    def read(self, generation: Generation, shard: Shard) -> CheckedByTool:  # noqa: ARG002
        """Let restic read the packs of a shard; a repository is checked as a whole."""
        return CheckedByTool(lambda: self._checked(shard))

    def _checked(self, shard: Shard) -> Soundness:
        packs = list(self._files("data"))
        of = min(shard.of, SUBSETS_AT_MOST)
        if of > 1:
            return self._read(packs, Shard(shard.number % of, of))
        of = min(max(len(packs) // PACKS_A_PART, 1), PARTS_AT_MOST)
        return self._read(packs, Shard()) if of == 1 else self._in_parts(packs, of)

    def _in_parts(self, packs: list[str], of: int) -> Soundness:
        """Read all packs, a part after the other: what a cut or a kill takes is one of them."""
        found = []
        done = self.parts.of(packs, of) if self.parts else set()
        for part in (Shard(number, of) for number in range(of)):
            if part.number in done:
                wanted = len(_of_part(packs, part))
                found.append(Soundness("", Coverage(wanted, wanted, ok=wanted)))
                continue
            found.append(self._read(packs, part))
            if self.parts and not found[-1].problems:
                self.parts.add(part.number)
        if self.parts:
            self.parts.clear()
        return Soundness(
            "restic check --read-data",
            sum((one.coverage for one in found), Coverage()),
            tuple(dict.fromkeys(line for one in found for line in one.problems))[:SHOWN],
            tuple(dict.fromkeys(line for one in found for line in one.alarms)),
            is_finished=all(one.is_finished for one in found),
        )

    def _read(self, packs: list[str], part: Shard) -> Soundness:
        """Let restic read the packs of a part; it is ended where it only tries again and again."""
        wanted = max(len(_of_part(packs, part)), 1)  # the structure is checked where no pack is
        how = "--read-data" if part.of == 1 else f"--read-data-subset={part.number + 1}/{part.of}"
        said = Said()
        for _ in heard(self.repository, _patient(self.job("check", how)), said, self._told):
            pass
        method = f"restic check {how}"
        if said.code == 0 and _SOUND in said.text:
            return Soundness(method, Coverage(wanted, wanted, ok=wanted))
        problems = [self.repository.hidden(one) for one in self.complaints(said)]
        if not self.blames_copy(said) or (_UNSOUND not in said.text and not problems):
            self.need_success(said)
        return _unsound(method, said, problems or [said.excerpt()], wanted=wanted)

    def _told(self, line: str) -> None:
        """Tell how far restic is, and what it waits for."""
        if _PROGRESS.match(line) or _TRIED_ANEW in line:
            self.repository.tell(f"restic {self.repository.hidden(line.strip())}")

    def restored(self, generation: Generation, keys: list[bytes]) -> Iterator[Record]:
        """Yield what the tool sends of the wanted files."""
        for first in range(0, len(keys), PATTERNS_A_RUN):
            part = {
                key: b"/" + self.repository.path_of(key) for key in keys[first:][:PATTERNS_A_RUN]
            }
            patterns = [f"--include={_escaped(path)}" for path in part.values()]
            words = ("restore", generation.name, "--target", "{scratch}/out", *patterns)
            job = _patient(self.job(*words))
            collected = {text_of(key): text_of(path) for key, path in part.items()}
            said = Said()
            come = 0
            for record in heard(self.repository, {**job, "collect": collected}, said):
                come += isinstance(record, Whole)
                yield record
            if not self.complaints(said) or (come < len(part) and not self.blames_copy(said)):
                self.need_success(said)

    def _json(self, *words: str) -> Any:  # noqa: ANN401 - what a tool prints is known by its reader
        said = self.run(*words)
        try:
            return json.loads("\n".join(said.lines) or "null")
        except ValueError:
            raise NotReached("tool", f"restic 的输出无法识别：{said.lines[:1]}") from None

    def job(self, *words: str) -> dict[str, Any]:
        """Return the job that runs the tool with these words."""
        path = self.repository.path
        return {
            "words": [
                "restic",
                "--no-lock",
                "--repo",
                path,
                "--cache-dir",
                "{scratch}/cache",
                *words,
            ],
            "env": {
                "RESTIC_PASSWORD": self.repository.password,
                "RESTIC_PROGRESS_FPS": "0.1",  # without a terminal it tells none by itself
            },
            "restic": path,
            "output": "lines",
            "give_up": [_TRIED_ANEW, RETRIES],
        }

    def proof(self) -> dict[str, Any]:
        """Return the job that makes a repository in scratch."""
        job = self.job("init")
        words = [_PROOF if word == self.repository.path else word for word in job["words"]]
        return {**job, "words": words}

    def has_run(self, said: Said) -> bool:
        """Tell whether restic did what it was told."""
        return said.code == 0

    def reason(self, said: Said) -> str:
        """Return the code of `NotReached` for what restic names; empty for nothing."""
        told = (code for code, sign in _REASONS if sign.search(said.text))
        return _CODES.get(said.code or 0) or next(told, "")

    def complaints(self, said: Said) -> list[str]:
        """Return what restic said of damage, each once; of what it tried again, that alone."""
        lines = (line.strip() for line in (*said.lines, *said.errors) if not _CHATTER.match(line))
        bad = (line for line in lines if _DAMAGE.search(line) and _SOUND not in line)
        return list(dict.fromkeys(_RETRY.sub(r"\g<what>：\g<why>", line) for line in bad))


def _need_gone(place: str, problem: Problem) -> None:
    """Raise `NotReached` for a file that is there and was not read."""
    if problem.what != "gone":
        raise NotReached(problem.what, f"{place}：{problem.told}")


def _generation(snapshot: dict[str, Any]) -> Generation:
    return Generation(snapshot["id"], datetime.fromisoformat(snapshot["time"]))


def _patient(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job that reads much: some files of it may be bad, and the rest is to be seen."""
    return {**job, "give_up": [_TRIED_ANEW, RETRIES_READING]}


def _of_part(packs: list[str], part: Shard) -> list[str]:
    """Return the packs that restic reads of a part."""
    return [one for one in packs if int(one[:2], 16) % part.of == part.number]


def _unsound(method: str, said: Said, problems: list[str], *, wanted: int) -> Soundness:
    named = r"(?:[Pp]ack (?:ID does not match, want )?|<data/)([0-9a-f]{8})"
    bad = min(max(len(set(re.findall(named, said.text))), 1), wanted or 1)
    whole = max(wanted, bad)
    # One that was ended has read nothing for certain but what it complained of.
    is_finished = said.code is not None and said.code >= 0
    ok = whole - bad if is_finished else 0
    alarms = tuple(line for line in problems if ALARM.search(line))
    return Soundness(
        method,
        Coverage(whole, ok + bad, ok=ok, bad=bad),
        tuple(problems[:SHOWN]),
        alarms,
        is_finished=is_finished,
    )


def _escaped(path: bytes) -> str:
    return _SPECIAL.sub(rb"\\\1", path).decode("utf-8", "surrogateescape")
