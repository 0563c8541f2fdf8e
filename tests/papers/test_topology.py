import json

from mailcare.papers.topology import topology
from mailcare.systems.site import Site
from mailcare.systems.system import System
from tests.papers import sample


def system_of(hosts: int) -> System:
    mail = [
        {
            "name": f"mx{number}",
            "hostname": f"mx{number}.shili-bank.example",
            "address": f"192.0.2.{number}",
            "depends_on": ["db1"],
        }
        for number in range(1, hosts + 1)
    ]
    others = [
        {"name": "db1", "hostname": "db1.a.example", "address": "192.0.2.250", "roles": ["other"]},
        {"name": "bak1", "hostname": "b.a.example", "address": "192.0.2.251", "roles": ["backup"]},
    ]
    content = sample.SITE.model_dump(mode="json", by_alias=True) | {
        "nodes": [*mail, *others],
        "resolver": {"address": "192.0.2.53"},
        "virtual_addresses": [
            {"name": "vip", "hostname": "mail.a.example", "address": "192.0.2.99", "nodes": ["mx1"]}
        ],
        "stores": [
            {"name": "nas", "title": "主存储", "nodes": [mail[0]["name"], mail[-1]["name"]]}
        ],
    }
    site = Site.model_validate(content)
    return System(site, site.profile())


def boxes(hosts: int) -> dict[str, dict]:
    return {
        box["key"]: box for layer in topology(system_of(hosts))["layers"] for box in layer["boxes"]
    }


def lines(hosts: int) -> set[tuple[str, str]]:
    return {(line["start"], line["end"]) for line in topology(system_of(hosts))["lines"]}


def test_everything_that_is_registered_has_a_box():
    found = boxes(2)
    assert set(found) == {
        "outside", "dns", "vip:vip", "node:mx1", "node:mx2", "node:db1", "store:nas", "node:bak1",
    }  # fmt: skip
    assert found["node:mx1"]["lines"][:2] == ["mx1.shili-bank.example", "192.0.2.1"]
    assert found["store:nas"]["lines"] == ["挂在 mx1、mx2", "单份（无在线副本）"]


def test_lines_follow_what_is_registered_and_nothing_else():
    assert lines(2) == {
        ("outside", "vip:vip"),
        ("vip:vip", "node:mx1"),
        ("outside", "node:mx2"),  # held by no virtual address
        ("node:mx1", "store:nas"),
        ("node:mx2", "store:nas"),
        ("node:mx1", "node:db1"),
        ("node:mx2", "node:db1"),
    }


def test_of_hosts_in_several_rows_the_layer_is_connected():
    assert lines(7) == {
        ("outside", "vip:vip"),
        ("vip:vip", "layer:mail"),
        ("outside", "layer:mail"),
        ("layer:mail", "store:nas"),
        ("layer:mail", "node:db1"),
    }


def test_hosts_beyond_two_dozen_are_grouped():
    found = boxes(30)
    assert "node:mx1" not in found
    assert found["group:mail"]["title"] == "邮件主机 30 台"
    assert "mx30" in found["group:mail"]["lines"][0]


def test_services_that_the_profile_does_not_know_are_not_made_up():
    generic = sample.SITE.model_dump(mode="json", by_alias=True)
    generic |= {"system": {"title": "邮件系统", "profile": "turbomail"}}
    generic["system"]["overrides"] = {"listeners": {"value": None}}
    site = Site.model_validate(generic)
    layers = topology(System(site, site.profile()))["layers"]
    notes = [layer["note"] for layer in layers if layer["title"].startswith("邮件主机")]
    assert notes == ["服务与端口：产品档案未填写"]


def test_the_diagram_is_json():
    content = topology(system_of(7))
    assert json.loads(json.dumps(content)) == content
