"""Which event loop a recording runs on."""

import asyncio
import importlib
from collections.abc import Callable

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def fastest() -> LoopFactory | None:
    """Choose uvloop where it is installed (the extra `fast`), else the loop of Python, said as None.

    It takes less CPU where a frame seldom finds others waiting, as live.
    """
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: LoopFactory = uvloop.new_event_loop
    return factory
