"""Every field and word of the public format as data: one source for encoders, `verify`, `schema` and docs.

docs/FORMAT.md explains them; a test keeps its tables equal to these. Order is part of the format: new fields are
only ever added behind. No I/O here, and no rule: which flag a line gets is the core's to decide.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

DEFAULT_DEPTH = 400


class Type(Enum):
    """What a JSON value is. Times and decimals are JSON strings, so that no reader rounds them."""

    TEXT = "text"
    TIME = "time"
    DECIMAL = "decimal"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LEVELS = "levels"
    WORDS = "words"
    SCALAR = "integer or text"
    OBJECT = "object"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a JSON object.

    Attributes:
        unit: what the value counts, or for a text what it names; empty where the type says all.
        nullable: whether null is a value to expect.
    """

    name: str
    type: Type
    unit: str
    nullable: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a closed list."""

    word: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Reason(Word):
    """One reason, and the kinds of ledger line that may carry it."""

    kinds: tuple[str, ...]


def snapshot_fields(depth: int = DEFAULT_DEPTH) -> tuple[Field, ...]:
    """Return the fields of a line with the level fields named for a depth: `bids_top400`, `asks_top400`."""
    return tuple(replace(field, name=field.name.format(depth=depth)) for field in SNAPSHOT_FIELDS)


def words(entries: Iterable[Word]) -> tuple[str, ...]:
    """Return the bare words of a closed list, in its order."""
    return tuple(entry.word for entry in entries)


SNAPSHOT_FIELDS = (
    Field("timestamp_utc", Type.TIME, "UTC", False, "book time: the greatest event time applied to the book"),
    Field("exchange", Type.TEXT, "venue", False, "the venue, as in the path"),
    Field("market", Type.TEXT, "", False, "perp, futures, spot or option"),
    Field("channel", Type.TEXT, "", False, "the venue's own name of the channel"),
    Field("instId", Type.TEXT, "", False, "the venue's own id of the instrument"),
    Field("bids_top{depth}", Type.LEVELS, "", False, "buy levels, highest price first"),
    Field("asks_top{depth}", Type.LEVELS, "", False, "sell levels, lowest price first"),
    Field("best_bid", Type.DECIMAL, "price", True, "price of the first bid; null: no bids"),
    Field("best_ask", Type.DECIMAL, "price", True, "price of the first ask; null: no asks"),
    Field("mid_price", Type.DECIMAL, "price", True, "exact mean of both; null: a side is empty"),
    Field("checksum", Type.INTEGER, "", True, "what the venue sent with the last update; null: nothing"),
    Field("seqId", Type.INTEGER, "", True, "number of the last update; null: the channel has none"),
    Field("prevSeqId", Type.INTEGER, "", True, "number the last update follows; null: none"),
    Field("gap_detected", Type.BOOLEAN, "", False, "true: the last good book before a loss"),
    Field("received_utc", Type.TIME, "UTC", True, "local receive time of the last update applied"),
    Field("checksum_ok", Type.BOOLEAN, "", True, "whether the checksum agreed; null: not checked"),
    Field("flags", Type.WORDS, "", False, "what else must be known of this line; empty in the good case"),
    Field("live_since_utc", Type.TIME, "UTC", False, "the episode: book time at which this book became live"),
)

LINE_FLAGS = (
    Word("gap", "the line of a loss: the last good book before it"),
    Word("after_gap", "the first line after a loss; something is missing before it"),
    Word("seeded_from_rest", "the first line of a book that began with a REST answer"),
    Word("checksum_mismatch", "the venue's checksum did not agree with this book"),
    Word("no_event_time", "the venue gives no event time; timestamp_utc is a receive time"),
    Word("partial_depth", "a side has fewer levels than asked for because knowledge ends there"),
    Word("crossed", "best_bid >= best_ask"),
)

EVENT_NUMBER = Field("n", Type.INTEGER, "", False, "number of the line in its episode, from 0")
BOOK_NUMBER = Field("n", Type.INTEGER, "", False, "number of the last event that has led to this book")

EVENT_FIELDS = (
    *SNAPSHOT_FIELDS[:5],
    Field("type", Type.TEXT, "", False, "what happened, one of the types"),
    Field("order_id", Type.TEXT, "", True, "the order; null: a mark"),
    Field("side", Type.TEXT, "", True, "of the order: buy or sell"),
    Field("price", Type.DECIMAL, "price", True, "of the order; null: it has none, or it is not told"),
    Field("size", Type.DECIMAL, "", True, "what rests now (open, change) or was traded (match)"),
    Field("remaining", Type.DECIMAL, "", True, "what is left of the order; of a done, what was left when it went"),
    Field("reason", Type.TEXT, "", True, "why it is done or was changed"),
    Field("maker_order_id", Type.TEXT, "", True, "of a match: the order that rested"),
    Field("taker_order_id", Type.TEXT, "", True, "of a match: the order that came"),
    Field("seqId", Type.INTEGER, "", True, "number of the message; null: the channel has none"),
    Field("received_utc", Type.TIME, "UTC", True, "local receive time of the message"),
    Field("flags", Type.WORDS, "", False, "what else must be known of this line; empty in the good case"),
    Field("live_since_utc", Type.TIME, "UTC", False, "the episode, as in the other datasets of the book"),
    EVENT_NUMBER,
)

EVENT_TYPES = (
    Word("live", "a mark: an episode has begun"),
    Word("gap", "a mark: it has ended by a loss"),
    Word("open", "an order comes to rest"),
    Word("change", "an order has another size or price"),
    Word("match", "an order is traded against"),
    Word("done", "an order is gone"),
)


def book_fields(depth: int = DEFAULT_DEPTH) -> tuple[Field, ...]:
    """Return the fields of a line with a whole book of orders: those of a snapshot line, and `n`."""
    return (*snapshot_fields(depth), BOOK_NUMBER)


LEDGER_FIELDS = (
    Field("at", Type.TIME, "UTC", False, "receive time of the input that led to it"),
    Field("kind", Type.TEXT, "", False, "what happened, one of the kinds"),
    Field("venue", Type.TEXT, "venue", False, "the venue, as in the path"),
    Field("conn", Type.TEXT, "", True, "the connection; null: none in particular"),
    Field("instId", Type.TEXT, "", True, "the instrument; null: the connection or the venue"),
    Field("id", Type.TEXT, "", True, "joins a gap with the live that ends it"),
    Field("reason", Type.TEXT, "", True, "one of the reasons of its kind; null: the kind says all"),
    Field("since_event", Type.TIME, "UTC", True, "book time of the last update applied before a loss"),
    Field("since_received", Type.TIME, "UTC", True, "receive time of that update"),
    Field("until_event", Type.TIME, "UTC", True, "book time of the fresh book"),
    Field("until_received", Type.TIME, "UTC", True, "receive time of the fresh book"),
    Field("expected", Type.SCALAR, "", True, "the value that would have been right"),
    Field("got", Type.SCALAR, "", True, "the value that came"),
    Field("detail", Type.OBJECT, "", True, "what else helps; of a book always its dataset"),
)

LEDGER_KINDS = (
    Word("connected", "a connection was opened; detail.origin: live, override or replay"),
    Word("disconnected", "a connection ended; each live book on it has its own gap"),
    Word("subscribed", "the venue confirmed a subscription, or its end"),
    Word("gap", "a loss: from since_event on the book is not known"),
    Word("live", "the book is known again from until_event on; without an id: for the first time"),
    Word("resync", "a fresh book was asked for"),
    Word("checksum_mismatch", "the venue's checksum did not agree; the first of each row of failures"),
    Word("canary", "the venue changed its behaviour; nothing is lost, but somebody should look"),
    Word("stale", "nothing came for longer than the channel allows"),
    Word("suspect", "the book could not be brought back; one attempt every 15 minutes from here on"),
    Word("event_time_odd", "an event time was missing, unreadable or too far ahead; book time was kept"),
    Word("late_line", "a line came too late for its hour and was not written"),
    Word("schema_break", "book frames are not what the channel promises; the venue was stopped"),
    Word("write_suspended", "lines can not be written; books stay live"),
    Word("write_resumed", "lines are written again"),
    Word("clock_step", "the local wall clock was set"),
    Word("sleep", "the machine slept or the process was halted"),
    Word("maintenance", "the venue announced, began or ended maintenance"),
    Word("planned_reconnect", "a connection was replaced in time, with proven overlap: no loss"),
    Word("delisted", "the venue no longer lists the instrument"),
    Word("expired", "the instrument reached its expiry"),
    Word("renamed", "the venue gave the instrument another id"),
    Word("spec_changed", "the instrument's metadata changed"),
    Word("auction", "a call auction began or ended; the book may be crossed meanwhile"),
    Word("audit", "a live book was compared with a REST book; detail tells the outcome"),
    Word("sealed", "an hour was closed and its manifest written"),
    Word("config", "depth, cadence or another setting that shapes lines changed"),
    Word("source_changed", "lines come from another address or origin than before"),
    Word("started", "a recorder or replay began"),
    Word("stopped", "a recorder or replay ended cleanly"),
)

_LOSS = ("gap", "live")

LEDGER_REASONS = (
    Reason("sequence", "a message is missing, or one came that can not be used", _LOSS),
    Reason("checksum", "checksums failed: one where they are the only test, else several in a row", _LOSS),
    Reason("disconnect", "the connection ended", _LOSS),
    Reason("stale", "nothing came for longer than the channel allows", _LOSS),
    Reason("overflow", "we could not keep up and closed the connection", _LOSS),
    Reason("oversize", "a message was larger than the limit", _LOSS),
    Reason("venue_reset", "the venue pushed a new book that does not continue the old one", _LOSS),
    Reason("clock", "the clock changed so that times no longer join", _LOSS),
    Reason("restart", "the recorder was not running, or its last run was not continued cleanly", _LOSS),
    Reason("resubscribe", "asked for by unsubscribing and subscribing again", ("resync",)),
    Reason("rest", "asked for by REST", ("resync",)),
    Reason("rest_failed", "REST gave no usable answer; asked again later", ("resync",)),
    Reason("tape", "the tape stops here for the rest of the run; lines go on", ("write_suspended",)),
    Reason("begun", "the new connection has been opened", ("planned_reconnect",)),
    Reason("done", "every book was taken over; the old connection is closed", ("planned_reconnect",)),
    Reason("checksum_zero", "the checksum is a constant 0: the venue has switched it off", ("canary",)),
    Reason("checksum_absent", "the channel used to carry a checksum and no longer does", ("canary",)),
    Reason("algorithm_changed", "a fresh book fails its checksum: checking stops for this run", ("canary",)),
    Reason("unknown_frame", "a frame that fits nothing the venue documents", ("canary",)),
    Reason("not_json", "text that is no frame at all; it was rejected", ("canary",)),
    Reason("refused", "the venue refused a request", ("canary",)),
    Reason("later", "an earlier run recorded the hour, and left it behind", ("sealed",)),
    Reason("max_orders", "a book of orders has more than are held: its deepest levels are gone", ("canary",)),
    Reason("closing_soon", "the venue announced that it will close the connection", ("maintenance",)),
    Reason("reopen", "the venue asked for a new connection; this one was closed", ("maintenance",)),
    Reason("ended", "the venue confirmed the end of a subscription", ("subscribed",)),
    Reason("closed", "the connection ended", ("disconnected",)),
    Reason("reopened", "it was opened again before its end was seen", ("disconnected",)),
    Reason("stop", "the run was stopped", ("stopped",)),
    Reason("schema_break", "book frames are not what the channel promises", ("stopped",)),
    Reason("end_of_tape", "the tape ended", ("stopped",)),
    Reason("next_run", "the next run on the tape began", ("stopped",)),
    Reason("budget_spent", "every attempt to bring the book back failed", ("suspect",)),
)

LOSS_REASONS = tuple(entry.word for entry in LEDGER_REASONS if "gap" in entry.kinds)

TAPE_FIELDS = (
    Field("n", Type.INTEGER, "", True, "number of the input in its run"),
    Field("recv_ns", Type.INTEGER, "ns since 1970 UTC", True, "local receive time"),
    Field("mono_ns", Type.INTEGER, "ns", True, "monotonic clock at the same moment"),
    Field("conn", Type.TEXT, "", True, "the connection"),
    Field("dir", Type.TEXT, "", False, "what kind of input, one of the directions"),
    Field("url", Type.TEXT, "", True, "address of the connection or request"),
    Field("frame", Type.TEXT, "", True, "the exact text: frame, http body, settings of a start"),
    Field("b64", Type.TEXT, "base64", True, "the bytes on the wire, where they were binary"),
    Field("req", Type.TEXT, "", True, "name of the http request that is answered"),
    Field("status", Type.INTEGER, "", True, "http status; 0: failed, frame says why; absent: 200"),
)

TAPE_DIRECTIONS = (
    Word("start", "a run begins: settings, instruments, versions, jitter seed"),
    Word("open", "a connection was opened"),
    Word("in", "a frame came in"),
    Word("out", "a frame was sent; keys and signatures are redacted"),
    Word("http", "an http request was answered, or failed"),
    Word("tick", "time passed and decided something"),
    Word("close", "a connection ended"),
    Word("stop", "the run ended cleanly"),
)

MANIFEST_FIELDS = (
    Field("format", Type.INTEGER, "", False, "version of this schema"),
    Field("venue", Type.TEXT, "venue", False, "the venue, as in the path"),
    Field("dataset", Type.TEXT, "", False, "the dataset, as in the path"),
    Field("inst", Type.TEXT, "", False, "the venue's own id of the instrument"),
    Field("channel", Type.TEXT, "", False, "the venue's own name of the channel"),
    Field("hour_utc", Type.TIME, "UTC", False, "start of the hour"),
    Field("origin", Type.TEXT, "", False, "live, override or replay"),
    Field("lines", Type.INTEGER, "lines", False, "lines of the hour file; 0: no file"),
    Field("depth", Type.INTEGER, "levels", False, "levels a side at most"),
    Field("cadence_ms", Type.INTEGER, "ms", True, "length of a bucket; 0: lines are events"),
    Field("first_utc", Type.TIME, "UTC", True, "timestamp_utc of the first line"),
    Field("last_utc", Type.TIME, "UTC", True, "timestamp_utc of the last line"),
    Field("seq_first", Type.INTEGER, "", True, "seqId of the first line"),
    Field("seq_last", Type.INTEGER, "", True, "seqId of the last line"),
    Field("continuity", Type.TEXT, "", False, "the proof that nothing is missing: sequence, checksum, none"),
    Field("episodes", Type.LIST, "", False, "objects {from, until}: when the book was live"),
    Field("losses", Type.LIST, "", False, "objects {id, reason, from, until}: when it was not"),
    Field("not_live_s", Type.NUMBER, "s", False, "seconds of the hour in which the book was not live"),
    Field("checksum", Type.OBJECT, "messages", True, "ok, mismatch, unchecked"),
    Field("messages", Type.OBJECT, "messages", True, "received, applied, duplicate, before_seed, rejected, ignored"),
    Field("flags", Type.OBJECT, "lines", False, "how many lines carry each flag"),
    Field("metadata", Type.OBJECT, "", True, "the instrument's metadata in that hour"),
    Field("sha256", Type.TEXT, "hex", False, "digest of the plain bytes of the hour file"),
    Field("bytes", Type.INTEGER, "bytes", False, "length of the plain bytes"),
    Field("previous", Type.TEXT, "hex", True, "digest of the instrument's previous manifest"),
    Field("tool", Type.TEXT, "", False, "name and version of the program"),
    Field("sealed", Type.TEXT, "", False, "run: by the run that recorded it; later: by a later one, from files alone"),
)

STATUS_FIELDS = (
    Field("format", Type.INTEGER, "", False, "version of this schema"),
    Field("pid", Type.INTEGER, "", False, "process id of the recorder"),
    Field("started_utc", Type.TIME, "UTC", False, "when it began"),
    Field("written_utc", Type.TIME, "UTC", False, "when this file was written; if old, nothing runs"),
    Field("vault", Type.TEXT, "", False, "absolute path of the vault"),
    Field("version", Type.TEXT, "", False, "version of the program"),
    Field("venue", Type.TEXT, "venue", False, "the venue"),
    Field("state", Type.TEXT, "", False, "how the venue stands as a whole"),
    Field("instruments", Type.LIST, "", False, "one object a book"),
    Field("connections", Type.LIST, "", False, "one object a connection"),
    Field("disk", Type.OBJECT, "", False, "free_bytes, hours_to_full"),
    Field("sync_lag_s", Type.NUMBER, "s", False, "age of the oldest line that is not yet synced to disk"),
    Field("books_suspended", Type.INTEGER, "books", False, "books whose lines the disk does not take at the moment"),
    Field("inputs_waiting", Type.INTEGER, "inputs", False, "inputs received and not yet processed"),
)

STATUS_INSTRUMENT_FIELDS = (
    Field("id", Type.TEXT, "", False, "dataset and instrument, as in the path"),
    Field("state", Type.TEXT, "", False, "empty, seeding, live, lost or suspect"),
    Field("live_since_utc", Type.TIME, "UTC", True, "the episode; null: not live"),
    Field("last_event_utc", Type.TIME, "UTC", True, "book time"),
    Field("last_line_utc", Type.TIME, "UTC", True, "timestamp_utc of the newest line"),
    Field("lag_ms", Type.INTEGER, "ms", True, "receive time minus event time of the last update"),
    Field("messages", Type.INTEGER, "messages", False, "received in this run"),
    Field("lines", Type.INTEGER, "lines", False, "written in this run"),
    Field("losses", Type.INTEGER, "losses", False, "declared in this run"),
    Field("checksum", Type.OBJECT, "messages", False, "ok, mismatch, unchecked"),
    Field("best_bid", Type.DECIMAL, "price", True, "best bid at the moment"),
    Field("best_ask", Type.DECIMAL, "price", True, "best ask at the moment"),
    Field("outcomes", Type.OBJECT, "messages", False, "what became of messages"),
)

METADATA_FIELDS = (
    Field("venue", Type.TEXT, "venue", False, "the venue, as in the path"),
    Field("inst", Type.TEXT, "", False, "the id used in paths and lines"),
    Field("symbol", Type.TEXT, "", True, "BASE/QUOTE, with :SETTLE for derivatives"),
    Field("base", Type.TEXT, "currency", True, "what is traded"),
    Field("quote", Type.TEXT, "currency", True, "what prices are in"),
    Field("settle", Type.TEXT, "currency", True, "what is paid out; null: spot"),
    Field("market", Type.TEXT, "", False, "perp, futures, spot or option"),
    Field("kind", Type.TEXT, "", True, "linear, inverse or quanto; null: spot"),
    Field("size_unit", Type.TEXT, "", True, "what sizes count: contract, base or quote"),
    Field("contract_value", Type.DECIMAL, "contract_value_ccy", True, "worth of one contract"),
    Field("contract_value_ccy", Type.TEXT, "currency", True, "currency of contract_value"),
    Field("tick", Type.DECIMAL, "price", True, "smallest step of a price"),
    Field("lot", Type.DECIMAL, "size_unit", True, "smallest step of a size"),
    Field("state", Type.TEXT, "", True, "the venue's own word"),
    Field("list_utc", Type.TIME, "UTC", True, "when trading began or begins"),
    Field("expiry_utc", Type.TIME, "UTC", True, "when it ends"),
    Field("strike", Type.DECIMAL, "price", True, "strike of an option"),
    Field("right", Type.TEXT, "", True, "call or put"),
    Field("raw", Type.OBJECT, "", False, "the venue's own fields as sent"),
)
