"""Photos as a paper shows them: small, upright, and without what the camera wrote into them."""

import base64
from collections.abc import Iterable
from io import BytesIO
from warnings import catch_warnings, simplefilter

from PIL import Image, ImageOps, UnidentifiedImageError

from mailcare.papers.onsite import Picture

SIDE_PX_MOST = 1100  # of the longer side: 150 dots an inch across a page
QUALITY = 78
# Beyond Pillow's own limit (89 million pixels) a file is rather an attack than a photo.
UNREADABLE = (
    OSError,
    UnidentifiedImageError,
    ValueError,
    SyntaxError,
    Image.DecompressionBombError,
)


def shown_pictures(pictures: Iterable[Picture]) -> dict[str, str]:
    """Return what stands on the paper of each photo, as a data URI by the original's SHA-256.

    What cannot be read as a photo is left out: the paper then names its file only.
    """
    drawn = {one.sha256: _drawn(one.body) for one in pictures if one.body}
    return {digest: uri for digest, uri in drawn.items() if uri}


def _drawn(body: bytes) -> str:
    with catch_warnings():
        simplefilter("error", Image.DecompressionBombWarning)
        try:
            return f"data:image/jpeg;base64,{base64.b64encode(_small(body)).decode()}"
        except (*UNREADABLE, Image.DecompressionBombWarning):
            return ""


def _small(body: bytes) -> bytes:
    """Return a JPEG of the picture alone: neither position, device nor thumbnail go along."""
    with Image.open(BytesIO(body), formats=("JPEG", "PNG")) as opened:
        opened.draft("RGB", (SIDE_PX_MOST, SIDE_PX_MOST))  # a JPEG is read at the size wanted
        upright = ImageOps.exif_transpose(opened).convert("RGBA")
    upright.thumbnail((SIDE_PX_MOST, SIDE_PX_MOST))
    ground = Image.new("RGB", upright.size, "white")
    ground.paste(upright, mask=upright.getchannel("A"))
    small = BytesIO()
    ground.save(small, "JPEG", quality=QUALITY, optimize=True)
    return small.getvalue()
