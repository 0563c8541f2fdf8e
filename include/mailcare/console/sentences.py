"""What pages say of the records in whole sentences, in English: notices, titles, times, remarks.

What they complain of stands in `complaints`.
"""

import re
from collections.abc import Callable
from functools import cache

from mailcare.console.complaints import SENTENCES

TOLD = {
    # Titles
    "合同 {}": "Contract {}",
    "授权 #{n}": "Authorisation #{}",
    "故障 {}": "Fault {}",
    "故障处理报告 {}": "Report on {}",
    "现场巡检 {}": "Visit {}",
    "满意度调查 {}": "Survey {}",
    "第 {n} 天：{}": "Day {}: {}",
    # Notices
    "合同 {} 还有 {n} 天到期（{}），请联系续约": (
        "contract {} ends in {} days ({}): talk about its renewal"
    ),
    "合同 {} 第 {n} 年度的{}已用完：购买 {n} 次，已用 {n} 次": (
        "contract {}, year {}: {} used up ({} bought, {} used)"
    ),
    "合同 {} 第 {n} 年度还有 {n} 天结束，{}购买 {n} 次，已用 {n} 次，请尽快安排，逾期作废": (
        "contract {}, year {}, ends in {} days; {}: {} bought, {} used. Arrange it, it lapses then"
    ),
    "合同 {} 第 {n} 年度的{}超出合同 {n} 次（合同外）：购买 {n} 次": (
        "contract {}, year {}: {} beyond the contract {} times ({} bought)"
    ),
    "{n} 年的放假安排尚未载入，期限按暂行推算；国务院办公厅公布后，"
    "请用 mailcare calendar load 载入并由另一人确认": (
        "the holidays of {} are not loaded and deadlines are provisional; once the State Council "
        "has published them, load them with mailcare calendar load and have another person confirm"
    ),
    "{} 不是工作日，当天到期的服务留待下一个工作日启动": (
        "{} is not a working day; what is due on it starts on the next one"
    ),
    "{} 的{}（服务 {n}，到期日 {}）至今没有启动；请在 Airflow 查看 {} 的运行 {}，"
    "排除原因后在「到期与提醒」中重新启动": (
        "{}: {} (service {}, due {}) has not started; look at Airflow's {}, run {}, mend it, and "
        "start it anew on the page Due and notices"
    ),
    # Ledger
    "合同第 {n} 版": "version {} of the contract",
    "合同外，由 {} 批准": "beyond the contract, approved by {}",
    # Findings and times
    "未测得 {n}": "not measured {}",
    "{n}天{n}小时": "{} d {} h",
    "{n}小时{n}分": "{} h {} min",
    "{n}分": "{} min",
    "还剩 {}": "{} left",
    "已超 {}": "{} over",
    "净 {} / 总 {}": "net {} / gross {}",
    "{}（暂行）": "{} (provisional)",
    "P{n} {}": "P{} {}",
    "{n} 年第 {n} 季度": "{}, quarter {}",
    "响应{}": "Response, {}",
    "处理{}": "Resolution, {}",
    "报告{}": "Report, {}",
    "净中位": "net median",
    "总中位": "gross median",
    "净 90%": "net 90 %",
    "总 90%": "gross 90 %",
    "{n} 很好": "{} very good",
    "{n} 好": "{} good",
    "{n} 一般": "{} fair",
    "{n} 较差": "{} poor",
    "{n} 很差": "{} very poor",
    "{n} 恶性事件": "{} serious incident",
    # A fault's history
    "{}时限第 {n} 级：{}": "{} clock, step {}: {}",
    "{}时限第 {n} 级，起算时已过，只通知最高一级": (
        "{} clock, step {}: over when the clock began, only the highest step is told"
    ),
    "申报已 {n} 分钟，尚未响应": "declared {} minutes ago, no response yet",
    "{}时限已用 {n}%": "{} clock: {} % used",
    "原为 {}，现为 {}": "was {}, is now {}",
    "P{n}，{} 发现": "P{}, found at {}",
    # A report's history
    "投递 {n} 封": "{} letters",
    "邮件服务器已接收：{}": "the mail server took it: {}",
    "未计入时限：{}": "not counted: {}",
    "收到退信：{}": "came back: {}",
    "{}，内部要求当日 {}": "{}; our own limit is {} that day",
    # A letter's history
    "开始发送正文（{}）": "the text begins to go ({})",
    "邮件中继 {}": "relay {}",
    # The architecture drawing
    "{}（{n} 台）": "{} ({})",
    "{} {n} 台": "{}: {}",
    "{} 等 {n} 台": "{} … ({} in all)",
    "{} 等 {n} 个域": "{} … ({} domains)",
    "由 {} 承载": "held by {}",
    "挂在 {}": "mounted on {}",
    "外部 {}": "outside {}",
    "兼：{}": "also: {}",
    "依赖 {}": "needs {}",
    "地址 {} 至 {}": "addresses {} to {}",
    "{}、……（其余 {n} 台见客户档案）": "{} … (for the other {} see the site file)",
    "每台：{}；端口 {}": "each: {}; ports {}",
    "每台端口：{}": "ports of each: {}",
    # Call script
    "您好，请问是{}的{}吗？我是{}的客服，想占用您两分钟，就「{}」这次服务做一个回访，现在方便吗？"
    "（不方便：约定再打的时间；不愿意：登记谢绝，致谢后结束。）": (
        "Hello, am I speaking to {1} of {0}? I am calling from {2}'s customer service and would "
        "like two minutes of your time about the service {3}. Is it convenient now? (If not: agree "
        "on a time to call again. If refused: record it, say thank you and end.)"
    ),
    "这次服务由工程师于 {} 完成。": "Our engineer finished it at {}.",
    "您对本次的「{}」打几分？（不愿评的一项留作「未评」，不得代填。）": (
        "How do you rate: {}? (Leave what the customer does not rate unrated; never fill it in.)"
    ),
    # Year tables
    "{n} 年（{}）与{}相比": "{} ({}) against {}",
    "{n} 天不同，工作日 {} 天": "{} days differ, working days {}",
    "{}（周{}）": "{} ({})",
}
ALL = SENTENCES | TOLD
NUMBER, ANYTHING = r"([\d.,]+)", "(.+?)"
HOLE = re.compile(r"\{n?\}")


def in_english(sentence: str, word: Callable[[str], str]) -> str | None:
    """Return a sentence in English, `word` saying what it names; None for an unknown one."""
    if sentence in ALL and not HOLE.search(sentence):
        return ALL[sentence]
    for pattern, english in _patterns():
        if found := pattern.fullmatch(sentence):
            return english.format(*map(word, found.groups()))
    return None


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the sentences with holes, those that say most first."""
    holed = [one for one in ALL if HOLE.search(one)]
    holed.sort(key=lambda one: len(HOLE.sub("", one)), reverse=True)
    return tuple((_pattern(one), ALL[one]) for one in holed)


def _pattern(chinese: str) -> re.Pattern[str]:
    fixed = map(re.escape, HOLE.split(chinese))
    holes = (NUMBER if one == "{n}" else ANYTHING for one in HOLE.findall(chinese))
    return re.compile(
        "".join(part for pair in zip(fixed, [*holes, ""], strict=True) for part in pair)
    )
