from contextlib import suppress
from io import BytesIO
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.errors import InputError
from mailcare.systems.evidence import EVIDENCE_BYTES_MOST, read_evidence

MAIL = b"From: wang@bank.example\r\nDate: Mon, 5 Jan 2026 09:00:00 +0800\r\n\r\nAgreed.\r\n"


def packed(*names: str) -> bytes:
    body = BytesIO()
    with ZipFile(body, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return body.getvalue()


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (MAIL, "message/rfc822"),
        (MAIL.replace(b"\r\n", b"\n"), "message/rfc822"),
    ],
)
def test_a_kind_is_told_by_its_content(body, media_type):
    assert read_evidence("whatever.exe", body).media_type == media_type


def test_a_word_document_is_more_than_a_zip_file():
    word = read_evidence("a", packed("[Content_Types].xml", "word/document.xml"))
    assert word.media_type.endswith("wordprocessingml.document")
    with pytest.raises(InputError, match="只收"):
        read_evidence("a.docx", packed("evil.exe"))


def test_an_archive_with_a_name_that_is_no_text_is_refused():
    torn = packed("é.xml").replace("é".encode(), b"\xff\xfe")
    assert b"\xff\xfe" in torn

    with pytest.raises(InputError, match="只收"):
        read_evidence("a.docx", torn)


@pytest.mark.parametrize(
    "body", [b"<html><script>", b"<svg xmlns=", b"MZ", b"#!/bin/sh\n", b"GIF89a", b"From: x\n\n"]
)
def test_other_kinds_are_refused_whatever_they_are_called(body):
    with pytest.raises(InputError, match="只收"):
        read_evidence("evidence.pdf", body)


def test_nothing_and_too_much_are_refused():
    with pytest.raises(InputError, match="空"):
        read_evidence("a.pdf", b"")
    assert read_evidence("a.pdf", b"%PDF-" + b"x" * (EVIDENCE_BYTES_MOST - 5))
    with pytest.raises(InputError, match="10 MiB"):
        read_evidence("a.pdf", b"%PDF-" + b"x" * EVIDENCE_BYTES_MOST)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\授权书.pdf", "授权书.pdf"),
        ('a"\r\nSet-Cookie: x.pdf', "aSet-Cookie x.pdf"),
        ("\x00\x01", "evidence"),
        ("", "evidence"),
    ],
)
def test_a_name_is_made_safe(name, kept):
    assert read_evidence(name, b"%PDF-").name == kept


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"From: a\nDate: b\n"]))
def test_arbitrary_bytes_are_taken_or_refused_and_nothing_else(body, start):
    with suppress(InputError):
        read_evidence("a", start + body)
