"""A simulated exchange in a thread of its own, for callers that are not asynchronous."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.simulator.truth import Truth


@contextmanager
def running_exchange(
    settings: Settings,
    *,
    port: int = 0,
    speed: float = 1.0,
    tls: ssl.SSLContext | None = None,
    start_ns: int | None = None,
    truth: Truth | None = None,
) -> Iterator[SimulatedExchange]:
    """Serve a simulated exchange until the block is left; arguments as of `SimulatedExchange`.

    Its addresses may be read at once; its exchange and truth belong to the other thread until the block is left.

    Raises:
        ConfigError: a port that is taken, an unknown venue, instrument or fault.
    """
    served = SimulatedExchange(settings, port=port, speed=speed, tls=tls, start_ns=start_ns, truth=truth)
    with _running_loop() as loop:
        asyncio.run_coroutine_threadsafe(served.__aenter__(), loop).result()
        try:
            yield served
        finally:
            asyncio.run_coroutine_threadsafe(served.__aexit__(None, None, None), loop).result()


@contextmanager
def _running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread until the block is left."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulated exchange")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
