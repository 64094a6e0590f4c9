"""The command `simulate`: a simulated exchange on a loopback port, for any client."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click

from l2_exporter.core.errors import ConfigError
from l2_exporter.core.timetext import NS_PER_S, seconds_to_ns
from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.registry import DIALECTS
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.simulator.truth import Truth

STOP_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")

EXAMPLE = """\b
Examples:
  l2-exporter simulate --venue okx --port 8765
  l2-exporter simulate --port 8765 --instruments BTC-USDT-SWAP,ETH-USDT --faults "drop:0.01,close@12s"
  l2-exporter simulate --port 0 --instruments 50 --truth truth.jsonl --duration 60 --json
"""


@click.command("simulate", epilog=EXAMPLE)
@click.option("--venue", default="okx", show_default=True, metavar="V", help=f"One of: {', '.join(DIALECTS)}.")
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="Port of 127.0.0.1; 0 takes a free one.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed gives the same market.")
@click.option("--faults", default="", metavar="LIST", help="What shall go wrong; the grammar is in docs/SIMULATOR.md.")
@click.option("--instruments", metavar="N|LIST", help="How many of the defaults, or ids separated by commas.")
@click.option(
    "--interval", default="0.1", show_default=True, metavar="S", help="Seconds between two updates of a book."
)
@click.option("--duration", metavar="S", help="Stop after this many seconds (default: when interrupted).")
@click.option(
    "--truth", type=click.Path(path_type=Path, dir_okay=False), help="Write every book and fault to this file."
)
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one JSON object.")
def command(
    venue: str,
    port: int,
    seed: int,
    faults: str,
    instruments: str | None,
    interval: str,
    duration: str | None,
    truth: Path | None,
    as_json: bool,
) -> None:
    """Run a simulated exchange for any client, on this machine only, until interrupted.

    It speaks the venue's wire protocol over WebSocket and HTTP, with an invented market. The addresses to give to the
    client come first.
    """
    settings = Settings(
        venue=venue,
        seed=seed,
        instruments=_instruments(instruments),
        interval_ns=seconds_to_ns(interval, "--interval"),
        faults=faults,
    )
    duration_ns = None if duration is None else seconds_to_ns(duration, "--duration")
    with _truth(truth) as kept:
        asyncio.run(_serve(SimulatedExchange(settings, port=port, truth=kept), duration_ns, as_json=as_json))


async def _serve(served: SimulatedExchange, duration_ns: int | None, *, as_json: bool) -> None:
    """Serve until a signal comes or the time is over."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with _on_signal(lambda: loop.call_soon_threadsafe(stop.set)):
        async with served:
            _print(served, as_json=as_json)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), None if duration_ns is None else duration_ns / NS_PER_S)


def _print(served: SimulatedExchange, *, as_json: bool) -> None:
    exchange = served.exchange
    if as_json:
        report = {
            "venue": exchange.dialect.name,
            "ws_url": served.ws_url,
            "rest_url": served.rest_url,
            "seed": exchange.settings.seed,
            "instruments": list(exchange.instruments),
        }
        click.echo(json.dumps(report))
        return
    click.echo(f"ws:   {served.ws_url}")
    click.echo(f"rest: {served.rest_url}")
    click.echo(f"{exchange.dialect.name}, simulated: {len(exchange.instruments)} instruments; stop with Ctrl-C")


@contextmanager
def _on_signal(stop: Callable[[], object]) -> Iterator[None]:
    """Stop cleanly on Ctrl-C, SIGTERM and Ctrl-Break."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    numbers = [getattr(signal, name) for name in STOP_SIGNALS if hasattr(signal, name)]
    before = [(number, signal.signal(number, handle)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def _truth(path: Path | None) -> Iterator[Truth]:
    """Open the file of the truth; it is written anew."""
    if path is None:
        yield Truth(limit=0)
        return
    try:
        file = path.open("w", buffering=1, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(f"--truth {path} cannot be written: {error.strerror}") from error
    with file:
        yield Truth(limit=0, sink=lambda line: print(line, file=file))


def _instruments(text: str | None) -> int | tuple[str, ...] | None:
    if text is None:
        return None
    if text.isascii() and text.isdecimal():
        return int(text)
    return tuple(part.strip() for part in text.split(",") if part.strip())
