"""Sign a PDF as PAdES with a visible seal, and tell what a PDF's signatures are worth.

The engineer's signature certifies the paper: after it only forms may be filled in and signatures
added, and an empty field stands ready for the customer's own. Nobody's seal but the engineer's is
ever placed.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from io import BytesIO
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mailcare.clock import BEIJING
from mailcare.errors import InputError
from mailcare.papers.certificates import Chain, Identity, common_name, is_test
from mailcare.papers.document import Document
from mailcare.papers.render import print_pdf, render_html

if TYPE_CHECKING:
    from asn1crypto.x509 import Certificate
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.fields import SigFieldSpec
    from pyhanko.sign.signers import SimpleSigner
    from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
    from pyhanko.sign.validation.status import PdfSignatureStatus
    from pyhanko.stamp import StaticStampStyle

# pyHanko takes a second to import, and most who import this module sign nothing.
# ruff: noqa: PLC0415

ENGINEER_FIELD, CUSTOMER_FIELD = "EngineerSign", "CustomerSign"
ENGINEER_PLACE, CUSTOMER_PLACE = "engineer-signs", "customer-signs"
POINTS_PER_MM = 72 / 25.4
SEAL_MM = (62.0, 15.0)
FIELD_MM = (74.0, 15.0)
SEAL_BELOW_MM = 5.5  # below the box's own words
NOTHING_SIGNED = "这份文书没有签字栏，无法签字"


class Verdict(StrEnum):
    """What became of a paper since it was signed.

    `changed` is whatever was not allowed after the signature; `extended` is what was, such as the
    customer's own signature.
    """

    INTACT = "intact"
    EXTENDED = "extended"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature in a PDF.

    `signed_at` is what the signer's clock said. `is_known` tells whether the certificate comes from
    somebody whom we trust, `is_test` that it is a test certificate.
    """

    field: str
    signer: str
    certificate: str
    reason: str
    signed_at: datetime | None
    verdict: Verdict
    is_known: bool
    is_test: bool


def sign(pdf: bytes, identity: Identity, *, signer: str, reason: str, at: datetime) -> bytes:
    """Return the PDF with the engineer's signature, a visible seal and the customer's empty field.

    `signer` is the engineer's name as the seal shows it, `at` aware. Raise `InputError` for a paper
    without signature boxes, or one that is signed already.
    """
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers

    with _explained():
        writer = IncrementalPdfFileWriter(BytesIO(pdf))
        places = _places(writer.prev)
    if ENGINEER_PLACE not in places or CUSTOMER_PLACE not in places:
        raise InputError(NOTHING_SIGNED)
    if writer.prev.embedded_signatures:
        raise InputError("这份文书已经签过字")
    customer = _spec(CUSTOMER_FIELD, places[CUSTOMER_PLACE], FIELD_MM)
    fields.append_signature_field(writer, customer)
    metadata = signers.PdfSignatureMetadata(
        field_name=ENGINEER_FIELD,
        md_algorithm="sha256",
        name=signer,
        reason=reason,
        certify=True,
        docmdp_permissions=fields.MDPPerm.FILL_FORMS,
        subfilter=fields.SigSeedSubFilter.PADES,
    )
    with _seal(signer, identity.issued, at) as seal:
        hand = signers.PdfSigner(
            metadata,
            _pyhanko_signer(identity),
            stamp_style=seal,
            new_field_spec=_spec(ENGINEER_FIELD, places[ENGINEER_PLACE], SEAL_MM),
        )
        return hand.sign_pdf(writer).getvalue()


def verify(pdf: bytes, roots: Chain) -> tuple[Signature, ...]:
    """Return the signatures of a PDF, none for an unsigned one; `roots` are whom we trust.

    Raise `InputError` for what cannot be read as a PDF.
    """
    from pyhanko.pdf_utils.reader import PdfFileReader

    with _explained():
        reader = PdfFileReader(BytesIO(pdf))
        return tuple(_signature(one, roots) for one in reader.embedded_signatures)


@contextmanager
def _explained() -> Iterator[None]:
    from pyhanko.pdf_utils.misc import PdfError

    try:
        yield
    except (PdfError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # Whatever pyHanko stumbles over: the file is a stranger's.
        raise InputError(f"不是完好的 PDF 文件（{error}）") from None


def _signature(embedded: "EmbeddedPdfSignature", roots: Chain) -> Signature:
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    context = ValidationContext(trust_roots=[_asn1(one) for one in roots], allow_fetching=False)
    status = validate_pdf_signature(embedded, context)
    certificate = x509.load_der_x509_certificate(status.signing_cert.dump())
    said = embedded.sig_object
    return Signature(
        field=embedded.field_name,
        signer=str(said.get("/Name", "")) or common_name(certificate),
        certificate=common_name(certificate),
        reason=str(said.get("/Reason", "")),
        signed_at=embedded.self_reported_timestamp,
        verdict=_verdict(status),
        is_known=status.trusted,
        is_test=is_test(certificate),
    )


def _verdict(status: "PdfSignatureStatus") -> Verdict:
    from pyhanko.sign.diff_analysis import ModificationLevel

    if not (status.intact and status.valid and status.docmdp_ok):
        return Verdict.CHANGED
    if status.modification_level in (None, ModificationLevel.NONE):
        return Verdict.INTACT
    return Verdict.EXTENDED


def _pyhanko_signer(identity: Identity) -> "SimpleSigner":
    from asn1crypto.keys import PrivateKeyInfo
    from pyhanko.sign.signers import SimpleSigner
    from pyhanko_certvalidator.registry import SimpleCertificateStore

    store = SimpleCertificateStore()
    store.register_multiple([_asn1(one) for one in identity.chain])
    return SimpleSigner(
        signing_cert=_asn1(identity.certificate),
        signing_key=PrivateKeyInfo.load(identity.key),
        cert_registry=store,
    )


def _asn1(certificate: x509.Certificate) -> "Certificate":
    from asn1crypto.x509 import Certificate

    return Certificate.load(certificate.public_bytes(Encoding.DER))


@contextmanager
def _seal(signer: str, issued: str, at: datetime) -> Iterator["StaticStampStyle"]:
    from pyhanko.pdf_utils.layout import AxisAlignment, Margins, SimpleBoxLayoutRule
    from pyhanko.stamp import StaticStampStyle

    content = {"name": signer, "at": at.astimezone(BEIJING).isoformat(), "issued": issued}
    drawn = print_pdf(render_html(Document("seal", "signing/seal.html", 1, content)))
    # pyHanko reads the drawing from a file, when it signs.
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(drawn)
        file.flush()
        yield StaticStampStyle.from_pdf_file(
            file.name,
            border_width=0,
            background_opacity=1,
            background_layout=SimpleBoxLayoutRule(
                x_align=AxisAlignment.ALIGN_MIN,
                y_align=AxisAlignment.ALIGN_MAX,
                margins=Margins.uniform(0),
            ),
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a signature box is: the page, and its upper left corner in points from below left."""

    page: int
    x: float
    y: float


def _spec(field: str, place: _Place, size_mm: tuple[float, float]) -> "SigFieldSpec":
    from pyhanko.sign.fields import SigFieldSpec

    top = place.y - SEAL_BELOW_MM * POINTS_PER_MM
    width, height = (round(one * POINTS_PER_MM) for one in size_mm)
    left = round(place.x)
    box = (left, round(top) - height, left + width, round(top))
    return SigFieldSpec(field, on_page=place.page, box=box)


def _places(reader: "PdfFileReader") -> dict[str, _Place]:
    """Return where the boxes are, as the renderer named them in the PDF."""
    pages = {
        reader.find_page_for_modification(number)[0].idnum: number
        for number in range(int(reader.root["/Pages"]["/Count"]))
    }
    return {
        name: _Place(pages[where.raw_get(0).idnum], float(where[2]), float(where[3]))
        for name, where in _destinations(reader)
    }


def _destinations(reader: "PdfFileReader") -> Iterator[tuple[str, Any]]:
    names = reader.root.get("/Names", {}).get("/Dests", {}).get("/Names", [])
    for number in range(0, len(names), 2):
        yield str(names[number]), names[number + 1]
