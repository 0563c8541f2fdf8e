"""Which mounts hold data, and which of those that are read-only are a worry."""

import pytest

from mailcare.inspection.check import Reply, Severity, Subject, Target
from mailcare.inspection.mounts import read_mounts
from tests.inspection.checks.reply_files import RECORDED_AT, check_named
from tests.inspection.samples import lab_system


def mounts(*lines: str) -> Reply:
    return Reply("\n".join(lines) + "\n", 0, RECORDED_AT, "ssh://mx1")


@pytest.mark.parametrize(
    "line",
    [
        "snapfuse /snap/core20/2434 fuse.snapfuse ro,nodev 0 0",
        "squashfuse_ll /snap/x fuse.squashfuse_ll ro 0 0",
        "/dev/loop9 /sysroot erofs ro 0 0",
        "nfsd /proc/fs/nfsd nfsd rw 0 0",
        "/proc/bus/usb /proc/bus/usb usbfs rw 0 0",
    ],
)
def test_images_and_interfaces_of_the_kernel_hold_no_data(line):
    [mount] = read_mounts(mounts(line))
    assert not mount.holds_data


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("tank/mail@daily /tank/mail/.zfs/snapshot/daily zfs ro,xattr 0 0", Severity.NOTICE),
        ("nas:/x /x nfs4 ro 0 0", Severity.NOTICE),
        ("/dev/sdb1 /var/vmail ext4 ro,errors=remount-ro 0 0", Severity.CRITICAL),
        ("/dev/sdb1 /var/vmail btrfs ro 0 0", Severity.CRITICAL),
    ],
)
def test_what_turns_read_only_when_a_disk_fails_is_a_worry(line, severity):
    check = check_named("storage.mounts")
    fact = check.parse((mounts(line), mounts("/dev/sda1 / ext4 defaults 0 1")))
    subject = Subject(lab_system(), Target("mx1"), RECORDED_AT)
    assert [one.severity for one in check.judge(fact, check.limits, subject)] == [severity]
