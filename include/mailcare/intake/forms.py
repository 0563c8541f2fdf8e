"""What a person enters about a mail that becomes a fault."""

from mailcare.contracts.forms import Line
from mailcare.deadlines import Level
from mailcare.faults.declaration import Text
from mailcare.systems.profile import Strict


class TriageForm(Strict):
    """The fault that a mail declares; without a site it concerns no recorded system."""

    customer: Line
    site: Line | None = None
    level: Level
    description: Text
    contact: Line
    contact_details: Line
    place: Line = "/"
