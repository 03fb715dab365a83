"""Routes for a FastAPI or Starlette application, by which its own pages reach the collector's HTTP API.

>>> import footfall.fastapi
>>> from fastapi import FastAPI, Request
>>> app = FastAPI()
>>> def viewer(request: Request) -> str | None:
...     return request.cookies.get("session")  # your session says who it is
>>> app.include_router(footfall.fastapi.router(get_viewer=viewer, key="ffk_..."))
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Request

from footfall._decision import is_development
from footfall.web import DASHBOARD_PATH, PROXY_PATH, forwarding
from footfall.web._dashboard import Dashboard
from footfall.web._proxy import ROUTES, Proxy

Viewer: TypeAlias = str | int | UUID | None


def router(
    get_viewer: Callable[[Request], Viewer | Awaitable[Viewer]],
    *,
    collector: str | None = None,
    key: str | None = None,
    path: str = PROXY_PATH,
    dashboard: str | None = DASHBOARD_PATH,
    environment: str | None = None,
) -> APIRouter:
    """The routes; whoever `get_viewer` names is the viewer, whatever a page says.

    `POST path` counts (`{"event", "count"}`), `GET path?days=N` is the viewer's summary; `POST path/events`,
    `/track`, `/psr` and `/receipt` are those of the HTTP API. They take requests of the site's own pages
    alone. What goes wrong is an answer, `{"ok": false, "error": ...}`: never an exception.

    In development there is a page as well, at `dashboard`: the counts of whoever is logged in, and the shares
    that were accepted, skipped, edited and undone. Production has no such route.

    Args:
        get_viewer: Says who sends a request, from the application's own session; None for nobody. A function
            that is not a coroutine function is called on a thread.
        collector: The URL of the HTTP API's prefix; FOOTFALL_API_URL, or
            http://localhost:4318/telemetry, when not given.
        key: An API key that may name viewers; FOOTFALL_API_KEY when not given.
        path: Where the routes are.
        dashboard: Where the page for developers is; None: nowhere.
        environment: As for `footfall.web.developers_only`.
    """
    proxy = Proxy(get_viewer, forwarding(collector, key), path, Request)
    made = APIRouter()
    for below in dict.fromkeys(below for _, below in ROUTES):
        # What is no function is served as the ASGI application that it is.
        endpoint: Any = proxy
        made.add_route(path.rstrip("/") + below, endpoint, include_in_schema=False)
    if dashboard is not None and is_development(os.environ, environment):
        page: Any = Dashboard(path.rstrip("/"), below=True)
        made.add_route(dashboard, page, include_in_schema=False)
    return made
