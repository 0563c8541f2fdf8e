"""Evidence 证据: what was found of a copy, signed, chained to the evidence before it.

Canonical JSON (sorted keys, no blanks, UTF-8), an ed25519 signature over it, and the SHA-256 of the
previous piece of the same copy. An audit judges the facts again: it needs the evidence alone.
"""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import TypeAdapter, ValidationError

from mailcare import VERSION
from mailcare.backup.judging import KINDS, Facts, judge, kind_of
from mailcare.backup.verdicts import Judgement, Level
from mailcare.errors import InputError
from mailcare.files import write_once

SCHEMA = 1
PROGRAM = f"mailcare {VERSION}"
_ADAPTERS: dict[str, TypeAdapter[Any]] = {}


@dataclass(frozen=True, slots=True)
class Finding:
    """A level of a generation with its facts; `generation` is empty for the copy as a whole."""

    level: Level
    generation: str
    facts: Facts

    def judgement(self) -> Judgement:
        """Judge the facts."""
        return judge(self.level, self.facts)


@dataclass(frozen=True, slots=True)
class Statement:
    """What one run found of one copy; `previous` is the SHA-256 of the statement before."""

    site: str
    customer: str
    copy: str
    kind: str
    sequence: int
    previous: str | None
    started_at: datetime
    finished_at: datetime
    program: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A signed statement: its canonical text, the text's SHA-256, signature and public key."""

    text: str
    sha256: str
    signature: str
    public_key: str

    def as_json(self) -> dict[str, Any]:
        """Return it as it is written into a file."""
        return {
            "statement": self.statement(),
            "sha256": self.sha256,
            "signature": self.signature,
            "public_key": self.public_key,
        }

    def statement(self) -> dict[str, Any]:
        """Return the statement as JSON; `InputError` where the text is none any more."""
        with suppress(ValueError, RecursionError):
            said = json.loads(self.text)
            if _is_statement(said):
                return said
        raise InputError("证据的内容已损坏，无法读取", subject=self.sha256[:16])

    def intact(self) -> dict[str, Any] | None:
        """Return the statement as JSON; None where it is not the one of that SHA-256 any more."""
        if not self.has_its_sum:
            return None
        try:
            return self.statement()
        except InputError:
            return None

    @property
    def has_its_sum(self) -> bool:
        """Tell whether the text has its SHA-256; who signed it is for `audit`."""
        return hashlib.sha256(self.text.encode()).hexdigest() == self.sha256


def _is_statement(said: object) -> bool:
    if not isinstance(said, dict) or not isinstance(said.get("findings"), list):
        return False
    return all(isinstance(one, dict) for one in said["findings"])


def canonical(value: object) -> str:
    """Return JSON in its one canonical form."""
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    )


def content_of(statement: Statement) -> dict[str, Any]:
    """Return a statement as JSON, each finding with facts and verdict."""
    return {
        "schema": SCHEMA,
        "site": statement.site,
        "customer": statement.customer,
        "copy": statement.copy,
        "kind": statement.kind,
        "sequence": statement.sequence,
        "previous": statement.previous,
        "started_at": statement.started_at.isoformat(),
        "finished_at": statement.finished_at.isoformat(),
        "program": statement.program,
        "findings": [finding_json(one) for one in statement.findings],
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON: its facts, and what they are judged to be."""
    kind = kind_of(finding.facts)
    return {
        "level": finding.level.value,
        "generation": finding.generation,
        "facts_kind": kind,
        "facts": _adapter(kind).dump_python(finding.facts, mode="json"),
        **judgement_json(finding.judgement()),
    }


def judgement_json(judgement: Judgement) -> dict[str, Any]:
    """Return verdict, reason, coverage and remarks as JSON."""
    coverage = judgement.coverage
    return {
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "coverage": {
            name: getattr(coverage, name)
            for name in ("expected", "examined", "ok", "bad", "unreadable", "changed")
        },
        "remarks": [
            {"code": one.code, "text": one.text, "weight": one.weight.name.lower()}
            for one in judgement.remarks
        ],
    }


def _adapter(kind: str) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(KINDS[kind])
    return _ADAPTERS[kind]


def facts_of(finding: Mapping[str, Any]) -> Facts:
    """Return the facts that stand in a finding's JSON; raise `InputError` where they are none."""
    kind = finding.get("facts_kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"证据中有未知的事实类型：{kind}")
    try:
        return _adapter(kind).validate_json(json.dumps(finding.get("facts")))
    except (ValidationError, ValueError) as error:
        raise InputError(f"证据中的事实无法读取（{type(error).__name__}）") from None


def finding_of(told: Mapping[str, Any]) -> Finding:
    """Return the finding that stands in JSON; raise `InputError` where it is none."""
    return Finding(Level(told["level"]), told["generation"], facts_of(told))


def sign(statement: Statement, key: Ed25519PrivateKey) -> Evidence:
    """Return the signed statement."""
    text = canonical(content_of(statement))
    public = key.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return Evidence(
        text,
        hashlib.sha256(text.encode()).hexdigest(),
        base64.b64encode(key.sign(text.encode())).decode(),
        base64.b64encode(public).decode(),
    )


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Return the key that evidence is signed with; the first use makes it, readable by us only."""
    if not path.exists():
        try:
            _make_key(path)
        except OSError as error:
            raise InputError(f"签名密钥无法建立（{error.strerror}）", subject=str(path)) from None
    return _read_key(path)


def _make_key(path: Path) -> None:
    """Make a key whole, or leave the one alone that another process has made meanwhile."""
    written = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_once(path, written)


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise InputError("签名密钥无法读取", subject=str(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError("签名密钥不是 ed25519", subject=str(path))
    return key


def public_text(key: Ed25519PrivateKey) -> str:
    """Return the public half of a key in base64, as evidence carries it."""
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def read_evidence(data: bytes, *, name: str) -> Evidence:
    """Read a file of evidence; raise `InputError` for what is none."""
    try:
        content = json.loads(data, object_pairs_hook=_once)
        assert _is_statement(content["statement"])
        text = canonical(content["statement"])
        text.encode()
        fields = (content["sha256"], content["signature"], content["public_key"])
    except (ValueError, KeyError, TypeError, AssertionError, RecursionError):
        raise InputError("不是备份验证的证据文件", subject=name) from None
    return Evidence(text, *map(str, fields))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; raise `ValueError` where a name stands in it twice, for two readers."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def audit(
    evidence: Evidence, others: Iterable[Evidence], *, trusted: str | None
) -> tuple[str, ...]:
    """Return what is wrong with a piece of evidence; nothing where it holds.

    `others` is where the piece before it is looked for, `trusted` the public key that must have
    signed it (base64); without one its own is taken, which proves only that nothing was changed
    since by somebody without the key.
    """
    wrong = list(_tampered(evidence, trusted))
    try:
        said = evidence.statement()
    except InputError as error:
        return (*wrong, str(error))
    wrong += _broken_chain(said, others)
    for finding in said["findings"]:
        wrong += _judged_otherwise(finding, said.get("program"))
    return tuple(wrong)


def _tampered(evidence: Evidence, trusted: str | None) -> Sequence[str]:
    if not evidence.has_its_sum:
        return ["内容与其 SHA-256 不符，证据被改动过"]
    if trusted is not None and evidence.public_key != trusted:
        return ["不是用可信的密钥签署的"]
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(evidence.public_key))
        public.verify(base64.b64decode(evidence.signature), evidence.text.encode())
    except (InvalidSignature, ValueError):
        return ["签名无效，证据被改动过"]
    return []


def _broken_chain(said: Mapping[str, Any], others: Iterable[Evidence]) -> Sequence[str]:
    sequence, previous = said.get("sequence"), said.get("previous")
    if sequence == 1:
        return [] if previous is None else ["第一份证据不应有前一份"]
    if previous is None:
        return [f"第 {sequence} 份证据没有指明前一份"]
    before = next((one for one in others if one.sha256 == previous), None)
    if before is None:
        return [f"找不到前一份证据（SHA-256 {str(previous)[:16]}…），证据链缺失"]
    told = before.intact()
    if told is None:
        return ["前一份证据的内容被改动过"]
    if (told.get("copy"), told.get("site")) != (said.get("copy"), said.get("site")):
        return ["前一份证据属于另一个副本"]
    if not isinstance(sequence, int) or told.get("sequence") != sequence - 1:
        return ["证据链的序号不连续"]
    return []


def forked(evidence: Iterable[Evidence]) -> frozenset[str]:
    """Return the SHA-256 of those that share their place in a chain with another statement."""
    places = defaultdict(set)
    for one in evidence:
        said = one.statement()
        place = canonical([said.get(name) for name in ("site", "copy", "sequence")])
        places[place].add(one.sha256)
    return frozenset(sha256 for found in places.values() if len(found) > 1 for sha256 in found)


def _judged_otherwise(finding: Mapping[str, Any], program: object) -> Sequence[str]:
    """Say what the facts do not bear out; the wording is held against the same program's only."""
    try:
        level = Level(finding["level"])
        again = judgement_json(judge(level, facts_of(finding)))
    except (InputError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        return [f"{finding.get('level')}：事实不足以作出结论（{error}）"]
    names = tuple(again) if program == PROGRAM else ("verdict", "coverage")
    wrong = [name for name in names if finding.get(name) != again[name]]
    if not wrong:
        return []
    told = f"{finding.get('verdict')}，由事实得出 {again['verdict']}"
    return [f"{level} {finding.get('generation')}：记载为 {told}（{'、'.join(wrong)} 不符）"]
