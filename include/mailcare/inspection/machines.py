"""What kind of computer a host is: its own hardware is worth asking about only where it has some.

The site file's `machine` decides; else what the host says of itself.
"""

from mailcare.inspection.check import DoesNotApply, ForPerson, Reply, Subject
from mailcare.inspection.hosts import lines_of
from mailcare.systems.site import Machine

# systemd-detect-virt where there is one, the maker's name, and the flag that hypervisors set.
KIND = (
    "sh",
    "-c",
    'echo "virt $(systemd-detect-virt 2>/dev/null)"; '
    'echo "product $(cat /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name 2>/dev/null'
    " | tr '\\n' ' ')\"; "
    'grep -qw hypervisor /proc/cpuinfo 2>/dev/null && echo "flag hypervisor"; :',
)
_VIRTUAL_PRODUCTS = (
    *("vmware", "virtualbox", "kvm", "qemu", "xen", "bochs", "hvm domu", "virtual machine"),
    *("openstack", "alibaba cloud ecs", "amazon ec2", "google compute", "bhyve", "parallels"),
)


def kind_of(reply: Reply) -> Machine | None:
    """Return what a host says of itself; None where it says nothing."""
    facts = dict.fromkeys(("virt", "product", "flag"), "")
    for line in lines_of(reply.text, width=200):
        name, _, value = line.partition(" ")
        if name in facts:
            facts[name] = value.strip().lower()
    is_virtual_product = any(word in facts["product"] for word in _VIRTUAL_PRODUCTS)
    if facts["flag"] or is_virtual_product or facts["virt"] not in ("", "none"):
        return Machine.VIRTUAL
    return Machine.PHYSICAL if facts["virt"] == "none" or facts["product"] else None


def is_virtual(kind: Machine | None, subject: Subject) -> bool:
    """Tell whether a host is a virtual machine, by the site file or by what it says."""
    declared = subject.system.node(subject.target.node).machine
    return (declared or kind) is Machine.VIRTUAL


def nothing_to_judge(
    kind: Machine | None, subject: Subject, *, virtual: str, physical: str
) -> DoesNotApply | ForPerson:
    """Return why there is nothing to judge: a virtual machine has none, else a person must look."""
    return DoesNotApply(virtual) if is_virtual(kind, subject) else ForPerson(physical)
