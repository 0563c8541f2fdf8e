"""What a signature on a paper is worth, whatever becomes of the file."""

import stat
import threading
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pypdf import PdfReader, PdfWriter

from mailcare.clock import BEIJING
from mailcare.errors import InputError
from mailcare.papers.certificates import Identity, signing_identity, trusted_roots
from mailcare.papers.pades import (
    CUSTOMER_FIELD,
    ENGINEER_FIELD,
    Verdict,
    _pyhanko_signer,
    sign,
    verify,
)
from mailcare.papers.render import FAMILIES, TEMPLATES, _environment, print_pdf

NOW = datetime.now(UTC)  # pyHanko holds certificates against the real clock
ENGINEER = "周示例"
# A letter in each family that a paper must have.
LETTERS = "".join(f'<p style="font-family: {family}">x</p>' for family in FAMILIES)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAILCARE_HOME", str(home := tmp_path_factory.mktemp("home")))
        patch.delenv("MAILCARE_SIGNING_CERTIFICATE", raising=False)
        yield home


def paper_with_boxes() -> bytes:
    """Return the smallest paper with signature boxes."""
    boxes = _environment().get_template("furniture.html").module.signatures()
    style = (TEMPLATES / "print.css").read_text()
    return print_pdf(f'<html lang="zh"><style>{style}</style>{LETTERS}客户名称{boxes}</html>')


@pytest.fixture(scope="module")
def pdf() -> bytes:
    return paper_with_boxes()


@pytest.fixture(scope="module")
def signed(home: Path, pdf: bytes) -> bytes:
    identity = signing_identity("engineer", ENGINEER, now=NOW)
    return sign(pdf, identity, signer=ENGINEER, reason="巡检报告", at=NOW)


def bought(folder: Path, *, days: int = 30, passphrase: bytes = b"geheim") -> Path:
    """Write a PKCS#12 file as a certificate authority sells it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "示例维保公司")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(passphrase)
    file = folder / "bought.p12"
    file.write_bytes(pkcs12.serialize_key_and_certificates(b"vendor", key, certificate, None, lock))
    (folder / "passphrase").write_bytes(b"geheim\n")
    return file


def test_a_signed_paper_says_who_signed_it_and_that_it_is_unchanged(signed: bytes) -> None:
    (found,) = verify(signed, trusted_roots())

    assert (found.field, found.signer, found.reason) == (ENGINEER_FIELD, ENGINEER, "巡检报告")
    assert found.verdict is Verdict.INTACT
    assert (found.is_known, found.is_test) == (True, True)


def test_the_signature_is_pades_and_allows_forms_and_signatures_only(signed: bytes) -> None:
    catalogue = PdfReader(BytesIO(signed)).root_object
    certification = catalogue["/Perms"]["/DocMDP"].get_object()

    assert certification["/SubFilter"] == "/ETSI.CAdES.detached"
    assert certification["/Reference"][0].get_object()["/TransformParams"]["/P"] == 2


def test_the_seal_shows_name_date_and_that_the_certificate_is_a_test(signed: bytes) -> None:
    page = PdfReader(BytesIO(signed)).pages[0]
    ours = next(
        one
        for one in (row.get_object() for row in page["/Annots"])
        if one.get("/T") == ENGINEER_FIELD
    )
    drawn = ours["/AP"]["/N"]["/Resources"]["/XObject"]
    (picture,) = (drawn[name].get_object() for name in drawn)
    said = page.extract_xform_text(picture)

    assert f"签字 {ENGINEER}" in said
    assert f"{NOW.astimezone(BEIJING):%Y年%-m月%-d日 %H:%M}（北京时间）" in said
    assert "测试证书" in said


def test_the_text_of_a_signed_paper_can_still_be_searched(signed: bytes) -> None:
    text = "".join(page.extract_text() for page in PdfReader(BytesIO(signed)).pages)

    assert "客户签字（盖章）" in text
    assert "客户名称" in text


def test_an_empty_field_is_left_for_the_customer_and_nothing_else(signed: bytes) -> None:
    fields = [
        one.get_object() for one in PdfReader(BytesIO(signed)).root_object["/AcroForm"]["/Fields"]
    ]

    assert {one["/T"]: "/V" in one for one in fields} == {
        ENGINEER_FIELD: True,
        CUSTOMER_FIELD: False,
    }


def test_the_customers_own_signature_leaves_the_engineers_valid(signed: bytes, home: Path) -> None:
    customer = signing_identity("customer", "王示例", now=NOW)
    both = countersigned(signed, customer)

    found = {one.field: one.verdict for one in verify(both, trusted_roots())}
    assert found == {ENGINEER_FIELD: Verdict.EXTENDED, CUSTOMER_FIELD: Verdict.INTACT}


def countersigned(pdf: bytes, identity: Identity) -> bytes:
    metadata = signers.PdfSignatureMetadata(field_name=CUSTOMER_FIELD)
    writer = IncrementalPdfFileWriter(BytesIO(pdf))
    return signers.sign_pdf(writer, metadata, _pyhanko_signer(identity)).getvalue()


def test_one_changed_byte_is_told(signed: bytes) -> None:
    changed = bytearray(signed)
    changed[len(signed) // 3] ^= 1

    assert [one.verdict for one in verify(bytes(changed), trusted_roots())] == [Verdict.CHANGED]


def test_a_page_added_after_the_signature_is_told(signed: bytes) -> None:
    writer = PdfWriter(BytesIO(signed), incremental=True)
    writer.add_blank_page(595, 842)
    body = BytesIO()
    writer.write(body)

    assert [one.verdict for one in verify(body.getvalue(), trusted_roots())] == [Verdict.CHANGED]


def test_an_unsigned_paper_has_no_signature(pdf: bytes) -> None:
    assert verify(pdf, ()) == ()


@pytest.mark.parametrize("body", [b"", b"no pdf", b"%PDF-1.7\n", b"PK\x03\x04" + bytes(400)])
def test_what_is_no_pdf_is_said_in_a_sentence(body: bytes) -> None:
    with pytest.raises(InputError, match="PDF"):
        verify(body, ())


def test_a_file_cut_short_is_no_good_paper(signed: bytes) -> None:
    for length in (len(signed) - 100, len(signed) // 2):
        try:
            found = verify(signed[:length], trusted_roots())
        except InputError:
            continue
        assert all(one.verdict is not Verdict.INTACT for one in found)


def test_a_signature_of_a_stranger_is_not_known(signed: bytes) -> None:
    (found,) = verify(signed, ())

    assert (found.verdict, found.is_known) == (Verdict.INTACT, False)


def test_a_paper_without_signature_boxes_is_not_signed(home: Path) -> None:
    html = f'<html lang="zh">{LETTERS}</html>'
    identity = signing_identity("engineer", ENGINEER, now=NOW)

    with pytest.raises(InputError, match="签字栏"):
        sign(print_pdf(html), identity, signer=ENGINEER, reason="", at=NOW)


def test_a_signed_paper_is_not_signed_again(signed: bytes, home: Path) -> None:
    identity = signing_identity("engineer", ENGINEER, now=NOW)

    with pytest.raises(InputError, match="已经签过"):
        sign(signed, identity, signer=ENGINEER, reason="", at=NOW)


def test_test_certificates_are_for_their_owner_only(home: Path) -> None:
    signing_identity("engineer", ENGINEER, now=NOW)
    files = list((home / "signing").iterdir())

    assert len(files) >= 2
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}
    assert stat.S_IMODE((home / "signing").stat().st_mode) == 0o700


def test_two_who_need_a_certificate_at_once_get_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILCARE_HOME", str(tmp_path))
    found: list[Identity] = []
    several = [
        threading.Thread(target=lambda: found.append(signing_identity("e", ENGINEER, now=NOW)))
        for _ in range(4)
    ]
    for one in several:
        one.start()
    for one in several:
        one.join(30)

    assert len({one.certificate.serial_number for one in found}) == 1
    assert len(found) == 4


def test_the_operators_own_certificate_signs_where_it_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pdf: bytes
) -> None:
    monkeypatch.setenv("MAILCARE_SIGNING_CERTIFICATE", str(bought(tmp_path)))
    monkeypatch.setenv("MAILCARE_SIGNING_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    identity = signing_identity("engineer", ENGINEER, now=NOW)
    signed = sign(pdf, identity, signer=ENGINEER, reason="巡检报告", at=NOW)

    (found,) = verify(signed, trusted_roots())
    assert (found.signer, found.certificate) == (ENGINEER, "示例维保公司")
    assert (found.verdict, found.is_known, found.is_test) == (Verdict.INTACT, True, False)
    assert "geheim" not in repr(identity)


def test_a_certificate_that_cannot_be_used_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILCARE_SIGNING_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    monkeypatch.setenv("MAILCARE_SIGNING_CERTIFICATE", str(bought(tmp_path, days=-1)))
    with pytest.raises(InputError, match="有效期"):
        signing_identity("engineer", ENGINEER, now=NOW)

    monkeypatch.setenv("MAILCARE_SIGNING_CERTIFICATE", str(bought(tmp_path, passphrase=b"other")))
    with pytest.raises(InputError, match="口令"):
        signing_identity("engineer", ENGINEER, now=NOW)

    monkeypatch.setenv("MAILCARE_SIGNING_CERTIFICATE", str(tmp_path / "missing.p12"))
    with pytest.raises(InputError, match="无法读取"):
        signing_identity("engineer", ENGINEER, now=NOW)
