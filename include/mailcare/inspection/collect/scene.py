"""What every collector needs besides its ask."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mailcare.clock import utc_now
from mailcare.secrets import FindSecret
from mailcare.systems.system import System


@dataclass(frozen=True, slots=True)
class Scene:
    """The system under inspection, where secrets are found, and who permits a connection.

    `permit(node name)` raises `NotAuthorised` when no authorisation of the customer covers a
    connection to that host at this moment; it is called right before every connection.
    """

    system: System
    find_secret: FindSecret
    permit: Callable[[str], None]
    now: Callable[[], datetime] = utc_now
