"""The architecture diagram 客户系统架构图 as JSON: what the site file registers, layer by layer.

`diagram` draws. A line is drawn for what is registered only; where a layer has too many hosts for
lines to be followed, each host's box names what it is connected with instead.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mailcare.papers.document import Json
from mailcare.papers.wording import ROLES
from mailcare.systems.profile import Listener, Profile
from mailcare.systems.site import Node, Role, Site, Store, VirtualAddress
from mailcare.systems.system import System

OUTSIDE = "互联网 / 办公网用户"
ROW_MAX = 4  # hosts in one row, with lines between single hosts
BOXES_MAX = 24  # hosts of one role that get a box each
NAMES_MAX = 60  # hosts that a grouped box names
PORTS_MAX = 14
LISTED_MAX = 4  # hosts that a virtual address or a store names


def topology(system: System) -> dict[str, Json]:
    """Return the layers from the outside down, and the lines between their boxes.

    A layer: `key`, `title`, `note` and `boxes` with `key`, `kind`, `title` and `lines`. A line:
    `start` and `end` (keys of boxes or layers) and whether it `is_need` or a way that mail takes.
    """
    site = system.site
    layers = [
        _layer("top", "", [_outside(), *_resolver(site)]),
        _layer("virtual", "虚拟地址", [_virtual(one) for one in site.virtual_addresses]),
        _hosts(site, Role.MAIL) | {"note": _services(system.profile)},
        _hosts(site, Role.OTHER),
        _layer("stores", "邮件存储", [_store(one) for one in site.stores]),
        _hosts(site, Role.BACKUP),
    ]
    return {"layers": [layer for layer in layers if layer["boxes"]], "lines": _lines(site)}


def _is_crowded(nodes: Sequence[Node]) -> bool:
    return len(nodes) > ROW_MAX


def _layer(key: str, title: str, boxes: Iterable[dict[str, Json]]) -> dict[str, Json]:
    return {"key": f"layer:{key}", "title": title, "note": "", "boxes": list(boxes)}


def _box(key: str, kind: str, title: str, lines: Iterable[str]) -> dict[str, Json]:
    return {"key": key, "kind": kind, "title": title, "lines": [line for line in lines if line]}


def _outside() -> dict[str, Json]:
    return _box("outside", "outside", OUTSIDE, ())


def _resolver(site: Site) -> list[dict[str, Json]]:
    if site.resolver is None:
        return []
    domains = "、".join(domain.name for domain in site.domains[:3])
    more = f" 等 {len(site.domains)} 个域" if len(site.domains) > 3 else ""
    return [_box("dns", "dns", f"DNS {site.resolver.address}", [f"{domains}{more}"])]


def _virtual(one: VirtualAddress) -> dict[str, Json]:
    lines = (one.hostname, one.address, f"由 {_listed(one.nodes)} 承载")
    return _box(f"vip:{one.name}", "virtual", one.name, lines)


def _store(one: Store) -> dict[str, Json]:
    mirrored = "有第二份在线副本" if one.mirrored else "单份（无在线副本）"
    return _box(f"store:{one.name}", "store", one.title, (f"挂在 {_listed(one.nodes)}", mirrored))


def _listed(names: Sequence[str]) -> str:
    more = f" 等 {len(names)} 台" if len(names) > LISTED_MAX else ""
    return f"{'、'.join(names[:LISTED_MAX])}{more}"


def _role_of(node: Node) -> Role:
    return next((role for role in Role if role in node.roles), Role.OTHER)


def _of_role(site: Site, role: Role) -> list[Node]:
    return [node for node in site.nodes if _role_of(node) is role]


def _hosts(site: Site, role: Role) -> dict[str, Json]:
    nodes = _of_role(site, role)
    title = f"{ROLES[role]}（{len(nodes)} 台）" if len(nodes) > 1 else ROLES[role]
    if len(nodes) > BOXES_MAX:
        return _layer(role, title, [_group(role, nodes)])
    same_needs = len({node.depends_on for node in nodes}) == 1
    return _layer(
        role,
        title,
        [_host(node, tell_needs=_is_crowded(nodes) and not same_needs) for node in nodes],
    )


def _group(role: Role, nodes: Sequence[Node]) -> dict[str, Json]:
    names = "、".join(node.name for node in nodes[:NAMES_MAX])
    more = f"、……（其余 {len(nodes) - NAMES_MAX} 台见客户档案）" if len(nodes) > NAMES_MAX else ""
    span = f"地址 {nodes[0].address} 至 {nodes[-1].address}"
    return _box(f"group:{role}", role, f"{ROLES[role]} {len(nodes)} 台", (names + more, span))


def _host(node: Node, *, tell_needs: bool) -> dict[str, Json]:
    others = "、".join(ROLES[role] for role in node.roles if role is not _role_of(node))
    lines = (
        node.hostname,
        node.address,
        f"外部 {node.public_address}" if node.public_address not in (None, node.address) else "",
        f"兼：{others}" if others else "",
        f"依赖 {'、'.join(node.depends_on)}" if node.depends_on and tell_needs else "",
    )
    return _box(f"node:{node.name}", _role_of(node), node.name, lines)


def _services(profile: Profile) -> str:
    listeners = profile.listeners.value
    if listeners is None:
        return "服务与端口：产品档案未填写"
    programs = "、".join(one.title for one in profile.services.value or ())
    ports = "、".join(map(_port, listeners[:PORTS_MAX]))
    return f"每台：{programs}；端口 {ports}" if programs else f"每台端口：{ports}"


def _port(listener: Listener) -> str:
    return f"{listener.name} {listener.port}"


def _lines(site: Site) -> list[Json]:
    """Return the registered connections; of a layer in several rows it is the layer's own."""
    ends = {
        node.name: f"layer:{role}" if _is_crowded(nodes) else f"node:{node.name}"
        for role in Role
        for nodes in [_of_role(site, role)]
        for node in nodes
    }
    pairs = [*_ways(site, ends), *_needs(site, ends)]
    return [
        {"start": start, "end": end, "is_need": is_need}
        for start, end, is_need in dict.fromkeys(pairs)
        if start != end
    ]


def _ways(site: Site, ends: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    held = {name for one in site.virtual_addresses for name in one.nodes}
    for one in site.virtual_addresses:
        yield ("outside", f"vip:{one.name}", False)
        yield from ((f"vip:{one.name}", ends[name], False) for name in one.nodes)
    for node in _of_role(site, Role.MAIL):
        if node.name not in held:
            yield ("outside", ends[node.name], False)
    for store in site.stores:
        yield from ((ends[name], f"store:{store.name}", False) for name in store.nodes)


def _needs(site: Site, ends: Mapping[str, str]) -> Iterator[tuple[str, str, bool]]:
    for node in site.nodes:
        yield from ((ends[node.name], ends[other], True) for other in node.depends_on)
