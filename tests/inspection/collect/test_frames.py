import gzip
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcare.errors import InputError
from mailcare.inspection.check import Answer, Ask, Channel, NoReply, Reply
from mailcare.inspection.collect.frames import (
    BROKEN_OFF,
    DAMAGED,
    NO_OUTPUT,
    NOT_ASKED,
    UNPACKED_LIMIT_BYTES,
    FrameStream,
    Output,
    decode,
    hosts_in,
    looks_framed,
    read_bundle,
    read_frames,
    read_output,
    unpacked,
)
from mailcare.inspection.collect.script import ask_key
from mailcare.systems.system import System
from tests.inspection.samples import lab_system

AT = datetime(2026, 11, 24, tzinfo=UTC)
STARTED = 1795441013
ONE, TWO, THREE = (Ask(Channel.SSH, (word,), node="mx1") for word in ("one", "two", "three"))
SYSTEM = lab_system()
LOGIN = Ask(Channel.SSH, (), node="mx1")


def frame(ask: Ask, body: bytes, code: int = 0) -> bytes:
    return b"==mailcare:1:reply== %s %d %d\n%s\n" % (ask_key(ask).encode(), code, len(body), body)


def output(*frames: bytes, host: str = "mx1.shili-bank.example", end: bool = True) -> bytes:
    begin = f"==mailcare:1:begin== {STARTED} {len(frames)} {host}\n".encode()
    return begin + b"".join(frames) + (b"==mailcare:1:end== - 0 -\n" if end else b"")


def read(data: bytes | Output, *asks: Ask) -> list[Answer]:
    output = data if isinstance(data, Output) else read_output(data)
    answers = read_frames(output, asks, source="test", taken_at=AT)
    return [answers[ask] for ask in asks]


def texts(data: bytes | Output, *asks: Ask) -> list[str]:
    return [one.text if isinstance(one, Reply) else one.reason for one in read(data, *asks)]


WHOLE = output(frame(ONE, b"first\nanswer"), frame(TWO, b"", 3))


def test_each_ask_gets_its_reply():
    first, second = read(WHOLE, ONE, TWO)
    assert first == Reply("first\nanswer", 0, AT, "test")
    assert second == Reply("", 3, AT, "test")


def test_a_banner_before_the_output_is_skipped():
    assert texts(b"Welcome!\r\n\x1b[1mAuthorised use only\n" + WHOLE, ONE) == ["first\nanswer"]


def test_a_reply_that_looks_like_a_frame_stays_one_reply():
    nested = frame(TWO, b"inner")
    assert texts(output(frame(ONE, nested), frame(THREE, b"3")), ONE, TWO, THREE) == [
        nested.decode(),
        NOT_ASKED,
        "3",
    ]


def test_complete_frames_of_a_broken_output_count_and_the_rest_is_missing():
    data = output(frame(ONE, b"whole"), frame(TWO, b"x" * 100), end=False)
    assert texts(data[:-40], ONE, TWO, THREE) == ["whole", BROKEN_OFF, BROKEN_OFF]


def test_what_an_older_script_did_not_ask_is_named():
    assert texts(WHOLE, THREE) == [NOT_ASKED]


def test_a_file_without_any_output_is_named():
    assert texts(b"hello", ONE) == [NO_OUTPUT]
    assert not looks_framed(b"hello")


def test_the_login_is_never_in_an_output():
    [answer] = read(WHOLE, LOGIN)
    assert isinstance(answer, NoReply)
    assert "未登录" in answer.reason


@pytest.mark.parametrize(
    "mangle",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n"),
        lambda data: data.decode().replace("\n", "\r\n").encode("utf-16"),
        lambda data: b"\xfe\xff" + data.decode().encode("utf-16-be"),
    ],
    ids=["crlf", "bom", "bom-crlf", "utf-16", "utf-16-be"],
)
def test_what_windows_does_to_a_text_file_is_undone(mangle):
    data = mangle(output(frame(ONE, "第一\n二".encode()), frame(TWO, b"z\n\n")))
    assert looks_framed(data)
    assert texts(data, ONE, TWO) == ["第一\n二", "z\n\n"]


@pytest.mark.parametrize("size", [3, 11, 13, 500, 10**11])
def test_a_frame_whose_length_does_not_hold_is_damaged_and_the_next_is_not(size):
    wrong = frame(ONE, b"first answer").replace(b" 0 12\n", b" 0 %d\n" % size)
    data = output(wrong, frame(TWO, b"second"))
    assert texts(data, ONE, TWO) == [DAMAGED, "second"]


@pytest.mark.parametrize("code", [b"x", b"-1", b"256", b"99999999999"])
def test_an_exit_code_that_no_command_has_is_damage_and_never_success(code):
    wrong = frame(ONE, b"first").replace(b" 0 5\n", b" %s 5\n" % code)
    assert texts(output(wrong, frame(TWO, b"second")), ONE, TWO) == [DAMAGED, "second"]


def test_several_hosts_in_one_file_are_told_apart():
    data = b"noise\n" + output(frame(ONE, b"a"), host="mx1") + output(frame(ONE, b"b"), host="bak1")
    outputs = hosts_in(data)
    assert list(outputs) == ["mx1", "bak1"]
    assert [texts(part, ONE) for part in outputs.values()] == [["a"], ["b"]]


def test_the_later_of_two_outputs_of_a_host_counts():
    data = output(frame(ONE, b"old")) + output(frame(ONE, b"new"))
    [part] = hosts_in(data).values()
    assert texts(part, ONE) == ["new"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("磁盘已满".encode(), "磁盘已满"),
        ("磁盘已满".encode("gb18030"), "磁盘已满"),
        (b"\xff\xfeA\x80", "\\xff\\xfeA\\x80"),
        (b"a\x00b\x1b[31m\tc\r\n", "a\\x00b\\x1b[31m\tc\r\n"),
    ],
    ids=["utf-8", "gb18030", "neither", "controls"],
)
def test_bytes_are_read_as_utf8_then_gb18030_then_escaped(body, text):
    assert decode(body) == text


def bundle(data: bytes, system: System | None = None) -> dict[tuple[str, str], str]:
    asks = [Ask(Channel.SSH, (word,), node=node) for node in ("mx1", "bak1") for word in ("one",)]
    nodes = {node.name for node in (system or lab_system()).site.nodes}
    asks = [ask for ask in asks if ask.node in nodes]
    answers = read_bundle(data, asks, system or lab_system(), source="bundle:x")
    return {
        (ask.node, answer.source): answer.text if isinstance(answer, Reply) else answer.reason
        for ask, answer in answers.items()
    }


@pytest.mark.parametrize("host", ["mx1", "MX1.shili-bank.example", "mx1.localdomain"])
def test_an_output_is_matched_to_its_host_by_name(host):
    told = bundle(output(frame(ONE, b"a"), host=host))
    assert told["mx1", f"bundle:x#{host}"] == "a"
    assert f"文件中的主机：{host}" in told["bak1", "bundle:x"]


def test_a_bundle_of_two_hosts_answers_for_both():
    data = output(frame(ONE, b"a"), host="mx1") + output(frame(ONE, b"b"), host="bak1")
    assert bundle(data) == {("mx1", "bundle:x#mx1"): "a", ("bak1", "bundle:x#bak1"): "b"}


def test_a_stranger_s_output_answers_for_nobody():
    told = bundle(output(frame(ONE, b"a"), host="localhost"))
    assert all("没有主机" in reason for reason in told.values())


def only_mx1() -> System:
    system = lab_system()
    nodes = system.site.nodes[:1]
    return System(system.site.model_copy(update={"nodes": nodes}), system.profile)


def test_one_output_fits_a_system_of_one_host_whatever_its_name():
    told = bundle(output(frame(ONE, b"a"), host="localhost"), only_mx1())
    assert told == {("mx1", "bundle:x#localhost"): "a"}


def zipped(*names: str, method: int = zipfile.ZIP_DEFLATED, body: bytes = WHOLE) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name in names:
            archive.writestr(name, body)
    return packed.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        WHOLE,
        gzip.compress(WHOLE),
        zipped("reply.txt"),
        zipped("采集/", "采集/reply.txt", "__MACOSX/采集/._reply.txt"),
        zipped("reply.txt", method=zipfile.ZIP_STORED),
    ],
    ids=["plain", "gzip", "zip", "zip-macos", "zip-stored"],
)
def test_a_compressed_bundle_is_unpacked(data):
    assert unpacked(data) == WHOLE


HUGE = b"\0" * (UNPACKED_LIMIT_BYTES + 1)
LOCKED = bytearray(zipped("a"))
LOCKED[LOCKED.index(b"PK\x01\x02") + 8] |= 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(WHOLE)[:-12], "已损坏"),
        (gzip.compress(WHOLE)[:-8] + b"\0" * 8, "已损坏"),
        (b"\x1f\x8bnot gzip at all", "已损坏"),
        (zipped("a")[:-30], "已损坏"),
        (b"PK\x03\x04", "已损坏"),
        (zipped(), "实有 0 个"),
        (zipped("a", "b"), "实有 2 个"),
        (zipped("a", method=zipfile.ZIP_LZMA), "不支持这种压缩方式"),
        (bytes(LOCKED), "口令"),
        (gzip.compress(HUGE), "超过 64 MiB"),
        (zipped("a", body=HUGE), "超过 64 MiB"),
    ],
    ids=[
        *("cut", "sum", "no-gzip", "zip-cut", "zip-head", "none", "two", "lzma", "locked"),
        *("gzip-bomb", "zip-bomb"),
    ],
)
def test_an_archive_that_cannot_be_used_is_refused(data, said):
    with pytest.raises(InputError, match=said):
        unpacked(data)


@settings(max_examples=300)
@given(at=st.integers(0, 10**4), byte=st.integers(0, 255))
def test_no_flaw_of_an_archive_makes_the_reader_fail(at, byte):
    for whole in (zipped("a"), gzip.compress(WHOLE)):
        data = bytearray(whole)
        data[at % len(data)] = byte
        try:
            unpacked(bytes(data))
        except InputError:
            continue


def test_the_moment_of_a_bundle_s_reply_is_the_host_s_own():
    answers = read_bundle(WHOLE, [ONE], lab_system(), source="bundle:x")
    assert answers[ONE].taken_at == datetime.fromtimestamp(STARTED, UTC)


@pytest.mark.parametrize("moment", [b"0", b"9999999999", b"soon"])
def test_an_output_without_a_credible_start_is_not_judged(moment):
    data = WHOLE.replace(str(STARTED).encode(), moment)
    assert "开始时间" in bundle(data)["mx1", "bundle:x#mx1.shili-bank.example"]


def test_an_empty_bundle_leaves_everything_unanswered():
    assert all("文件中的主机：无" in reason for reason in bundle(b"").values())


@given(data=st.binary(max_size=400), cuts=st.lists(st.integers(0, 2000), max_size=6))
def test_frames_come_out_alike_however_the_bytes_arrive(data, cuts):
    whole = output(frame(ONE, data), frame(TWO, data[::-1]))
    stream = FrameStream()
    bounds = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    frames = [one for start, stop in pairwise(bounds) for one in stream.feed(whole[start:stop])]
    assert [one.body for one in frames] == [data, data[::-1]]
    assert stream.has_begun
    assert stream.has_ended


PIECES = st.sampled_from(
    [
        *(b"==mailcare:1:begin== 1795441013 2 mx1\n", b"==mailcare:1:end== - 2 -\n", b"\r\n"),
        *(b"==mailcare:1:reply== ", b"==mailcare:1:reply== k x y\n", frame(ONE, b"body")),
        *(b"==mailcare:1:", b"\n", frame(TWO, b"2\n2")[:-3], b"\xff\xfe", "中".encode("utf-16")),
    ]
)


@settings(max_examples=300)
@given(pieces=st.lists(st.one_of(PIECES, st.binary(max_size=30)), max_size=12))
def test_no_bytes_make_the_reader_fail_and_every_ask_is_answered(pieces):
    data = b"".join(pieces)
    asks = (ONE, TWO, LOGIN)
    assert set(read_frames(read_output(data), asks, source="x", taken_at=AT)) == set(asks)
    assert set(read_bundle(data, asks, SYSTEM, source="x")) == set(asks)
    looks_framed(data)


@given(data=st.binary(max_size=200))
def test_any_bytes_become_text_that_can_be_stored(data):
    text = decode(data)
    assert text.encode("utf-8").decode("utf-8") == text
    assert "\0" not in text


def test_a_long_noise_costs_neither_memory_nor_time():
    stream = FrameStream()
    for _ in range(200):
        assert stream.feed(b"x" * 65536) == []
    assert stream.feed(b"\n" + WHOLE)[0].body == b"first\nanswer"


def test_a_bundle_of_very_many_frames_is_read_to_its_last():
    noise = [frame(Ask(Channel.SSH, (str(number),)), b"body") for number in range(50_000)]
    data = output(*noise, frame(ONE, b"last"), host="mx1")
    answer = read_bundle(data, [ONE], SYSTEM, source="x")[ONE]
    assert isinstance(answer, Reply)
    assert answer.text == "last"
