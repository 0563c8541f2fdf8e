"""The four scores of a survey and their words 满意度评分. Pure.

Source: 服务方案附件四, 说明. A question that the customer left open has no score: blank is not 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

QUESTIONS: Mapping[str, str] = {
    "satisfaction": "服务满意度",
    "attitude": "服务态度",
    "skill": "技术水平",
    "effect": "服务效果",
}
SCORE_WORDS: Mapping[int, str] = {
    5: "很好",
    4: "好",
    3: "一般",
    2: "较差",
    1: "很差",
    0: "恶性事件",
}
WORST = 0


@dataclass(frozen=True, slots=True)
class Scores:
    """What the customer gave for each question, 0 to 5; None where it was left open."""

    satisfaction: int | None = None
    attitude: int | None = None
    skill: int | None = None
    effect: int | None = None

    def __post_init__(self) -> None:
        """Refuse a score that the form does not have."""
        if any(one not in SCORE_WORDS for one in self.given().values()):
            raise ValueError(f"a score is one of {sorted(SCORE_WORDS)}")

    def given(self) -> dict[str, int]:
        """Return the scores that were given, by question, in the form's order."""
        asked = {name: getattr(self, name) for name in QUESTIONS}
        return {name: score for name, score in asked.items() if score is not None}

    def worst_ones(self) -> tuple[str, ...]:
        """Return the titles of the questions that were answered with 0 恶性事件."""
        return tuple(QUESTIONS[name] for name, one in self.given().items() if one == WORST)


def score_text(score: int | None) -> str:
    """Write a score with its word, such as 5 分（很好）; 未评 for one left open."""
    return "未评" if score is None else f"{score} 分（{SCORE_WORDS[score]}）"
