"""The checks, one module a subject; every module's `CHECKS` is found by itself."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from mailcare.inspection.check import Check


@cache
def all_checks() -> tuple[Check[Any, Any], ...]:
    """Return every check, by module name and then in the module's order."""
    modules = sorted(module.name for module in iter_modules(__path__))
    return tuple(check for name in modules for check in import_module(f"{__name__}.{name}").CHECKS)
