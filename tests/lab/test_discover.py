"""`mailcare discover` against a real mail host of the lab."""

import re
import sys

import pytest

from mailcare import cli
from mailcare.systems.site import load_site
from tests.inspection.samples import LAB_SITE


@pytest.mark.lab
@pytest.mark.usefixtures("lab")
def test_the_lab_s_mail_host_is_discovered(tmp_path, monkeypatch):
    out = tmp_path / "site.yaml"
    known = load_site(LAB_SITE).nodes[0]
    credential = ("--login", "inspector", "--key-file", "/run/mailcare-lab/inspector_key")
    words = ("--authorised-by", "王示例", *credential, "--host-key", known.ssh.host_key)
    command = ["mailcare", "discover", known.address, *words, "--out", str(out)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    site = load_site(out)
    assert site.system.profile == "postfix-dovecot"
    ports = {one.port for one in site.profile().need("listeners")}
    assert ports == {25, 587, 465, 143, 993, 110, 995, 443}
    assert site.profile().mail_store.value == "/var/vmail"
    assert [(node.name, node.hostname) for node in site.nodes] == [(known.name, known.hostname)]
    text = out.read_text("utf-8")
    assert re.search(r"25 的问候语：220 .*Postfix", text)
    assert "另有目录 /opt/turbomail：没有看到运行中的程序" in text
