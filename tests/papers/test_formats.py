import pytest

from mailcare.papers import formats


def test_a_moment_is_written_in_beijing_time_with_the_zone_named():
    assert formats.moment("2026-12-31T16:05:00+00:00") == "2027年1月1日 00:05（北京时间）"


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no zone"):
        formats.moment("2026-12-31T16:05:00")


def test_a_period_names_the_second_day_only_where_it_differs():
    start = "2026-03-18T01:30:00+00:00"
    same_day = formats.period(start, "2026-03-18T02:00:00+00:00")
    assert same_day == "2026年3月18日 09:30 至 10:00（北京时间）"
    next_day = formats.period(start, "2026-03-18T16:30:00+00:00")
    assert next_day == "2026年3月18日 09:30 至 2026年3月19日 00:30（北京时间）"


@pytest.mark.parametrize(("value", "text"), [(None, "/"), ("", "/"), (0, 0), ("无", "无")])
def test_nothing_is_written_as_a_stroke_and_zero_is_not_nothing(value, text):
    assert formats.blank(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1284.0, "个", "1,284 个"),
        (97.04, "%", "97.04 %"),
        (0.5, "", "0.5"),
        (100.0, "", "100"),
        (3.3e10, "字节", "30.7 GiB"),
        (999.0, "字节", "999 B"),
        (5e15, "字节", "4,547.5 TiB"),
    ],
)
def test_a_quantity_is_written_with_its_unit(value, unit, text):
    assert formats.quantity(value, unit) == text


def test_control_and_bidi_characters_are_made_visible():
    assert formats.visible("a\x1b[31m\x00\u202eexe\ud800") == r"a\x1b[31m\x00\u202eexe\ud800"


def test_line_ends_tabs_and_rare_characters_stay():
    text = "镕喆𠮷\n\t☑ é — “引号”"
    assert formats.visible(text) == text


def test_look_alikes_of_everyday_characters_become_those():
    assert formats.visible("⽤⼈\u00a0金") == "用人 金"


def test_a_row_may_break_where_more_is_in_it_than_fits():
    assert (formats.long("文" * 9, 9), formats.long("文" * 10, 9)) == ("", "long")
    assert (formats.long(["文文", "文"], 3), formats.long(["文文", "文文"], 3)) == ("", "long")


def test_a_text_is_cut_to_the_columns_that_it_takes():
    assert formats.cut_columns("ab客户", 6) == "ab客户"
    assert formats.cut_columns("客户名称abc", 8) == "客户名…"
    assert formats.columns("客户名…") == 8


def test_a_limit_at_midnight_is_the_end_of_the_day_before():
    assert formats.until("2026-10-11T00:00:00+08:00") == "2026-10-10 24:00"
    assert formats.until("2026-10-10T16:00:00+00:00") == "2026-10-10 24:00"
    assert formats.until("2026-10-10T17:30:00+08:00") == "2026-10-10 17:30"
    assert formats.until("") == ""
