"""Which file systems a host has mounted, and which of them hold data."""

import re
from dataclasses import dataclass

from mailcare.inspection.check import Reply, ReplyError
from mailcare.inspection.hosts import whole_output_of

MOUNTS = ("cat", "/proc/mounts")

# Kinds that take no room of their own or can never have any left: not a full disk.
_NOT_STORAGE = re.compile(
    r"autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|"
    r"iso9660|mqueue|nsfs|proc|pstore|ramfs|rootfs|rpc_pipefs|securityfs|selinuxfs|squashfs|swap|"
    r"sysfs|tmpfs|tracefs|udf|erofs|cramfs|nfsd|usbfs|xenfs|resctrl|cpuset|oracleasmfs|"
    r"fuse\.(?:lxcfs|gvfsd-fuse|gvfs-fuse-daemon|portal|snapfuse|squashfuse(?:_ll)?|vmware-vmblock)"
)
_NETWORK = re.compile(r"nfs\d?|cifs|smb3|smbfs|(?:fuse\.)?glusterfs|fuse\.sshfs")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/mounts."""

    source: str
    point: str
    kind: str
    options: tuple[str, ...]

    @property
    def holds_data(self) -> bool:
        """Tell whether it is storage; of overlays only the root is: the rest are containers'."""
        if self.kind == "overlay":
            return self.point == "/"
        return not _NOT_STORAGE.fullmatch(self.kind)

    @property
    def is_network(self) -> bool:
        """Tell whether its data lie on another machine."""
        return _NETWORK.fullmatch(self.kind) is not None


def read_mounts(reply: Reply) -> tuple[Mount, ...]:
    """Read /proc/mounts; of several mounts at one place the last one counts.

    Raise `ReplyError` where no line is one.
    """
    found: dict[str, Mount] = {}
    for line in whole_output_of(reply, "cat /proc/mounts").splitlines():
        words = line.split(" ")
        if len(words) >= 4 and words[1].startswith("/"):
            source, point = _plain(words[0]), _plain(words[1])
            found[point] = Mount(source, point, words[2], tuple(words[3].split(",")))
    if not found:
        raise ReplyError("/proc/mounts 的内容无法识别")
    return tuple(found.values())


def _plain(word: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), word)
