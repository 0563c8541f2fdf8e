"""Photos as a paper shows them: upright, small, and silent about where they were taken."""

import base64
from io import BytesIO

from PIL import Image

from mailcare.papers.onsite import Picture
from mailcare.papers.pictures import SIDE_PX_MOST, shown_pictures
from tests.papers.sample import STARTED_AT, photo


def shown(body: bytes) -> str | None:
    picture = Picture("x.jpg", "机柜", "", len(body), "digest", STARTED_AT, body)
    return shown_pictures([picture]).get("digest")


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


def test_what_is_no_photo_or_would_fill_the_memory_is_left_out():
    bomb = BytesIO()
    Image.new("1", (20_000, 10_000)).save(bomb, "PNG")
    whole = photo((640, 480))
    for body in (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n...", whole[:200], bomb.getvalue()):
        assert shown(body) is None, body[:20]
    assert shown(whole)
