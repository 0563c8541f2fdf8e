"""What the engineer takes to a place without network, and what is read back from there. Pure.

The kit is a folder: the collector, the sheet, a form to fill in and instructions. Everything in it
bears the visit's number, and what bears another one is refused.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Literal

import yaml
from pydantic import Field, StringConstraints, ValidationError

from mailcare.errors import InputError
from mailcare.inspection.check import Target
from mailcare.systems.complaints import complaints_of
from mailcare.systems.lines import read_yaml
from mailcare.systems.profile import Strict
from mailcare.visits.entries import FIELDS, OUTLINE, TOPIC_TITLES
from mailcare.visits.forms import ObservationForm, PhotoForm, Text, TrainingForm

COLLECTOR, SHEET, ENTRIES, GUIDE = "collect.sh", "现场巡检单.pdf", "entries.yaml", "说明.txt"
MANIFEST = "visit.json"
REPLIES, PHOTOS = "replies", "photos"  # folders
MARK = "==mailcare-visit=="
_MARKED = re.compile(rb"^==mailcare-visit== (XC-\d{4}-\d{5,9})\r?$", re.MULTILINE)
_INSTRUCTIONS = """现场巡检资料包 {number}
==============================

本资料包不需要网络。

1. 采集：在每台主机上执行只读脚本（普通用户即可），把输出存入 {replies} 文件夹，每台主机一个文件：
       sh {collector} > reply-主机名.txt
   脚本不写入、不安装任何内容；请勿修改输出，可以压缩（.gz 或 .zip）。
2. 巡检单：打印「{sheet}」，按单逐项查看并手写记录。
3. 填写 {entries}：现场所见、处理内容、培训记录。不需要的条目删除即可。
4. 照片：放入 {photos} 文件夹，并在 {entries} 的 photos 中登记文件名。
5. 返回后导入（可重复执行，不会重复登记）：
       mailcare visit import 本文件夹

结论 verdict：ok 正常，notice 提示，warning 警告，critical 严重；警告与严重须写 advice。
"""


class PhotoEntry(PhotoForm):
    """A file of the photos' folder."""

    file: Annotated[str, StringConstraints(min_length=1, max_length=120)]

    @property
    def is_in_folder(self) -> bool:
        """Tell whether the name stays within the folder."""
        return PurePosixPath(self.file).name == self.file and "\\" not in self.file


class Entries(Strict):
    """The form that is filled in on site."""

    schema_version: Literal[1] = Field(alias="schema")
    visit: str
    observations: tuple[ObservationForm, ...] = ()
    words: dict[str, Text] = Field(default_factory=dict)
    training: tuple[TrainingForm, ...] = ()
    photos: tuple[PhotoEntry, ...] = ()


def marked_script(script: str, number: str) -> str:
    """Return the collector with the visit's number as the last line of its output."""
    return f"{script}printf '\\n{MARK} {number}\\n'\n"


def refuse_foreign_replies(data: bytes, number: str, *, name: str) -> None:
    """Raise `InputError` for output without a visit's number, or with another one's."""
    numbers = {one.decode() for one in _MARKED.findall(data)}
    if not numbers:
        raise InputError("不是本资料包的采集结果，或输出不完整（缺少巡检编号）", subject=name)
    if others := numbers - {number}:
        raise InputError(f"属于另一次巡检 {'、'.join(sorted(others))}", subject=name)


def guide(number: str) -> str:
    """Return the instructions."""
    return _INSTRUCTIONS.format(
        number=number,
        collector=COLLECTOR,
        sheet=SHEET,
        entries=ENTRIES,
        replies=REPLIES,
        photos=PHOTOS,
    )


def entries_form(number: str, to_look_at: Sequence[tuple[str, str, Target, str]]) -> str:
    """Return the form, with a row for each (check, title, target, what to look at)."""
    return "\n".join(_form_lines(number, to_look_at))


def _form_lines(number: str, to_look_at: Sequence[tuple[str, str, Target, str]]) -> Iterator[str]:
    yield f"# 现场巡检 {number}：去掉行首的 # 后填写，不需要的条目留着即可。"
    yield "schema: 1"
    yield f"visit: {number}"
    yield "observations:"
    for check, title, target, says in to_look_at:
        yield f"#  # {title}（{target}）：{' '.join(says.split())}"
        yield f"#  - check: {check}"
        for name in ("node", "port", "part"):
            if value := getattr(target, name):
                yield f"#    {name}: {_quoted(value)}"
        yield "#    verdict: ok"
        yield "#    says: 所见"
    yield "words:"
    for field, title in FIELDS.items():
        yield f"#  {field}: 填写{title}"
    yield "training:"
    for topic in OUTLINE:
        yield f"#  # {TOPIC_TITLES[topic]}"
        yield f"#  - topic: {topic}"
        yield "#    taught_on: 2026-01-31"
        yield '#    hours: "2"'
        yield "#    content: 培训内容"
        yield "#    attendees: 王示例、赵示例"
    yield "photos:"
    yield "#  - file: 机柜.jpg"
    yield "#    about: 机柜"
    yield "#    caption: 说明"
    yield ""


def _quoted(value: object) -> str:
    return str(yaml.safe_dump(value, allow_unicode=True)).partition("\n")[0]


def read_entries(text: str, number: str, *, name: str) -> Entries:
    """Read a form that was filled in; raise `InputError` with every complaint and its line.

    One that bears another visit's number than the kit is refused.
    """
    data, lines = read_yaml(text, name=name)
    assert isinstance(data, dict)  # `read_yaml` refuses what is none
    filled = {key: value for key, value in data.items() if value is not None}
    try:
        entries = Entries.model_validate(filled)
    except ValidationError as error:
        rows = [f"  第 {lines.line(one.path)} 行 {one}" for one in complaints_of(error)]
        raise InputError("\n".join([f"{name} 有误：", *rows])) from None
    if entries.visit != number:
        raise InputError(f"属于另一次巡检 {entries.visit}", subject=name)
    if unknown := set(entries.words) - set(FIELDS):
        raise InputError(f"words 中没有这些栏目：{'、'.join(sorted(unknown))}", subject=name)
    return entries
