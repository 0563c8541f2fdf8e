import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from mailcare.errors import InputError
from mailcare.systems.profile import Confidence
from mailcare.systems.site import Site, load_site

LAB_SITE = Path(__file__).resolve().parents[2] / "lab" / "site.yaml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(text, "utf-8")
    return path


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = LAB_SITE.read_text("utf-8")
    assert old in text
    return written(tmp_path, text.replace(old, new, 1))


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_site(path)
    return str(caught.value)


def test_the_lab_site_is_read_with_its_overrides():
    site = load_site(LAB_SITE)
    profile = site.profile()
    assert site.customer.name == "示例银行"
    assert profile.mail_store.value == "/var/vmail"
    assert profile.mail_store.confidence is Confidence.VERIFIED
    assert profile.need("web_page").marks == ("Roundcube",)


def test_relative_files_are_taken_from_the_folder_of_the_site_file(tmp_path):
    path = changed(tmp_path, "/run/mailcare-lab/ca.pem", "keys/ca.pem")
    assert load_site(path).ca_file == tmp_path / "keys" / "ca.pem"


def test_a_missing_file_is_named(tmp_path):
    assert "文件不存在" in complaint(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "", "\x00", "x: !!python/object:os.x {}"])
def test_what_is_not_a_yaml_mapping_is_refused(tmp_path, text):
    assert str(tmp_path) in complaint(written(tmp_path, text))


def test_bytes_that_are_not_utf8_are_refused(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_bytes("customer: 示例银行".encode("gb18030"))
    assert "无法读取" in complaint(path)


def test_an_unknown_key_is_refused_with_its_line(tmp_path):
    path = changed(tmp_path, "    hostname: bak1", "    hostnme: x\n    hostname: bak1")
    line = 1 + path.read_text("utf-8").splitlines().index("    hostnme: x")
    text = complaint(path)
    assert f"第 {line} 行" in text
    assert "hostnme：不认识的键" in text


def test_a_key_given_twice_is_refused_with_its_line(tmp_path):
    assert "重复了键 schema" in complaint(changed(tmp_path, "schema: 1", "schema: 1\nschema: 1"))


def test_a_host_without_address_is_refused(tmp_path):
    text = complaint(changed(tmp_path, "    address: 10.66.0.31\n", ""))
    assert "nodes.1.address：缺少必填项" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("b: 1\na: &a [*a]", "第 2 行不是合法的 YAML：不支持 YAML 别名（*）"),
        ("a: &a {x: 1}\nb:\n  <<: *a", "第 3 行不是合法的 YAML：不支持 YAML 别名（*）"),
        ("a: &a [1]\n*a : 1", "第 2 行不是合法的 YAML：不支持 YAML 别名（*）"),
        ("a:\n  " + "[" * 100_000, "第 2 行不是合法的 YAML：嵌套超过 50 层"),
        ("\n".join(" " * level + "a:" for level in range(300)), "嵌套超过 50 层"),
        ("- " * 1000, "嵌套超过 50 层"),
        ("a: " + "x" * 4 * 2**20, "文件超过 4 MiB"),
    ],
    ids=["circle", "merge", "key", "flow", "block", "list", "size"],
)
def test_a_yaml_that_would_blow_up_is_refused_with_its_line(tmp_path, text, said):
    assert said in complaint(written(tmp_path, text))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dnsbl_zones: [dnsbl.example]", "dnsbl_zones: [a.example, A.example.]", "a.example"),
        ("domains:\n", "domains:\n  - name: Shili-bank.example\n", "shili-bank.example"),
    ],
)
def test_what_is_listed_twice_is_named(tmp_path, old, new, said):
    text = complaint(changed(tmp_path, old, new))
    assert "重复" in text
    assert said in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("port: 587", "port: often", "应为整数"),
        ("port: 587", "port: 70000", "不能大于 65535"),
        ("address: 10.66.0.31", "address: ten", "nodes.1.address"),
        ("deployment: single", "deployment: many", "只能是"),
        ("profile: postfix-dovecot", "profile: exchange", "没有这个产品档案"),
        ("nodes: [mx1, bak1]", "nodes: [mx9]", "未登记的主机：mx9"),
        ("2026-01-05T10:00:00+08:00", "2026-01-05T10:00:00", "必须带时区"),
        ("2036-01-01T00:00:00+08:00", "2025-01-01T00:00:00+08:00", "valid_to 必须晚于"),
        ("given_by: 王示例", "given_by: 路人", "路人 不是该客户指定的授权人（王示例）"),
        ("name: bak1", "name: mx1", "重名"),
        ("value: /var/vmail", "value: [1]", "system.overrides.mail_store"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path, old, new, said):
    text = complaint(changed(tmp_path, old, new))
    assert said in text
    assert "第 " in text


def test_who_gave_what_has_expired_or_is_revoked_may_have_left_since(tmp_path):
    path = changed(tmp_path, "given_by: 王示例", "given_by: 路人")
    text = path.read_text("utf-8")
    line = next(at for at, one in enumerate(text.splitlines(), 1) if "given_by" in one)
    assert f"第 {line} 行 authorisations.0.given_by：路人 不是" in complaint(path)
    path.write_text(text.replace("2036-01-01", "2026-01-06"), "utf-8")
    assert load_site(path).authorisations[0].given_by == "路人"
    path.write_text(f"{text.rstrip()}\n    revoked_at: 2026-02-01T00:00:00+08:00\n", "utf-8")
    assert load_site(path).authorisations[0].revoked_at


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("password_file: /run/mailcare-lab/probe_password", "password: hunter2"),
        ("password_file: /run/mailcare-lab/probe_password", "口令: hunter2"),
        ("key_file: /run/mailcare-lab/inspector_key", 'key_file: "-----BEGIN PRIVATE KEY-----"'),
        ("ehlo_name: core.vendor.example", "ehlo_name: smtp://me:hunter2@host"),
    ],
)
def test_a_secret_in_clear_is_refused_and_not_repeated(tmp_path, old, new):
    text = complaint(changed(tmp_path, old, new))
    assert "口令" in text
    assert "hunter2" not in text


def test_two_places_for_one_secret_are_refused(tmp_path):
    text = complaint(changed(tmp_path, "key_file: /run", "password_env: SECRET, key_file: /run"))
    assert "只能填写一个" in text


def test_the_schema_accepts_what_the_model_accepts():
    schema = Site.model_json_schema(by_alias=True)
    document = json.loads(json.dumps(yaml.safe_load(LAB_SITE.read_text("utf-8")), default=str))
    Draft202012Validator.check_schema(schema)
    assert list(Draft202012Validator(schema).iter_errors(document)) == []
    assert list(Draft202012Validator(schema).iter_errors(document | {"more": 1}))


def test_a_stored_definition_reads_back_as_the_same_site():
    site = load_site(LAB_SITE)
    assert Site.model_validate(site.model_dump(mode="json", by_alias=True)) == site


def test_a_host_behind_nat_is_seen_under_its_public_address(tmp_path):
    path = changed(tmp_path, "public_address: 10.66.0.11", "public_address: 198.51.100.7")
    [mx1, bak1] = load_site(path).nodes
    assert (mx1.seen_address, mx1.is_seen) == ("198.51.100.7", True)
    assert (bak1.seen_address, bak1.is_seen) == ("10.66.0.31", False)


def test_a_public_host_needs_no_public_address():
    [mx1, _] = load_site(LAB_SITE).nodes
    assert mx1.model_copy(update={"address": "8.8.8.8", "public_address": None}).is_seen


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- name: yi\n", "- name: jia\n", "有重复的 name：jia"),
        ("title: 示例邮箱乙", "title: 示例邮箱甲", "有重复的 title：示例邮箱甲"),
    ],
)
def test_two_providers_of_one_name_are_refused_with_their_line(tmp_path, old, new, said):
    path = changed(tmp_path, old, new)
    line = path.read_text("utf-8").splitlines().index("providers:") + 1
    assert f"第 {line} 行 providers：{said}" in complaint(path)


def test_a_port_that_is_listed_twice_is_refused(tmp_path):
    one = "{name: a, port: 25, protocol: smtp, service: x}"
    override = f"  overrides:\n    listeners: {{value: [{one}, {one}]}}\n"
    text = complaint(changed(tmp_path, "  overrides:\n", override))
    assert "重复的端口：25" in text
