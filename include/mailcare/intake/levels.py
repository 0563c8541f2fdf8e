"""Suggest a level from a mail's words; only a person decides it."""

from mailcare.deadlines import Level

# The service plan's own examples of the two urgent levels, and how customers put them.
WORDS = (
    (Level.P1, ("宕机", "瘫痪", "全部无法", "所有用户", "系统崩溃", "数据丢失", "无法启动")),
    (Level.P2, ("无法登录", "无法收发", "收不到", "发不出", "中断", "严重", "紧急", "退信")),
    (Level.P4, ("咨询", "请教", "如何", "建议", "培训")),
)


def suggested_level(text: str) -> Level:
    """Return the level that a mail's words suggest, P3 where they say nothing."""
    for level, words in WORDS:
        if any(word in text for word in words):
            return level
    return Level.P3
