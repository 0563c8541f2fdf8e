"""The lab's zones: written from files, changed by edits, served by BIND on dns1."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import keys, state

ZONE_FILES = Path(__file__).parent / "files" / "zones"
ZONES_ON_HOST = "etc/bind/lab"
STRANGE_DKIM = "@STRANGE_DKIM@"
_TTL_S = 5


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace all data of one owner and type in a zone; empty data removes them."""

    zone: str
    owner: str
    kind: str
    data: tuple[str, ...] = ()


def render_zones(edits: Iterable[Edit] = ()) -> Mapping[str, str]:
    """Write every zone as BIND reads it, after the edits; the serial grows with time."""
    edits = tuple(edits)
    serial = time.time_ns() // 10_000_000 % 2**31
    return {
        path.name: _render(path, [edit for edit in edits if edit.zone == path.stem], serial=serial)
        for path in sorted(ZONE_FILES.glob("*.zone"))
    }


def serial_of(zone_text: str) -> int:
    """Read back the serial that `render_zones` wrote."""
    return int(zone_text.splitlines()[1].split()[4])


def _render(path: Path, edits: list[Edit], *, serial: int) -> str:
    lines = path.read_text().replace("@DKIM@", keys.dkim_record(state.DKIM_KEY.read_bytes()))
    replaced = {(edit.owner, edit.kind) for edit in edits}
    kept = [line for line in lines.splitlines() if tuple(line.split()[:2]) not in replaced]
    added = [f"{edit.owner} {edit.kind} {data}" for edit in edits for data in edit.data]
    head = [
        f"$TTL {_TTL_S}",
        f"@ SOA dns1.shili-bank.example. hostmaster.shili-bank.example. {serial} 60 30 3600 5",
    ]
    text = "\n".join([*head, *kept, *added]) + "\n"
    if STRANGE_DKIM in text:
        text = text.replace(STRANGE_DKIM, keys.dkim_record(keys.make_dkim_key()))
    return text
