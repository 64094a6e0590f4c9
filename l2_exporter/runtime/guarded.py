"""A WebSocket connection with limits that the library lacks, for a peer that makes it spend memory or time without end.

The library limits a message in bytes and, in newer versions, in fragments. It answers each control frame in the same
moment, whatever waits to be sent already; it counts the messages nobody has taken yet, but not their bytes; and after a
breach of the protocol it waits for the other side to hang up.
"""

from collections import deque
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.frames import CloseCode, Frame, Opcode
from websockets.typing import Data

MAX_CONTROL_FRAMES = 1000
"""Within a second. The busiest venue pings every few seconds."""
PERIOD_S = 1.0
MAX_FRAGMENTS = 4096
"""Of one message: empty ones never reach a limit of bytes."""
MAX_UNSENT_BYTES = 4 << 20
"""Of answers that the other side does not read."""
MAX_UNTAKEN_BYTES = 8 << 20
"""Of messages nobody has taken yet: when there are more, reading waits until half of them are taken."""
END_WITHIN_S = 2.0
"""After a breach of the protocol, for the other side to take what was sent last."""

_CONTROL = frozenset((Opcode.CLOSE, Opcode.PING, Opcode.PONG))


class GuardedConnection(ClientConnection):
    """A client's connection with limits of its own; where waiting is no use it closes itself, and says why in doing so.

    Messages are taken with `take`, not with `recv`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._control = 0
        self._counted_since_s = 0.0
        self._fragments = 0
        self._whole: deque[int] = deque()
        self._begun = 0
        self._untaken = 0
        self._waits = False
        self._ends = False

    def data_received(self, data: bytes) -> None:
        """Take what the socket has read; end the connection if it breaks the protocol."""
        super().data_received(data)
        error = self.protocol.parser_exc
        if error is not None:
            error.__traceback__ = None  # it would hold on to what was unpacked, for as long as the connection is known
            self._end()

    def process_event(self, event: Any) -> None:
        """Take one event of the protocol: the handshake's answer, or a frame."""
        if isinstance(event, Frame):
            if event.opcode in _CONTROL:
                self._count_control()
            else:
                self._count_data(event)
        super().process_event(event)

    async def take(self) -> Data:
        """Wait for the next message.

        Raises:
            ConnectionClosed: none will come.
        """
        message = await self.recv()
        self._untaken -= self._whole.popleft()
        if self._waits and (self._untaken <= MAX_UNTAKEN_BYTES // 2 or not self._whole):
            self._waits = False
            if not self.recv_messages.paused:  # else the library lets reading go on when it wants to
                self.transport.resume_reading()
        return message

    def _count_control(self) -> None:
        now_s = self.loop.time()
        if now_s - self._counted_since_s > PERIOD_S:
            self._control, self._counted_since_s = 0, now_s
        self._control += 1
        if self._control == MAX_CONTROL_FRAMES + 1:
            self._give_up(CloseCode.POLICY_VIOLATION, f"more than {MAX_CONTROL_FRAMES} control frames in a second")
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.transport.abort()

    def _count_data(self, frame: Frame) -> None:
        size = len(frame.data)
        self._untaken += size
        self._begun += size
        if frame.fin:
            self._whole.append(self._begun)
            self._begun = self._fragments = 0
        else:
            self._fragments += 1
            if self._fragments == MAX_FRAGMENTS + 1:
                self._give_up(CloseCode.MESSAGE_TOO_BIG, f"a message of more than {MAX_FRAGMENTS} fragments")
        # A message that is not whole yet is never waited with: whoever takes it may wait for its end.
        if self._untaken > MAX_UNTAKEN_BYTES and self._whole:
            self._waits = True
            self.transport.pause_reading()

    def _give_up(self, code: CloseCode, reason: str) -> None:
        self.protocol.fail(code, reason)
        self.send_data()
        self._end()

    def _end(self) -> None:
        if not self._ends:
            self._ends = True
            self.transport.close()
            self.loop.call_later(END_WITHIN_S, self.transport.abort)
