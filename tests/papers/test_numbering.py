from datetime import UTC, datetime

from mailcare.papers.numbering import Series, paper_number


def test_a_number_names_series_year_and_case() -> None:
    at = datetime(2026, 6, 1, tzinfo=UTC)

    assert paper_number(Series.FAULT, 1, at=at) == "GZ-2026-00001"
    assert paper_number(Series.REVIEW, 123456, at=at) == "ND-2026-123456"


def test_the_year_is_that_of_beijing() -> None:
    new_year_in_beijing = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)

    assert paper_number(Series.VISIT, 7, at=new_year_in_beijing) == "XC-2027-00007"
