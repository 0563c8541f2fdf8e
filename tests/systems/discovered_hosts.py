"""Hosts that were looked at, as recorded: `=== COMMAND EXIT_CODE`, then what it printed."""

import re
from datetime import UTC, datetime
from pathlib import Path

from mailcare.systems.discovery import Missing, Output, Told, read_facts
from mailcare.systems.discovery_commands import AT_FIRST, at_home
from mailcare.systems.discovery_draft import Discovered, draft
from mailcare.systems.discovery_file import Visit, site_text
from mailcare.systems.discovery_homes import find_homes, read_home
from mailcare.systems.lines import read_yaml
from mailcare.systems.site import Site, parse_site

FOLDER = Path(__file__).parent / "discovered"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzIYspoiDFiZhUtcCIljNeGqqwdfSZxe8NYz8sazhSZ"
COMMANDS = tuple(command.name for command in (*AT_FIRST, *at_home("/opt/any")))


def told_by(host: str) -> dict[str, Told]:
    text = (FOLDER / f"{host}.txt").read_text("utf-8")
    sections = re.split(r"^=== ", text, flags=re.MULTILINE)[1:]
    assert sections, "the file holds a reply"
    told: dict[str, Told] = {name: Missing("主机在 3 秒内没有答完") for name in COMMANDS}
    for section in sections:
        head, _, body = section.partition("\n")
        name, code = head.split()
        assert name in COMMANDS
        told[name] = Output(body, int(code))
    return told


def discovered(told: dict[str, Told], greetings: dict[int, str] | None = None) -> Discovered:
    facts = read_facts(told)
    homes = tuple(read_home(home, told) for home in find_homes(facts))
    return Discovered(facts, homes, greetings or {})


def visit(host: str = "192.0.2.7") -> Visit:
    return Visit(
        host=host,
        address="192.0.2.7",
        port=22,
        login="inspector",
        secret_key="key_file",
        secret_place="/keys/inspector",
        host_key=HOST_KEY,
        authorised_by="王示例: # 主任",
        visited_at=datetime(2026, 11, 23, 8, 30, 15, 999, tzinfo=UTC),
    )


def text_of(found: Discovered, host: str = "192.0.2.7") -> str:
    return site_text(draft(found), found, visit(host))


def checked(text: str) -> Site:
    """Read a text as `mailcare site check` does."""
    data, lines = read_yaml(text, name="draft")
    return parse_site(data, lines, base=Path("/"))
