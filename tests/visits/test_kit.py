"""The kit that goes to a place without network, and what is taken home from it."""

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from mailcare.errors import InputError
from mailcare.inspection.check import Channel
from mailcare.inspection.checks import all_checks
from mailcare.inspection.planning import plan_inspection
from mailcare.inspection.run import described_by
from mailcare.records.visits import VisitState
from mailcare.systems.site import load_site
from mailcare.systems.steps import import_site
from mailcare.visits import steps
from mailcare.visits.kit import marked_script, refuse_foreign_replies
from tests.inspection.samples import LAB_SITE
from tests.surroundings import need, without
from tests.visits import desk
from tests.visits.onsite_desk import PNG, SITE, TRAINING, look, output, teach

pytestmark = pytest.mark.usefixtures("desk_records", "clock")
DATABASES = ["sqlite"]


@pytest.fixture
def number(clock, desk_records) -> str:
    import_site(LAB_SITE, recorded_by="test")
    number = desk.planned_visit(systems=[SITE], visits_per_year=2)
    desk.assign(number)
    desk.confirm(number)
    clock.move_to("2026-05-13T18:00:00+08:00")
    return number


def fill(folder: Path, number: str, **changes) -> None:
    entries = {
        "schema": 1,
        "visit": number,
        "observations": [
            {"check": "hardware.sensors", "node": "mx1", "verdict": "ok", "says": "灯全绿",
             "numbers": {"temperature_c": 38}},
        ],
        "words": {"done": "更换风扇"},
        "training": [TRAINING],
        "photos": [{"file": "机柜.png", "about": "机柜"}],
    }  # fmt: skip
    text = yaml.safe_dump(entries | changes, allow_unicode=True)
    (folder / "entries.yaml").write_text(text, "utf-8")
    (folder / "photos" / "机柜.png").write_bytes(PNG)


def bring_replies(folder: Path, number: str) -> None:
    marked = output() + f"\n==mailcare-visit== {number}\n".encode()
    (folder / "replies" / "reply.gz").write_bytes(gzip.compress(marked))


def test_the_kit_holds_what_is_needed_without_network(number, tmp_path):
    tmp_path /= "kit"
    steps.make_kit(number, tmp_path)
    names = {one.name for one in tmp_path.iterdir()}
    assert names == {"collect.sh", "现场巡检单.pdf", "entries.yaml", "说明.txt", "visit.json",
                     "replies", "photos"}  # fmt: skip
    form = (tmp_path / "entries.yaml").read_text("utf-8")
    assert yaml.safe_load(form)["visit"] == number
    filled = "\n".join(line.removeprefix("#") for line in form.splitlines()[1:])
    assert {one["check"] for one in yaml.safe_load(filled)["observations"]} >= {"hardware.cpu"}
    assert number in (tmp_path / "说明.txt").read_text("utf-8")
    with pytest.raises(InputError, match="已有一份资料包"):
        steps.make_kit(number, tmp_path)


def test_the_collector_runs_without_network_and_all_that_it_says_is_taken_home(number, tmp_path):
    if os.geteuid() != 0:
        without("root, to run without network and under another host's name")
    steps.make_kit(number, tmp_path)
    alone = [need("unshare"), "--net", "--uts", "sh", "-c", 'hostname mx1; exec sh "$0"']
    done = subprocess.run(
        [*alone, tmp_path / "collect.sh"], capture_output=True, timeout=120, check=True
    )
    assert done.stderr == b""
    (tmp_path / "replies" / "reply-mx1.txt").write_bytes(done.stdout)
    system = described_by(load_site(LAB_SITE))
    asks = {one for one in plan_inspection(system, all_checks()).asks() if one.words}
    on_mx1 = {one for one in asks if (one.channel, one.node) == (Channel.SSH, "mx1")}
    assert len(on_mx1) > 40
    assert steps.import_kit(tmp_path, by="lin").replies == len(on_mx1)


def test_what_was_brought_home_is_taken_once(number, tmp_path):
    steps.make_kit(number, tmp_path)
    fill(tmp_path, number)
    bring_replies(tmp_path, number)
    first = steps.import_kit(tmp_path, by="lin")
    assert first.replies > 40
    assert steps.import_kit(tmp_path, by="lin").replies == 0
    detail = steps.visit_detail(number)
    assert desk.visit(number).state is VisitState.STARTED
    assert (len(detail.photos), len(detail.trainings)) == (1, 1)
    assert detail.entries == {"done": "更换风扇"}
    [seen] = [one for one in steps.day_items(number) if one.seen]
    assert seen.seen.numbers == {"temperature_c": 38}
    steps.complete_visit(number, by="lin")


def test_what_was_corrected_since_stands_when_a_kit_is_taken_again(number, tmp_path):
    steps.make_kit(number, tmp_path)
    fill(tmp_path, number)
    steps.import_kit(tmp_path, by="lin")
    steps.write_entries(number, {"done": "更换电源"}, by="lin")
    look(number, says="灯一红", verdict="warning", advice="更换")
    teach(number, hours="3")
    steps.import_kit(tmp_path, by="lin")
    detail = steps.visit_detail(number)
    assert detail.entries == {"done": "更换电源"}
    assert [str(one.hours) for one in detail.trainings] == ["3.0"]
    [seen] = [one for one in steps.day_items(number) if one.seen]
    assert seen.seen.says == "灯一红"


def test_a_kit_that_was_only_made_brings_nothing_and_is_no_mistake(number, tmp_path):
    steps.make_kit(number, tmp_path)
    brought = steps.import_kit(tmp_path, by="lin")
    assert (brought.replies, brought.observations, brought.lessons) == (0, 0, 0)


MISTAKES = (
    ({"visit": "XC-2026-00099"}, "属于另一次巡检"),
    ({"observations": [{"check": "no.such", "verdict": "ok", "says": "x"}]}, "没有这一项"),
    ({"observations": [{"check": "hardware.cpu", "verdict": "fine", "says": "x"}]}, "第 "),
    ({"words": {"nonsense": "x"}}, "没有这些栏目"),
    ({"photos": [{"file": "../visit.json"}]}, "不带路径"),
    ({"photos": [{"file": "missing.png"}]}, "无法读取"),
    ({"words": {"done": "x", "causes": "好" * 4001}}, "4000"),
    ({"words": {"done": "a\x07b"}}, "words.done：不能含控制字符"),
    ({"training": [TRAINING | {"hours": "-1"}]}, "必须大于 0"),
    ({"training": [TRAINING | {"taught_on": "2026-05-08"}]}, "不能早于"),
    (
        {
            "observations": [
                {
                    "check": "hardware.cpu",
                    "node": "mx1",
                    "verdict": "ok",
                    "says": "x",
                    "numbers": {"used": 12},
                }
            ]
        },
        "没有这个数值",
    ),
    ({"photos": [{"file": "说明.txt"}]}, "说明.txt：只收"),
    ({"photos": [{"file": "大.jpg"}]}, "超过 10 MiB"),
    ({"colour": "blue"}, "不认识的键"),
)


def test_a_form_that_cannot_be_taken_writes_nothing(number, tmp_path):
    steps.make_kit(number, tmp_path)
    (tmp_path / "photos" / "说明.txt").write_bytes(b"no picture")
    (tmp_path / "photos" / "大.jpg").write_bytes(bytes(11 * 1024**2))
    for changes, said in MISTAKES:
        fill(tmp_path, number, **changes)
        with pytest.raises(InputError, match=said):
            steps.import_kit(tmp_path, by="lin")
    detail = steps.visit_detail(number)
    assert (detail.entries, detail.trainings, detail.photos) == ({}, (), ())
    assert desk.visit(number).state is VisitState.CONFIRMED


def test_replies_of_another_visit_or_of_no_kit_are_refused(number, tmp_path):
    steps.make_kit(number, tmp_path)
    bring_replies(tmp_path, desk.open_visits()[1])
    with pytest.raises(InputError, match="属于另一次巡检"):
        steps.import_kit(tmp_path, by="lin")
    bring_replies(tmp_path, number)
    (tmp_path / "replies" / "reply.txt").write_bytes(output())
    with pytest.raises(InputError, match="不是本资料包"):
        steps.import_kit(tmp_path, by="lin")


def test_a_folder_that_is_no_kit_is_refused(number, tmp_path):
    for content in (None, "[]", "{", json.dumps({"visit": 7})):
        if content is not None:
            (tmp_path / "visit.json").write_text(content)
        with pytest.raises(InputError, match="不是现场巡检资料包"):
            steps.import_kit(tmp_path, by="lin")


def test_the_script_says_at_the_end_which_visit_it_was_for():
    ran = subprocess.run(
        ["sh", "-c", marked_script("echo out\n", "XC-2026-00001")], capture_output=True, check=True
    )
    refuse_foreign_replies(ran.stdout, "XC-2026-00001", name="reply.txt")
    with pytest.raises(InputError, match="另一次巡检 XC-2026-00001"):
        refuse_foreign_replies(ran.stdout, "XC-2026-00002", name="reply.txt")
