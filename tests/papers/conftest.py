"""Printed samples, each printed once."""

from io import BytesIO

import pytest
from pypdf import PdfReader

from mailcare.papers.render import print_pdf, render_html
from tests.papers import sample


@pytest.fixture(autouse=True, scope="module")
def printer() -> None:
    """Print whatever is told, each time: it is printing that is tried here."""


@pytest.fixture(scope="session")
def html() -> str:
    return render_html(sample.report())


@pytest.fixture(scope="session")
def pdf() -> bytes:
    return print_pdf(render_html(sample.report()))


@pytest.fixture(scope="session")
def pages(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(BytesIO(pdf)).pages]
