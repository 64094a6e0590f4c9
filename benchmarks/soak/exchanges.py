"""All simulated exchanges of a soak in one process: `python -m benchmarks.soak.exchanges FOLDER PLAN`.

PLAN is a JSON object: venue -> {seed, instruments, interval_ns, faults, ahead_ns}. The addresses come out as one JSON
line; at the end of its standard input every exchange ends. `FOLDER/faults.jsonl` gets each fault as it is done, and
`FOLDER/sent.json` at the end how many messages each book was sent.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TextIO

from l2_exporter.simulator.exchange import Settings
from l2_exporter.simulator.server import SimulatedExchange
from l2_exporter.simulator.truth import Truth
from l2_exporter.simulator.wire import Output, Send


class FaultLog(Truth):
    """A truth that writes down faults, and keeps no books: those of hours would not fit into memory.

    Attributes:
        sent: messages that were put on a connection, by instrument.
    """

    def __init__(self, venue: str, file: TextIO) -> None:
        super().__init__(limit=0, sink=self._written)
        self._venue = venue
        self._file = file
        self.sent: Counter[str] = Counter()

    def book_moved(self, *_: Any) -> None:
        """Forget a book."""

    def orders_began(self, *_: Any) -> None:
        """Forget orders."""

    def orders_moved(self, *_: Any) -> None:
        """Forget a message of orders."""

    def _written(self, line: str) -> None:
        print(json.dumps({"venue": self._venue, **json.loads(line)}), file=self._file)


class CountedExchange(SimulatedExchange):
    """A simulated exchange that counts what it sends."""

    def __init__(self, venue: str, told: dict[str, Any], log: FaultLog) -> None:
        settings = Settings(venue, told["seed"], told["instruments"], told["interval_ns"], told["faults"])
        super().__init__(settings, truth=log, start_ns=time.time_ns() + told["ahead_ns"])
        self._log = log

    def _carry(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Send) and output.push is not None:
                self._log.sent[output.push.inst] += 1
        super()._carry(outputs)


async def served(folder: Path, plan: dict[str, dict[str, Any]]) -> None:
    """Serve all exchanges of a plan until the standard input ends."""
    with (folder / "faults.jsonl").open("w", buffering=1, encoding="utf-8") as file:
        logs = {venue: FaultLog(venue, file) for venue in plan}
        async with AsyncExitStack() as stack:
            exchanges = {
                venue: await stack.enter_async_context(CountedExchange(venue, told, logs[venue]))
                for venue, told in plan.items()
            }
            addresses = {
                venue: {"ws": one.ws_url, "rest": one.rest_url, "instruments": [*one.exchange.instruments]}
                for venue, one in exchanges.items()
            }
            print(json.dumps(addresses), flush=True)
            await asyncio.to_thread(sys.stdin.read)
    (folder / "sent.json").write_text(json.dumps({venue: log.sent for venue, log in logs.items()}))


if __name__ == "__main__":
    asyncio.run(served(Path(sys.argv[1]), json.loads(sys.argv[2])))
