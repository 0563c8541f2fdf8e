"""A site file that says something else than the lab is: the description is at fault, no host."""

from pathlib import Path

from lab import state
from lab.faults.fault import Fault, switch
from lab.topology import MX1

_SITE = Path(__file__).resolve().parents[1] / "site.yaml"
_TRUE = "deployment: single"
_WRONG = "deployment: dual"


def _declare_pair() -> None:
    text = _SITE.read_text("utf-8")
    state.OTHER_SITE.write_text(text.replace(_TRUE, _WRONG), "utf-8")


def _declares_pair() -> bool:
    return state.OTHER_SITE.exists() and _WRONG in state.OTHER_SITE.read_text("utf-8")


FAULTS = (
    Fault(
        name="pair-declared",
        title="登记为双机，实际只有一台邮件主机",
        effect=f"{state.OTHER_SITE}, which is inspected instead, tells of a pair of mail hosts",
        host=MX1,
        slot="site file",
        apply=switch(
            "pair-declared", _declare_pair, lambda: state.OTHER_SITE.unlink(missing_ok=True)
        ),
        is_visible=_declares_pair,
    ),
)
