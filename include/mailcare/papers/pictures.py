"""Photos as a paper shows them: small, upright, and without what the camera wrote into them."""

import base64
from collections.abc import Iterable
from io import BytesIO
from warnings import catch_warnings, simplefilter

from PIL import Image
from PIL.ExifTags import Base
from PIL.Image import Transpose

from mailcare.papers.onsite import Picture

SIDE_PX_MOST = 1100  # of the longer side: 150 dots an inch across a page
# Of what is decoded whole, at up to 8 bytes a pixel. Another JPEG is read at the size wanted, up to
# Pillow's own limit of 89 million: what is beyond that is rather an attack than a photo.
PIXELS_MOST = 40_000_000
QUALITY = 78
AVERAGED = frozenset({"RGB", "RGBA", "L"})  # modes; colours of a palette have no mean
# CIPA DC-008 (Exif 2.32), 4.6.4 A: how to turn a picture upright.
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def shown_pictures(pictures: Iterable[Picture]) -> dict[str, str]:
    """Return what stands on the paper of each photo, as a data URI by the original's SHA-256.

    What cannot be read as a photo is left out: the paper then names its file only.
    """
    drawn = {one.sha256: _drawn(one.body) for one in pictures if one.body}
    return {digest: uri for digest, uri in drawn.items() if uri}


def _drawn(body: bytes) -> str:
    with catch_warnings():
        simplefilter("ignore", UserWarning)  # of a damaged EXIF; the picture may be whole
        simplefilter("error", Image.DecompressionBombWarning)
        try:
            return f"data:image/jpeg;base64,{base64.b64encode(_small(body)).decode()}"
        except UNREADABLE:
            return ""


def _small(body: bytes) -> bytes:
    """Return a JPEG of the picture alone: neither position, device nor thumbnail go along."""
    with Image.open(BytesIO(body), formats=("JPEG", "PNG")) as opened:
        _refuse_huge(opened)
        opened.draft("RGB", (SIDE_PX_MOST, SIDE_PX_MOST))
        opened.load()
        small = opened if opened.mode in AVERAGED else opened.convert("RGBA")
        small.thumbnail((SIDE_PX_MOST, SIDE_PX_MOST))
        upright = _turned(small, opened.getexif()).convert("RGBA")
    ground = Image.new("RGB", upright.size, "white")
    ground.paste(upright, mask=upright.getchannel("A"))
    written = BytesIO()
    ground.save(written, "JPEG", quality=QUALITY, optimize=True)
    return written.getvalue()


def _refuse_huge(opened: Image.Image) -> None:
    is_read_small = opened.format != "PNG" and "progressive" not in opened.info
    if not is_read_small and opened.width * opened.height > PIXELS_MOST:
        raise Image.DecompressionBombError


def _turned(picture: Image.Image, exif: Image.Exif) -> Image.Image:
    # Pillow's own `exif_transpose` writes the EXIF anew, and fails where that cannot be written.
    turn = TURNS.get(exif.get(Base.Orientation, 1))
    return picture if turn is None else picture.transpose(turn)
