"""A bare Starlette route: what it costs to read a body and to answer, and nothing else."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def take(request: Request) -> Response:
    """Reads it, and says how much it was."""
    return JSONResponse({"accepted": len(await request.body())})


app = Starlette(routes=[Route("/", take, methods=["POST"])])
