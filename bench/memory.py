"""How much memory a process has held at once."""

from pathlib import Path


def peak_kib() -> int:
    """Return the most that this program has held, in KiB.

    `getrusage` would count what the process held before it became this program, its parent's share.
    """
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    [line] = [one for one in lines if one.startswith("VmHWM:")]
    return int(line.split()[1])
