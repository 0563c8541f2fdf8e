"""The probe mailboxes of a site and their passwords."""

from mailcare.errors import InputError
from mailcare.inspection.collect.scene import Scene
from mailcare.secrets import Secret
from mailcare.systems.site import Mailbox


def mailbox_of(address: str, scene: Scene) -> Mailbox:
    """Return the site's probe mailbox of that address; only the site's own are ever used."""
    own = scene.system.site.mailboxes
    for mailbox in (own.inside, own.outside, own.archive, own.approver):
        if mailbox is not None and mailbox.address == address:
            return mailbox
    raise InputError("不是站点文件登记的探测邮箱", subject=address)


def password_of(address: str, scene: Scene) -> Secret:
    """Return a probe mailbox's login; raise `InputError` where its password is not to be had."""
    secret = scene.find_secret(mailbox_of(address, scene).credential)
    if not secret.password:
        raise InputError("没有可用的邮箱口令", subject=address)
    return secret
