"""The present moment, the one thing that no record can tell, and the zone of people's clocks."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

BEIJING = ZoneInfo("Asia/Shanghai")


def utc_now() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(UTC)
