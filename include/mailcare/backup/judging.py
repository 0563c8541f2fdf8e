"""Each level's facts and the rule that judges them: what evidence is judged by again. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mailcare.backup.chain import ChainFacts, judge_chain
from mailcare.backup.freshness import FreshFacts, judge_freshness
from mailcare.backup.integrity import IntegrityFacts, judge_integrity
from mailcare.backup.inventory import InventoryFacts, judge_inventory
from mailcare.backup.verdicts import Coverage, Judgement, Level, Remark, Verdict, judged


@dataclass(frozen=True, slots=True)
class StatedFacts:
    """What a drill counted and remarked: its verdict follows from both."""

    coverage: Coverage
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class Withheld:
    """A level that was not run, or could not be: the judgement is all there is."""

    verdict: Verdict
    coverage: Coverage
    remarks: tuple[Remark, ...]


Facts = ChainFacts | FreshFacts | InventoryFacts | IntegrityFacts | StatedFacts | Withheld
Found = Iterator[tuple[str, Facts]]
"""What a level brings: the generation that it looked at, and what it found there."""
KINDS: Mapping[str, type] = {
    "chain": ChainFacts,
    "freshness": FreshFacts,
    "inventory": InventoryFacts,
    "integrity": IntegrityFacts,
    "stated": StatedFacts,
    "withheld": Withheld,
}


def kind_of(facts: Facts) -> str:
    """Return the word under which facts stand in evidence."""
    return next(word for word, kind in KINDS.items() if type(facts) is kind)


def judge(level: Level, facts: Facts) -> Judgement:
    """Judge facts; the same facts give the same judgement, however often."""
    match facts:
        case ChainFacts():
            return judge_chain(facts)
        case FreshFacts():
            return judge_freshness(facts)
        case InventoryFacts():
            return judge_inventory(facts)
        case IntegrityFacts():
            return judge_integrity(facts)
        case StatedFacts():
            return judged(level, facts.coverage, facts.remarks)
        case Withheld():
            # A judgement that was withheld can never be praise.
            return Judgement(level, facts.verdict, facts.coverage, facts.remarks)


def withheld(judgement: Judgement) -> Withheld:
    """Return the facts of a level that was not judged by a rule; never of one that passed."""
    if judgement.verdict is Verdict.PASS:
        raise ValueError("what passed has facts of its own")
    return Withheld(judgement.verdict, judgement.coverage, judgement.remarks)


def stated(judgement: Judgement) -> StatedFacts:
    """Return what a drill's judgement was made of, without the gaps that its coverage tells."""
    gaps = judged(judgement.level, judgement.coverage, ()).remarks
    return StatedFacts(
        judgement.coverage, tuple(one for one in judgement.remarks if one not in gaps)
    )
