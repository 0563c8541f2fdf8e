from hypothesis import given
from hypothesis import strategies as st

from mailcare.delivery.splitting import split_bytes

TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.just("\n") | st.just("中"))


@given(TEXTS, st.integers(4, 40))
def test_every_piece_fits_and_only_line_ends_between_pieces_are_missing(text, most_bytes):
    pieces = split_bytes(text, most_bytes)

    assert all(len(piece.encode()) <= most_bytes for piece in pieces)
    rest = text
    for piece in pieces:
        assert rest.startswith(piece)
        rest = rest[len(piece) :].removeprefix("\n")
    assert rest == ""


def test_a_text_that_fits_stays_whole():
    assert split_bytes("一\n二", 100) == ("一\n二",)
    assert split_bytes("", 100) == ("",)


def test_a_cut_is_made_at_a_line_end_where_there_is_one():
    assert split_bytes("一二\n三四\n五六", 14) == ("一二\n三四", "五六")
