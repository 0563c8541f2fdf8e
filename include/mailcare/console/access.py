"""Who may do what: Airflow's login, its permission to run inspections, and a business role.

The permission is that of running the Dag `MARKER_DAG`, because custom views are judged differently
by each of Airflow's auth managers. The roles are the product's own, keyed by the login.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Route

from mailcare.staff.steps import FIELD, Role, roles_of

MARKER_DAG = "inspect_system"
STYLE_PATH = "/console.css"  # open to everybody: the page that asks for the login is styled, too
EVERYBODY = frozenset(Role)
MANAGERS = frozenset({Role.MANAGER})
ENGINEERS = frozenset({Role.ENGINEER})
OFFICE = frozenset({Role.MANAGER, Role.CUSTOMER_SERVICE})
STAFF = frozenset({Role.MANAGER, Role.ENGINEER, Role.CUSTOMER_SERVICE})
OVERSIGHT = frozenset({Role.MANAGER, Role.AUDITOR})

may_run_inspections = requires_access_dag("POST", DagAccessEntity.RUN, MARKER_DAG)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is at the console, and the roles that they hold."""

    login: str
    roles: frozenset[Role]

    def may(self, roles: frozenset[Role]) -> bool:
        """Tell whether one of the roles is held."""
        return bool(self.roles & roles)


class NoRole(HTTPException):
    """The login is good, but nobody gave it a business role."""

    def __init__(self, login: str) -> None:
        super().__init__(status.HTTP_403_FORBIDDEN, f"{login} 还没有业务角色")
        self.login = login


def current_person(
    request: Request, user: GetUserDep, _permitted: Annotated[None, Depends(may_run_inspections)]
) -> Person:
    """Return who asks: logged in to Airflow and permitted to run inspections."""
    login = user.get_name()
    person = Person(login, roles_of(login))
    request.state.person = person
    return person


@dataclass(frozen=True)
class Allowed:
    """The dependency that lets only holders of some roles through."""

    roles: frozenset[Role]

    def __call__(self, person: Annotated[Person, Depends(current_person)]) -> Person:
        """Return the person; refuse one without a role, or without one of these."""
        if not person.roles:
            raise NoRole(person.login)
        refuse_others(person, self.roles)
        return person


def refuse_others(person: Person, roles: frozenset[Role]) -> None:
    """Raise 403 for a person who holds none of the roles."""
    if not person.may(roles):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "您的角色不能做这件事")


Reader = Annotated[Person, Depends(Allowed(EVERYBODY))]
Manager = Annotated[Person, Depends(Allowed(MANAGERS))]
Engineer = Annotated[Person, Depends(Allowed(ENGINEERS))]
Office = Annotated[Person, Depends(Allowed(OFFICE))]
Staff = Annotated[Person, Depends(Allowed(STAFF))]
FieldStaff = Annotated[Person, Depends(Allowed(FIELD))]
Overseer = Annotated[Person, Depends(Allowed(OVERSIGHT))]


def refuse_open_routes(app: FastAPI) -> None:
    """Raise `TypeError` for a route that anybody could reach: the console does not start then."""
    for route in app.routes:
        is_style = type(route) is Route and route.path == STYLE_PATH
        if not is_style and not (isinstance(route, APIRoute) and _is_guarded(route)):
            raise TypeError(f"a route without a role: {getattr(route, 'path', route)}")


def _is_guarded(route: APIRoute) -> bool:
    return current_person in _calls(route.dependant) and bool(roles_on(route))


def roles_on(route: APIRoute) -> frozenset[Role]:
    """Return the roles that a route lets through; none where it asks for no role."""
    guards = [call for call in _calls(route.dependant) if isinstance(call, Allowed)]
    allowed = [one.roles for one in guards]
    return frozenset.intersection(*allowed) if allowed else frozenset()


def _calls(dependant: Dependant) -> list[Callable[..., Any] | None]:
    below = [call for one in dependant.dependencies for call in _calls(one)]
    return [dependant.call, *below]
