"""Authorisation 授权: remote login happens only after the customer has allowed it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from mailcare.errors import NotAuthorised


@dataclass(frozen=True, slots=True)
class Authorisation:
    """The customer's consent to connect to some hosts during some time.

    `identity` names the record (a database id, or the place in a site file); the time is half-open,
    `valid_from` included and `valid_to` not; `revoked_at` ends it early.
    """

    identity: str
    given_by: str
    nodes: frozenset[str]
    valid_from: datetime
    valid_to: datetime
    revoked_at: datetime | None = None

    def covers(self, node: str, at: datetime) -> bool:
        """Tell whether a connection to `node` is allowed at that moment."""
        ends_at = min(self.valid_to, self.revoked_at or self.valid_to)
        return node in self.nodes and self.valid_from <= at < ends_at


def permission(given: Iterable[Authorisation], node: str, at: datetime) -> Authorisation:
    """Return the authorisation that covers `node` at that moment; raise `NotAuthorised` if none."""
    for authorisation in given:
        if authorisation.covers(node, at):
            return authorisation
    raise NotAuthorised("没有客户的有效授权，未建立任何连接", subject=node)


def about_giver(given_by: str, entitled: Collection[str]) -> str:
    """Say why a person may not authorise for a customer; nothing where they may.

    `entitled` are the contacts that have the right. A customer who names nobody left it open:
    whoever speaks for them may.
    """
    if not entitled or given_by in entitled:
        return ""
    named = "、".join(sorted(entitled))
    return f"{given_by} 不是该客户指定的授权人（{named}）；请由其授权，或先更改客户档案"
