"""Postfix settings of a host: the file of its tree with some values replaced."""

from collections.abc import Mapping


def override(main_cf: str, values: Mapping[str, str]) -> str:
    """Replace values in a main.cf of `name = value` lines and add those it lacks.

    A second line for the same name would work as well, but Postfix then warns in its log, and a
    healthy host must not carry traces of a fault.
    """
    missing = dict(values)
    lines = []
    for line in main_cf.splitlines():
        name = line.partition(" =")[0]
        lines.append(f"{name} = {missing.pop(name)}" if name in missing else line)
    lines += [f"{name} = {value}" for name, value in missing.items()]
    return "\n".join(lines) + "\n"
