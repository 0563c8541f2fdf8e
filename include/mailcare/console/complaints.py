"""What is wrong with a form, in English: the sentences that the areas say in Chinese."""

import re
from functools import cache

# `{}` stands for what a sentence names: a value, a number, a person.
SENTENCES = {
    "不认识的键": "unknown key",
    "缺少必填项": "required",
    "只能是 {}": "must be one of {}",
    "应为文字": "must be text",
    "应为整数": "must be a whole number",
    "应为数字": "must be a number",
    "应为列表": "must be a list",
    "应为键值对": "must be a mapping",
    "应为 true 或 false": "must be true or false",
    "最多 {} 位小数": "at most {} decimal places",
    "最多 {} 位数字": "at most {} digits",
    "格式不对（应符合 {}）": "not of the right form (must match {})",
    "不能为空": "must not be empty",
    "不能超过 {} 个字": "at most {} characters",
    "至少要有 {} 项": "at least {} needed",
    "不能小于 {}": "must not be below {}",
    "不能大于 {}": "must not be above {}",
    "时间必须带时区，例如 {}": "the time needs a zone, such as {}",
    "应为带时区的时间，例如 {}": "must be a time with its zone, such as {}",
    "不符合要求（{}）": "not accepted ({})",
    "应为日期，例如 {}": "must be a date, such as {}",
    "应为日期和时间，例如 {}": "must be a date and time, such as {}",
    "应为“用户名@域名”，且只含 ASCII 字符": "must be user@domain, ASCII characters only",
    "联系人中有重名": "two contacts have the same name",
    "结束日期不能早于开始日期": "the last day must not be before the first day",
    "合同期不能超过 {} 年": "a contract lasts at most {} years",
    "远程服务与现场巡检至少要有一项": "remote service or visits: at least one of them",
    "同一个系统写了两次": "a system is named twice",
    "已有同名客户": "there is a customer of this name",
    "没有登记这个客户": "this customer is not recorded",
    "已有这个编号的合同": "there is a contract of this number",
    "合同编号不能更改": "a contract's number cannot be changed",
    "合同的客户不能更改": "a contract's customer cannot be changed",
    "没有这份合同": "there is no such contract",
    "该客户没有登记这些系统：{}": "the customer has no such systems: {}",
    "{} 在此期间已有合同 {}（{} 至 {}）": "{} is covered by contract {} in this time ({} to {})",
    "本合同年度没有剩余的现场巡检次数，属合同外，须售后主管批准": (
        "no visit is left in this contract year: it is beyond the contract, a manager must approve"
    ),
    "合同不包含这个系统": "the contract does not cover this system",
    "不在合同期内（{} 至 {}）": "not within the contract ({} to {})",
    "{} 不是工作日": "{} is not a working day",
    "{} 在 {} 已排有现场巡检": "{} has a visit planned on {} already",
    "有 {} 行错误，未写入任何内容": "{} rows are wrong; nothing was written",
    "文件或记录在预览之后有变化，未写入任何内容，请重新预览": (
        "the file or the records changed since the preview; nothing was written, preview it again"
    ),
    "登记内容在预览之后有变化，请重新预览": "the records changed since; preview it again",
    "没有登记这个系统": "this system is not recorded",
    "系统中没有这些主机：{}": "the system has no such hosts: {}",
    "给出授权的时间不能晚于现在": "it cannot have been given in the future",
    "结束时间须晚于开始时间": "the end must be after the beginning",
    "已经过去，这样的授权不起作用": "already past; such an authorisation does nothing",
    "{} 不是该客户指定的授权人（{}）；请由其授权，或先更改客户档案": (
        "the customer does not let {} authorise, but: {}; ask them, or change the customer first"
    ),
    "已登记过内容完全相同的授权；如果它已撤销，请写明新的依据": (
        "the very same authorisation is recorded; if it was revoked, name the new evidence"
    ),
    "这份授权已经撤销": "this authorisation is revoked already",
    "文件是空的": "the file is empty",
    "文件超过 {} MiB": "the file is larger than {} MiB",
    "只收 {} 文件（按内容识别，不看扩展名）": "only {} files are taken, told by content",
    "请选择文件": "choose a file",
    "请选择文件，或在下面填写内容": "choose a file, or write below",
    "文件不是 UTF-8 文本": "the file is not UTF-8 text",
    "只接受 .xlsx 或 .yaml 文件": "only .xlsx or .yaml files are taken",
    "这次运行仍在进行或排队，不必重新启动": "this run is still under way or queued",
    "这项服务已经开始或已撤回，不能重新启动": "this service has begun or is withdrawn",
    "Airflow 不允许您启动这个 Dag": "Airflow does not let you start this Dag",
    "已由 {} 于 {} 修改，您的修改没有保存，请重新打开后再改": (
        "{} changed it at {}; yours was not saved, open it again"
    ),
    "{} 年没有待确认的年度表": "no year table of {} waits to be confirmed",
    "{} 年的年度表由 {} 载入，须由另一人确认": "the table of {} is by {}; another must confirm",
    "请填写 Airflow 中的登录名": "enter the login name in Airflow",
    "{} 已有这个角色": "{} has this role already",
    "{} 没有这个角色": "{} does not have this role",
    "这是最后一位主管，请先把主管角色授予他人": "the last manager: give the role to another first",
    "站点文件有误：": "The site file is wrong:",
}


def in_english(sentence: str) -> str | None:
    """Return a complaint in English; None for one that is not known here."""
    if said := SENTENCES.get(sentence):
        return said
    for pattern, english in _patterns():
        if found := pattern.fullmatch(sentence):
            return english.format(*found.groups())
    return None


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple(
        (re.compile(re.escape(chinese).replace(r"\{\}", "(.+?)")), english)
        for chinese, english in SENTENCES.items()
        if "{}" in chinese
    )
