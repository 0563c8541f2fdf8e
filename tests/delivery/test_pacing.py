from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailcare.delivery.pacing import PACES, free_at
from mailcare.records.deliveries import DeliveryChannel

DINGTALK, FEISHU, WECOM = DeliveryChannel.DINGTALK, DeliveryChannel.FEISHU, DeliveryChannel.WECOM
AT = datetime(2026, 3, 2, 1, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_a_robot_that_said_nothing_may_speak() -> None:
    assert free_at(WECOM, [], at=AT) == AT


@pytest.mark.parametrize("channel", [DINGTALK, WECOM])
def test_the_twenty_first_message_of_a_minute_waits_for_the_first_to_age(
    channel: DeliveryChannel,
) -> None:
    begun = [AT - SECOND * (30 - number) for number in range(20)]

    assert free_at(channel, begun[1:], at=AT) == AT
    assert free_at(channel, begun, at=AT) == begun[0] + timedelta(minutes=1)


def test_feishu_takes_five_a_second() -> None:
    begun = [AT - SECOND / 2] * 5

    assert free_at(FEISHU, begun, at=AT) == AT + SECOND / 2


@pytest.mark.parametrize("minute", [0, 30])
def test_feishu_is_left_alone_at_full_and_half_hours(minute: int) -> None:
    busy = AT.replace(minute=minute, second=20)

    assert free_at(FEISHU, [], at=busy) == AT.replace(minute=minute + 1)
    assert free_at(WECOM, [], at=busy) == busy


def test_what_was_begun_before_the_clock_was_set_back_an_hour_blocks_nothing() -> None:
    assert free_at(WECOM, [AT + timedelta(hours=1)] * 50, at=AT) == AT


@given(
    st.sampled_from([DINGTALK, FEISHU, WECOM]),
    st.lists(st.integers(0, 700), min_size=1, max_size=150),
)
def test_whoever_waits_as_told_never_exceeds_a_vendor_s_pace(
    channel: DeliveryChannel, waits_ms: list[int]
) -> None:
    begun: list[datetime] = []
    at = AT
    for wait_ms in waits_ms:
        at = free_at(channel, begun, at=at + timedelta(milliseconds=wait_ms))
        begun.append(at)

    for pace in PACES[channel]:
        for first, last in zip(begun, begun[pace.most :], strict=False):
            assert last - first >= pace.within
