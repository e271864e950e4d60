"""A uvicorn server that shuts down in two steps: first it says that it is not ready, then it finishes what it has begun."""

import asyncio
import signal
from socket import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

FINISH_WITHIN_S = 30


class Server(uvicorn.Server):
    """Serves `app`. On SIGTERM /readyz turns 503 at once; `drain_s` later, when balancers have noticed, no new connection is taken."""

    def __init__(self, app: FastAPI, config: uvicorn.Config, *, drain_s: float = 0.0) -> None:
        config.timeout_graceful_shutdown = config.timeout_graceful_shutdown or FINISH_WITHIN_S
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._app.state.draining or sig == signal.SIGINT or not self._drain_s:
            self._app.state.draining = True
            super().handle_exit(sig, frame)
            return
        self._app.state.draining = True
        asyncio.get_running_loop().call_later(self._drain_s, super().handle_exit, sig, frame)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Streams would never end by themselves: they are told to, and their clients come back to another process."""
        self._app.state.streams.end()
        await super().shutdown(sockets)


def server(app: FastAPI, *, host: str, port: int, drain_s: float = 0.0) -> Server:
    """Make a server whose only log lines are ours: uvicorn's own access log would hold paths with people's ids."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        server_header=False,
        # Longer than clients and load balancers keep a connection that is idle: who closes first must not be us, in the middle of a call.
        timeout_keep_alive=75,
    )
    return Server(app, config, drain_s=drain_s)
