"""Say in Chinese what is wrong with a site file, and where."""

import re
from dataclasses import dataclass, replace

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mailcare.systems.lines import Path

SECRET_KEY = re.compile(r"(?i)^(pass(word|wd|phrase)?|pwd|secret|token|private_key|口令|密码)$")
SECRET_VALUE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@]+:[^/\s@]+@")

SENTENCES = {
    "extra_forbidden": "不认识的键",
    "missing": "缺少必填项",
    "enum": "只能是 {expected}",
    "literal_error": "只能是 {expected}",
    "string_type": "应为文字",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "int_parsing_size": "数字过大",
    "decimal_type": "应为数字",
    "decimal_whole_digits": "数字过大",
    "decimal_max_places": "最多 {decimal_places} 位小数",
    "decimal_max_digits": "最多 {max_digits} 位数字",
    "float_type": "应为数字",
    "float_parsing": "应为数字",
    "finite_number": "应为数字",
    "bool_parsing": "应为 true 或 false",
    "tuple_type": "应为列表",
    "model_type": "应为键值对",
    "dict_type": "应为键值对",
    "string_pattern_mismatch": "格式不对（应符合 {pattern}）",
    "string_too_short": "不能为空",
    "decimal_parsing": "应为数字",
    "string_too_long": "不能超过 {max_length} 个字",
    "too_short": "至少要有 {min_length} 项",
    "timezone_aware": "时间必须带时区，例如 2026-11-23T09:00:00+08:00",
    "datetime_from_date_parsing": "应为带时区的时间，例如 2026-11-23T09:00:00+08:00",
    "too_long": "不能超过 {max_length} 项",
    "greater_than": "必须大于 {gt}",
    "greater_than_equal": "不能小于 {ge}",
    "less_than_equal": "不能大于 {le}",
}

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
# Lines and tabs may be in it, other control characters not.
WRITTEN = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
MAIL_ADDRESS = r"^[^@\s<>]+@[^@\s<>]+$"
PATTERN_SENTENCES = {
    MAIL_ADDRESS: "应为“用户名@域名”，且只含 ASCII 字符",
    PRINTABLE: "不能含换行或控制字符",
    WRITTEN: "不能含控制字符",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong at one place of the document."""

    path: Path
    sentence: str

    def __str__(self) -> str:
        """Write the place as a dotted path, then the sentence."""
        return f"{'.'.join(str(step) for step in self.path) or '（整个文件）'}：{self.sentence}"

    def under(self, *steps: str) -> "Complaint":
        """Return the same complaint below a further place."""
        return replace(self, path=(*steps, *self.path))


def complaints_of(error: ValidationError) -> list[Complaint]:
    """Turn a validation error into complaints, in the document's order."""
    return [Complaint(detail["loc"], _sentence(detail)) for detail in error.errors()]


def _sentence(detail: ErrorDetails) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    context = detail.get("ctx", {})
    template = PATTERN_SENTENCES.get(context.get("pattern", "")) or SENTENCES.get(detail["type"])
    if template is None:
        return f"不符合要求（{detail['msg']}）"
    return template.format(**context)


def secrets_in(data: object, path: Path = ()) -> list[Complaint]:
    """Find keys and values that look like a secret written in clear."""
    if isinstance(data, dict):
        found = [
            Complaint(
                (*path, str(key)),
                "口令不得写在站点文件里，请改用 connection、password_env、"
                "password_file 或 key_file",
            )
            for key in data
            if SECRET_KEY.match(str(key))
        ]
        return found + [
            one for key, value in data.items() for one in secrets_in(value, (*path, str(key)))
        ]
    if isinstance(data, list):
        return [
            one for index, value in enumerate(data) for one in secrets_in(value, (*path, index))
        ]
    if isinstance(data, str) and SECRET_VALUE.search(data):
        return [Complaint(path, "这里像是写入了口令或私钥，请改为引用连接、环境变量或文件")]
    return []
