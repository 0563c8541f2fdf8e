"""Put the console 维保控制台 into Airflow's pages; every part of Airflow loads this file."""

from functools import cache
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from anyio.to_thread import run_sync


@cache
def _console() -> Any:  # noqa: ANN401 - an ASGI application, of whatever class
    # Heavy, and wanted by the api-server alone: tasks load plugins, too.
    from mailcare.console.app import create_app  # noqa: PLC0415

    return create_app()


@cache
def _answering() -> Any:  # noqa: ANN401 - an ASGI application, of whatever class
    from mailcare.console.answering import create_answering  # noqa: PLC0415

    return create_answering()


async def console(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
    """Hand a request to the console, which is made when the first one comes.

    It is told which Airflow it stands in, for a person may have a run started anew.
    """
    scope["mailcare.airflow"] = scope.get("app")
    await (await run_sync(_console))(scope, receive, send)


async def answering(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's own
    """Hand a request to the page on which customers answer, without a login."""
    await (await run_sync(_answering))(scope, receive, send)


class MailcarePlugin(AirflowPlugin):
    """The console under /mailcare with its entry in the navigation, and the customers' page."""

    name = "mailcare"
    fastapi_apps = [  # noqa: RUF012 - Airflow reads them as they stand
        {"app": console, "url_prefix": "/mailcare", "name": "mailcare"},
        {"app": answering, "url_prefix": "/mailcare-visit", "name": "mailcare-visit"},
    ]
    external_views = [  # noqa: RUF012 - Airflow reads them as they stand
        {
            "name": "维保控制台",
            "href": "/mailcare/",
            "destination": "nav",
            "url_route": "mailcare",
        }
    ]
