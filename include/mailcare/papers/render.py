"""Lay a document out as HTML and print it as PDF; the only module that imports WeasyPrint.

The renderer reaches nothing outside of the HTML itself, takes any complaint of WeasyPrint for an
error, and accepts no font but the four that papers are set in.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import get_ident
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import mailcare
from mailcare.errors import MailcareError
from mailcare.papers import formats
from mailcare.papers.document import Document
from mailcare.papers.wording import STATES

if TYPE_CHECKING:
    from weasyprint.pdf.fonts import Font

TEMPLATES = Path(mailcare.__file__).parents[1] / "templates"

# Every paper uses these families (print.css: body, titles, document number), each from the Debian
# and Ubuntu package that holds it.
FAMILIES: Mapping[str, str] = {
    "Noto Serif CJK SC": "fonts-noto-cjk",
    "Noto Sans CJK SC": "fonts-noto-cjk",
    "DejaVu Sans Mono": "fonts-dejavu-core",
}
NONE: Mapping[str, str] = MappingProxyType({})
COMPLAINTS_MAX = 5
# Holds the box signs ☐ and ☑; comes with DejaVu Sans Mono.
SPARE_FAMILIES = frozenset({"DejaVu Sans"})


class PaperError(MailcareError):
    """A paper cannot be printed as it should be."""


@dataclass(frozen=True, slots=True)
class _Print:
    """One attempt: the PDF, the fonts in it, and what WeasyPrint complained about."""

    pdf: bytes
    families: frozenset[str]
    strange: frozenset[str]  # characters that none of our fonts has
    complaints: tuple[str, ...]


def render_html(document: Document, *, pictures: Mapping[str, str] = NONE) -> str:
    """Return the paper as one HTML file that needs no other; also what the PDF is printed from.

    `pictures` are the data URIs of the photos that the content names by their SHA-256.
    A name that the template uses and the content lacks raises `jinja2.UndefinedError`.
    """
    template = _environment().get_template(document.template)
    return template.render(
        document.content,
        number=document.number,
        template_version=document.template_version,
        fingerprint=document.fingerprint(),
        states=STATES,
        photos=pictures,
    )


def print_pdf(html: str) -> bytes:
    """Print HTML as `render_html` returns it.

    A character that our fonts lack is printed as its code point, 〔U+1F600〕; never as an empty box
    or in whatever font this machine happens to have.
    """
    printed = _print(html)
    _check_fonts_are_there(printed.families)
    if printed.strange:
        codes = {ord(one): f"〔U+{ord(one):04X}〕" for one in printed.strange}
        printed = _print(html.translate(codes))
    if printed.complaints:
        told = list(dict.fromkeys(printed.complaints))[:COMPLAINTS_MAX]
        raise PaperError(f"排版程序报告了问题：{'；'.join(told)}")
    if foreign := printed.families - FAMILIES.keys() - SPARE_FAMILIES:
        raise PaperError(f"文件用到了规定之外的字体：{'、'.join(sorted(foreign))}")
    return printed.pdf


def _print(html: str) -> _Print:
    # WeasyPrint takes half a second to import and is not needed for HTML.
    from weasyprint import HTML  # noqa: PLC0415
    from weasyprint.urls import URLFetcher  # noqa: PLC0415

    with _listening() as complaints:
        fetcher = URLFetcher(allowed_protocols={"data"})
        drawing = HTML(string=html, url_fetcher=fetcher).render()
        pdf = drawing.write_pdf()
    assert pdf is not None  # no target was named
    fonts = list(drawing.fonts.values())
    families = frozenset(font.family for font in fonts)
    return _Print(pdf, families, _strange(fonts), tuple(complaints))


def _strange(fonts: list["Font"]) -> frozenset[str]:
    ours = FAMILIES.keys() | SPARE_FAMILIES
    missing = {chr(code) for font in fonts for code in font.missing}
    foreign = {
        character
        for font in fonts
        if font.family not in ours
        for cluster in font.to_unicode.values()
        for character in cluster
    }
    return frozenset(one for one in missing | foreign if not one.isascii())


def _check_fonts_are_there(families: frozenset[str]) -> None:
    if absent := FAMILIES.keys() - families:
        packages = sorted({FAMILIES[family] for family in absent})
        raise PaperError(
            f"缺少字体 {'、'.join(sorted(absent))}；请安装软件包：apt-get install "
            f"{' '.join(packages)}"
        )


class _Listener(logging.Handler):
    """Keeps what this thread's WeasyPrint says; another thread prints a paper of its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._thread = get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        if record.thread == self._thread:
            self.texts.append(record.getMessage())


@contextmanager
def _listening() -> Iterator[list[str]]:
    logger = logging.getLogger("weasyprint")
    # Whatever level the program runs at, a warning here must reach us.
    logger.setLevel(logging.WARNING)
    listener = _Listener()
    logger.addHandler(listener)
    try:
        yield listener.texts
    finally:
        logger.removeHandler(listener)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "blank": formats.blank,
        "day": formats.day,
        "hour": formats.hour,
        "long": formats.long,
        "minute": formats.minute,
        "moment": formats.moment,
        "period": formats.period,
        "until": formats.until,
        "w3c": _w3c,
        "state": STATES.__getitem__,
        "chart": _chart,
        "topology": _topology,
    }
    return environment


def _chart(content: Mapping[str, Any]) -> Markup:
    # Matplotlib takes half a second to import; a letter needs none of it.
    from mailcare.papers.figures import draw_chart  # noqa: PLC0415

    return draw_chart(content)


def _topology(content: Mapping[str, Any]) -> Markup:
    from mailcare.papers.diagram import draw_topology  # noqa: PLC0415

    return draw_topology(content)


def _finalize(value: object) -> object:
    if value is None:
        raise PaperError("模板输出了空值：该处应使用 blank")
    if isinstance(value, str) and not isinstance(value, Markup):
        return formats.visible(value)
    return value


def _w3c(value: str) -> str:
    return datetime.fromisoformat(value).isoformat(timespec="seconds")
