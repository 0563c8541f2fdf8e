"""What a test does when a piece of its surroundings is missing."""

import os
from typing import NoReturn

import pytest


def without(what: str) -> NoReturn:
    """Skip for a missing piece of the surroundings; where all of it is required, fail."""
    if os.environ.get("MAILCARE_REQUIRE_LAB") == "1":
        pytest.fail(f"required, but missing here: {what}")
    pytest.skip(f"not here: {what}")
