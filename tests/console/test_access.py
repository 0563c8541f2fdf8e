"""Nobody reaches anything without a login, the permission and a role."""

from collections import defaultdict

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from mailcare.staff.steps import Role

DATABASES = ["postgresql"]

METHODS = {"GET": "get", "POST": "post"}
VALUES = defaultdict(lambda: "1", kind="pdf", number="XC-2026-00001")  # all others are ids
OWN = {"boss": Role.MANAGER, "engineer": Role.ENGINEER, "auditor": Role.AUDITOR}


def routes(app) -> list[APIRoute]:
    found = [one for one in app.routes if isinstance(one, APIRoute)]
    assert len(found) > 40
    assert len(found) == len(app.routes) - 1  # the style sheet
    return found


def ask(client, route: APIRoute):
    path = route.path.format_map(VALUES)
    (method,) = route.methods
    number = {"number": "HT-2026-001"} if path.startswith("/contract") else {}
    return client.request(method, path, params=number)


def test_every_route_asks_for_login_permission_and_role(app):
    from mailcare.console.access import current_person, may_run_inspections, roles_on

    for route in routes(app):
        below = {one.call: one for one in route.dependant.dependencies}
        assert current_person in below, route.path
        assert may_run_inspections in {one.call for one in below[current_person].dependencies}
        assert roles_on(route), route.path


def test_a_console_with_an_open_route_does_not_start(app):
    from mailcare.console.access import refuse_open_routes

    careless = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    careless.get("/open")(lambda: "")
    with pytest.raises(TypeError, match="/open"):
        refuse_open_routes(careless)


@pytest.mark.parametrize(("who", "code"), [("", 401), ("viewer", 403)])
def test_no_route_answers_a_stranger_or_a_viewer(app, login, who, code):
    client = login(who)
    for route in routes(app):
        assert ask(client, route).status_code == code, route.path


def test_a_user_without_a_role_sees_only_what_to_do(app, login):
    client = login("stranger")
    for route in routes(app):
        answer = ask(client, route)
        assert answer.status_code == 403, route.path
        assert "mailcare staff grant stranger manager" in answer.text


@pytest.mark.parametrize("who", list(OWN))
def test_each_role_reaches_what_it_may_and_nothing_else(app, login, who):
    from mailcare.console.access import roles_on

    client, reached = login(who), 0
    for route in routes(app):
        answer = ask(client, route)
        allowed = roles_on(route)
        if allowed and OWN[who] not in allowed:
            assert answer.status_code == 403, (who, route.path)
            assert "您的角色不能做这件事" in answer.text
        else:
            assert answer.status_code in {200, 303, 400, 404, 422}, (who, route.path, answer.text)
            reached += 1
    assert reached > 10


def test_an_auditor_can_change_nothing(app):
    from mailcare.console.access import roles_on

    harmless = {"/language", "/papers/verify"}  # a taste, and a look at a signed file
    changing = [one for one in routes(app) if "POST" in one.methods and one.path not in harmless]
    assert len(changing) > 10
    assert not [one.path for one in changing if Role.AUDITOR in roles_on(one)]


def test_a_visit_without_login_is_told_so_in_a_sentence(login):
    answer = login("").get("/customers")
    assert "没有登录，或登录已过期" in answer.text
    assert login("").get("/console.css").headers["content-type"].startswith("text/css")
    assert login("").post("/console.css").status_code == 405
    told = login("").get("/customers", headers={"Accept-Language": "en"}).text
    assert "No login, or it has expired" in told
    assert answer.headers["content-type"].startswith("text/html")
