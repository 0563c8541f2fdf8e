"""The service plan's promises of time, version by version; a contract version names one.

The data file is the one home of their numbers.
"""

from collections.abc import Mapping
from datetime import time
from functools import lru_cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from mailcare.deadlines import Level, Promise, Terms, Unit
from mailcare.errors import InputError


def promises(version: int) -> Terms:
    """Return what a version promises; raise `InputError` for one that there is not."""
    found = _versions().get(version)
    if found is None:
        known = "、".join(map(str, _versions()))
        raise InputError(f"没有第 {version} 版服务承诺，可用：{known}")
    return found


def versions() -> tuple[int, ...]:
    """Return the versions there are, the newest last."""
    return tuple(_versions())


def newest() -> int:
    """Return the version that is offered for a new contract, and holds outside of any contract."""
    return versions()[-1]


@lru_cache(maxsize=1)
def _versions() -> Mapping[int, Terms]:
    text = (resources.files("mailcare.contracts") / "promises.yaml").read_text("utf-8")
    return read_promises(text)


def read_promises(text: str) -> Mapping[int, Terms]:
    """Read the data file's text into its versions, the oldest first."""
    return {number: _terms(said) for number, said in sorted(yaml.safe_load(text).items())}


def _terms(said: Mapping[str, Any]) -> Terms:
    p1, p2, p3, p4 = (_promise(said["resolution"][level]) for level in Level)
    return Terms(
        response_minutes=said["response_minutes"],
        resolution=(p1, p2, p3, p4),
        report_workdays=said["report_workdays"],
        report_internal_due=time.fromisoformat(said["report_internal_due"]),
        reopen_within_hours=said["reopen_within_hours"],
        zone=ZoneInfo(said["zone"]),
    )


def _promise(said: Mapping[str, Any]) -> Promise:
    [unit] = (one for one in Unit if one in said)
    return Promise(said[unit], unit, is_soft=said.get("soft", False))
