"""The section 巡检过程记录: what an auditor looks for, from the record of an inspection."""

from collections.abc import Mapping

from mailcare.inspection.check import Channel
from mailcare.inspection.proceedings import Consent, Login, Proceedings
from mailcare.papers.document import Json
from mailcare.systems.site import Consent as Way

WAYS: Mapping[str, str] = {
    Way.PHONE: "电话",
    Way.EMAIL: "电子邮件",
    Way.LETTER: "书面",
    Way.ONSITE: "现场",
}
CHANNELS: Mapping[Channel, tuple[str, str]] = {
    Channel.SSH: ("SSH", "在主机上执行只读命令，不写入任何文件"),
    Channel.TCP: ("TCP", "只建立连接，随即断开"),
    Channel.SMTP: ("SMTP", "问候、加密与登录，不发送正文"),
    Channel.IMAP: ("IMAP", "登录探测邮箱并只读查看"),
    Channel.POP3: ("POP3", "登录探测邮箱，不收取、不删除邮件"),
    Channel.HTTPS: ("HTTPS", "读取网页"),
    Channel.TLS: ("TLS", "握手并读取证书"),
    Channel.DNS: ("DNS", "查询公开记录"),
    Channel.LOOP: ("收发测试", "向登记的探测邮箱发送测试邮件，用后删除"),
    Channel.FUNCTION: ("功能测试", "用测试邮件试用归档、审核、查询"),
    Channel.SERIES: ("连续探测", "按间隔重复建立连接"),
    Channel.PERSON: ("人工", "工程师在现场查看并填写，不由程序执行"),
}
LOGINS_MAX = 60


def tell_proceedings(record: Proceedings) -> dict[str, Json]:
    """Return the section's content."""
    numbers = {one.terms.identity: place for place, one in enumerate(record.consents, start=1)}
    return {
        "product_version": record.product_version,
        "consents": [_consent(one, numbers[one.terms.identity]) for one in record.consents],
        "logins": [_login(one, numbers) for one in record.logins[:LOGINS_MAX]],
        "logins_more": max(0, len(record.logins) - LOGINS_MAX),
        "handed_in": record.handed_in,
        "asks": sum(one.asks for one in record.traffic),
        "replies": sum(one.replies for one in record.traffic),
        "traffic": [
            [*CHANNELS[one.channel], one.asks, one.replies, one.asks - one.replies]
            for one in record.traffic
        ],
        "replies_sha256": record.replies_sha256,
    }


def _consent(one: Consent, number: int) -> dict[str, Json]:
    return {
        "number": number,
        "given_by": one.terms.given_by,
        "given_at": one.given_at.isoformat(),
        "how": WAYS.get(one.how, one.how),
        "purpose": one.purpose,
        "evidence": one.evidence,
        "nodes": "、".join(sorted(one.terms.nodes)),
        "valid_from": one.terms.valid_from.isoformat(),
        "valid_to": one.terms.valid_to.isoformat(),
        "revoked_at": one.terms.revoked_at.isoformat() if one.terms.revoked_at else None,
    }


def _login(one: Login, numbers: Mapping[str, int]) -> dict[str, Json]:
    return {
        "node": one.node,
        "address": one.address,
        "login": one.login,
        "connected_at": one.connected_at.isoformat(),
        "consent": numbers.get(one.consent),
    }
