"""Photos as a paper shows them: upright, small, and silent about where they were taken."""

import base64
from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from mailcare.papers.onsite import Picture
from mailcare.papers.pictures import SIDE_PX_MOST, shown_pictures
from tests.papers.sample import STARTED_AT, photo


def shown(body: bytes) -> str | None:
    picture = Picture("x.jpg", "机柜", "", len(body), "digest", STARTED_AT, body)
    return shown_pictures([picture]).get("digest")


def encoded(mode: str, size: tuple[int, int], kind: str, **options) -> bytes:
    body = BytesIO()
    Image.new(mode, size).save(body, kind, **options)
    return body.getvalue()


def test_a_photo_is_turned_upright_and_stripped_of_where_it_was_taken():
    taken = photo((2400, 1800), orientation=6, latitude=39.9)
    assert Image.open(BytesIO(taken)).getexif().get_ifd(0x8825)  # GPS
    uri = shown(taken)
    assert uri is not None
    small = Image.open(BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert small.size == (SIDE_PX_MOST * 3 // 4, SIDE_PX_MOST)
    assert dict(small.getexif()) == {}
    assert not {"exif", "xmp", "comment"} & small.info.keys()
    red, blue = small.getpixel((400, 20)), small.getpixel((400, 1080))
    assert red[0] > red[2]  # what lay at the left of the sensor is on top now
    assert blue[2] > blue[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_pillow_turns_it(orientation):
    taken = photo((640, 480), orientation=orientation)
    uri = shown(taken)
    assert uri is not None
    small = Image.open(BytesIO(base64.b64decode(uri.partition(",")[2])))
    expected = ImageOps.exif_transpose(Image.open(BytesIO(taken))).convert("RGB")
    assert small.size == expected.size
    assert max(ImageStat.Stat(ImageChops.difference(small, expected)).mean) < 3


def test_what_is_no_photo_or_would_fill_the_memory_is_left_out():
    whole = photo((640, 480))
    bombs = (
        encoded("1", (20_000, 10_000), "PNG"),
        encoded("1", (9_000, 9_000), "PNG"),
        encoded("L", (9_000, 9_000), "JPEG", progressive=True),
    )
    for body in (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n...", whole[:200], *bombs):
        assert shown(body) is None, body[:20]
    assert shown(whole)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_a_screenshot_of_any_kind_is_shown(mode):
    assert shown(encoded(mode, (1600, 900), "PNG"))


def test_a_photo_with_damaged_exif_is_shown_all_the_same():
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02"
    orientation = b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    text_for_numbers = b"\x87\x69\0\x02\0\0\0\x04abc\0"
    damages = (exif[:8], exif[:11], exif, exif + orientation + text_for_numbers + bytes(4))
    for damage in damages:
        assert shown(encoded("RGB", (64, 48), "JPEG", exif=damage)), damage
