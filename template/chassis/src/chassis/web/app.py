"""The HTTP application: three routers inside two walls."""

from fastapi import FastAPI
from starlette.middleware import Middleware

from chassis.web.calls import calls_router
from chassis.web.docs import add_docs
from chassis.web.health import health_router
from chassis.web.middleware import AddCallId, LimitRequests
from chassis.web.problems import install
from chassis.web.schemas import DescribedAPI
from chassis.wiring import Wiring


def build_app(wiring: Wiring) -> FastAPI:
    """Return the application that serves `wiring`.

    `app.state.draining` says that the process is about to end; whoever runs the server sets it.
    """
    app = DescribedAPI(
        title=wiring.project.name,
        version=wiring.project.version,
        docs_url=None,  # theirs loads a program from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        telemetry=wiring.telemetry.for_fastapi(),
        middleware=[  # outermost first
            Middleware(AddCallId),
            Middleware(LimitRequests, wiring.constraints),
        ],
    )
    app.state.draining = False
    install(app)
    app.include_router(calls_router(wiring))
    app.include_router(health_router(wiring))
    add_docs(app)
    return app
