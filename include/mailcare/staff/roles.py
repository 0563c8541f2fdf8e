"""Read who holds which business role; the transaction is the caller's."""

from collections.abc import Collection, Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailcare.records.alerts import StaffMember
from mailcare.records.people import Role, StaffRole

FIELD = frozenset({Role.MANAGER, Role.ENGINEER})  # who may go on a visit and fill its forms in


def roles_held(session: Session, login: str) -> frozenset[Role]:
    """Return the roles that a user holds, the login as Airflow writes it; none for a stranger."""
    return frozenset(session.scalars(select(StaffRole.role).where(StaffRole.login == login)))


def holders(session: Session, roles: Collection[Role]) -> Mapping[str, str]:
    """Return who holds one of the roles: the names by login, empty where none is recorded."""
    held = (
        select(StaffRole.login, func.coalesce(StaffMember.name, "").label("name"))
        .outerjoin(StaffMember, StaffMember.login == StaffRole.login)
        .where(StaffRole.role.in_(roles))
    )
    return {row.login: row.name for row in session.execute(held.order_by(StaffRole.login))}
