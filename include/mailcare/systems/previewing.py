"""What importing a site file would change, told before anything is written."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailcare.errors import InputError
from mailcare.systems.site import Site

OWN_CONNECTIONS = frozenset({"mailcare_db"})
SERVERS_PLACES = ("password_env", "password_file", "key_file")
TEXT_CHARACTERS_MOST = 200


@dataclass(frozen=True, slots=True)
class SiteChange:
    """One place of the site file that changes, as texts; empty for what is not there."""

    place: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class SitePreview:
    """What a site file would do; `token` names exactly this and is handed back to apply it."""

    site: str
    title: str
    customer: str
    is_new: bool
    changes: tuple[SiteChange, ...]
    token: str


def preview_of(site: Site, known: Mapping[str, object] | None) -> SitePreview:
    """Hold a site file against the recorded one (None: a new system)."""
    new = definition_of(site)
    before, after = dict(_leaves(known or {})), dict(_leaves(new))
    places = [*after, *(place for place in before if place not in after)]
    changes = tuple(
        SiteChange(place, before.get(place, ""), after.get(place, ""))
        for place in places
        if before.get(place) != after.get(place)
    )
    token = version_of([known, new])
    return SitePreview(
        site.site, site.system.title, site.customer.name, known is None, changes, token
    )


def version_of(recorded: object) -> str:
    """Return what a recorded definition, or what is held against it, is known by."""
    return hashlib.sha256(json.dumps(recorded, sort_keys=True).encode()).hexdigest()


def definition_of(site: Site) -> dict[str, object]:
    """Return a site file as it is recorded."""
    return site.model_dump(mode="json", by_alias=True)


def refuse_servers_secrets(site: Site, known: Mapping[str, object] | None) -> None:
    """Refuse a file from a browser that names secrets of this server which are not in use here.

    Whoever may upload a site file could otherwise send any file or variable of the server to a
    host of their own. Raise `InputError` that names them.
    """
    allowed = set(_secrets(known or {}))
    asked = set(_secrets(definition_of(site))) - allowed
    if asked:
        named = "、".join(sorted(f"{place}: {value}" for place, value in asked))
        raise InputError(
            f"网页上传的站点文件不能新指定服务器上的文件或环境变量（{named}）；请改用 Airflow 连接 "
            "connection，或由操作员在服务器上执行 mailcare site import"
        )


def _secrets(node: object) -> Iterator[tuple[str, str]]:
    """Yield each place of the server that a definition takes a secret from."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            is_own = key == "connection" and value in OWN_CONNECTIONS
            if is_own or (key in SERVERS_PLACES and value):
                yield str(key), str(value)
            yield from _secrets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _secrets(value)


def _leaves(node: object, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, f"{place}.{key}" if place else str(key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _leaves(value, f"{place}[{_name_of(value, number)}]")
    elif node is not None:
        yield place, str(node)[:TEXT_CHARACTERS_MOST]


def _name_of(value: object, number: int) -> str:
    name = value.get("name") if isinstance(value, Mapping) else None
    return str(name or number + 1)
