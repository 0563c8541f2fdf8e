"""How sure a sample makes us: exact one-sided bounds, and the sentence that states them.

What was looked at because it had to be (newest, oldest, largest) says nothing about the rest; only
what was drawn at random from the rest does. So the bound on the whole is what was found bad among
the former plus the bound on the rest, drawn without replacement from a finite population.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

CONFIDENCE_PCT = 95
_ALPHA = 1 - CONFIDENCE_PCT / 100
_TOLERANCE = 1e-6  # a bound may be too careful by a rounding, never too bold


@dataclass(frozen=True, slots=True)
class Draw:
    """What was examined of a population.

    `chosen` messages were examined on purpose, `drawn` at random from the rest of the
    `population`; `chosen_bad` and `drawn_bad` of them did not pass.
    """

    population: int
    chosen: int
    chosen_bad: int
    drawn: int
    drawn_bad: int

    def __post_init__(self) -> None:
        """Refuse counts that contradict each other."""
        fits = 0 <= self.chosen_bad <= self.chosen and 0 <= self.drawn_bad <= self.drawn
        if not fits or self.chosen + self.drawn > self.population:
            raise ValueError(f"counts of a sample contradict each other: {self}")

    @property
    def examined(self) -> int:
        """Return how many were examined."""
        return self.chosen + self.drawn

    @property
    def bad(self) -> int:
        """Return how many of the examined did not pass."""
        return self.chosen_bad + self.drawn_bad


def clopper_pearson_upper(bad: int, drawn: int, *, alpha: float = _ALPHA) -> float:
    """Return the upper bound of the share of bad ones in an endless population.

    The largest p for which `bad` or fewer of `drawn` have at least the probability `alpha`; for
    none bad it is 1 - alpha^(1/n).
    """
    if drawn == 0 or bad >= drawn:
        return 1.0
    if bad == 0:
        return -math.expm1(math.log(alpha) / drawn)
    low, high = bad / drawn, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if _binomial_at_most(bad, drawn, middle) >= alpha:
            low = middle
        else:
            high = middle
    return high


def finite_upper(bad: int, drawn: int, population: int, *, alpha: float = _ALPHA) -> int:
    """Return the largest number of bad ones in the population that the draw does not rule out.

    Drawn without replacement: the largest D for which `bad` or fewer among `drawn` have at least
    the probability `alpha`. All drawn leaves `bad` itself.
    """
    low, high = bad, population - (drawn - bad)
    while low < high:
        middle = (low + high + 1) // 2
        if _hypergeometric_at_most(bad, drawn, (population, middle)) >= alpha * (1 - _TOLERANCE):
            low = middle
        else:
            high = middle - 1
    return low


def bad_at_most(draw: Draw) -> int:
    """Return how many of the whole population may be bad, at `CONFIDENCE_PCT`."""
    rest = draw.population - draw.chosen
    return draw.chosen_bad + finite_upper(draw.drawn_bad, draw.drawn, rest)


def statement(draw: Draw) -> str:
    """Say in a sentence what the sample proves, for a paper."""
    counted = f"{draw.population:,} 封中抽取 {draw.examined:,} 封恢复并解析"
    if draw.examined == 0:
        return f"{draw.population:,} 封中没有抽取任何邮件，不能作出结论。"
    found = f"{draw.bad:,} 封不合格或不能证明合格" if draw.bad else "全部合格"
    if draw.examined == draw.population:
        return f"{counted}（全部检查），{found}。"
    bound = bad_at_most(draw)
    share_pct = _rounded_up_pct(bound / draw.population)
    limit = f"不能恢复的邮件不超过 {bound:,} 封（{share_pct}）"
    return f"{counted}，{found}：以 {CONFIDENCE_PCT}% 的置信度，{limit}。"


def _rounded_up_pct(share: float) -> str:
    digits = 1 if share >= 0.01 else 2 if share >= 0.001 else 3
    scale = 10**digits
    return f"{math.ceil(share * 100 * scale - _TOLERANCE) / scale:.{digits}f}%"


def _binomial_at_most(bad: int, drawn: int, share: float) -> float:
    def log_term(k: int) -> float:
        return _log_comb(drawn, k) + k * math.log(share) + (drawn - k) * math.log1p(-share)

    return 1.0 if share <= 0 else 0.0 if share >= 1 else _summed(log_term, 0, bad)


def _hypergeometric_at_most(bad: int, drawn: int, whole: tuple[int, int]) -> float:
    population, damaged = whole
    total = _log_comb(population, drawn)
    first = max(0, drawn - (population - damaged))

    def log_term(k: int) -> float:
        return _log_comb(damaged, k) + _log_comb(population - damaged, drawn - k) - total

    return _summed(log_term, first, min(bad, damaged, drawn))


def _summed(log_term: Callable[[int], float], first: int, last: int) -> float:
    return math.fsum(math.exp(log_term(k)) for k in range(first, last + 1))


def _log_comb(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
