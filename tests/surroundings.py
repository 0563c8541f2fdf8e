"""What a test does when a piece of its surroundings is missing."""

import os
import shutil
from typing import NoReturn

import pytest


def without(what: str) -> NoReturn:
    """Skip for a missing piece of the surroundings; where all of it is required, fail."""
    if os.environ.get("MAILCARE_REQUIRE_LAB") == "1":
        pytest.fail(f"required, but missing here: {what}")
    pytest.skip(f"not here: {what}")


def need(program: str) -> str:
    """Return where a program is; without it the test is skipped or fails, as `without` says."""
    return shutil.which(program) or without(program)
