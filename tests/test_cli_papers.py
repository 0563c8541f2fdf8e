from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailcare.cli import app
from mailcare.papers.certificates import signing_identity
from mailcare.papers.pades import sign
from tests.papers.test_pades import paper_with_boxes


def test_a_signed_file_is_checked_and_a_changed_one_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    now = datetime.now(UTC)
    pdf = paper_with_boxes()
    signed = sign(pdf, signing_identity("z", "周示例", now=now), signer="周示例", reason="", at=now)
    changed = signed[:5000] + b"\0" + signed[5001:]
    for body, code, said in ((signed, 0, "未改动"), (changed, 1, "被改动"), (pdf, 1, "没有任何")):
        (tmp_path / "paper.pdf").write_bytes(body)
        answer = CliRunner().invoke(app, ["paper", "verify", str(tmp_path / "paper.pdf")])
        assert (answer.exit_code, said in answer.output) == (code, True), answer.output
