"""Damage clean OKX recordings in known places, and say exactly what was done.

Everything follows from a seed. Tape lines are copied, never changed in place; a line keeps the receive time of
its place on the tape, so that only the frames move. A damaged tape carries `place`, the index of the line in
the clean tape, beside the keys of the contract.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.reference.naive_okx import Side, best_first, book_frame, checksum, with_rows

OPERATIONS = ("drop", "swap", "repeat", "cut", "corrupt")
LONGEST_OUTAGE = 30  # frames of an instrument between a loss and its fresh snapshot


@dataclass(frozen=True, slots=True)
class Damage:
    """One frame that was damaged: where it stood in the clean tape and which it was."""

    op: str
    index: int
    inst: str
    event_ns: int
    seq: int | None
    prev: int | None


@dataclass(frozen=True, slots=True)
class State:
    """The book of an instrument after one frame of the clean tape."""

    channel: str
    inst: str
    data: dict[str, Any]  # the frame's own book
    bids: Side
    asks: Side

    @property
    def event_ns(self) -> int:
        return int(self.data["ts"]) * 10**6


def compact(frame: Mapping[str, Any]) -> str:
    """Write JSON as the venue does: no spaces."""
    return json.dumps(frame, separators=(",", ":"), ensure_ascii=False)


def parsed(line: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the frame of a tape line that carries a book, None for any other line."""
    found = book_frame(line["frame"]) if line["dir"] == "in" else None
    return found[1] if found else None


# ---------------------------------------------------------------------------------------------- sequence


def add_sequence(lines: Sequence[Mapping[str, Any]], seed: int, *, keep: str = "keep") -> list[dict[str, Any]]:
    """Give the books of an old recording the counters that the venue sends today.

    A first snapshot starts a chain, one that repeats the book (same event time) repeats its counters, an empty
    update is a keep-alive, any other update steps by 1 to 20. `keep` tells what happens to the checksum:
    "keep", "zero" or "remove". Key order and rows stay as they are.
    """
    dice = random.Random(seed)
    newest: dict[str, tuple[str, int]] = {}  # inst -> (ts, seqId)
    result = []
    for line in lines:
        frame = parsed(line)
        if frame is None:
            result.append(dict(line))
            continue
        inst, data = frame["arg"]["instId"], frame["data"][0]
        ts, last = newest.get(inst, (None, dice.randrange(10**6, 10**9)))
        is_idle = ts == data["ts"] or not (data["asks"] or data["bids"])
        seq = last if is_idle and ts is not None else last + dice.randint(1, 20)
        newest[inst] = (data["ts"], seq)
        if keep == "zero":
            data["checksum"] = 0
        elif keep == "remove":
            del data["checksum"]
        data["seqId"] = seq
        data["prevSeqId"] = -1 if frame["action"] == "snapshot" else last
        result.append({**line, "frame": compact(frame)})
    return result


# ---------------------------------------------------------------------------------------------- damage


def mutate(
    lines: Sequence[Mapping[str, Any]], seed: int, **probabilities: float
) -> tuple[list[dict[str, Any]], list[Damage]]:
    """Damage book frames, each operation with its own probability; return the tape and what was done.

    A swap exchanges a frame with the next book frame of its connection, whatever its instrument; it is
    reported once for each of the two.
    """
    if unknown := set(probabilities) - set(OPERATIONS):
        raise ValueError(f"no such operation: {sorted(unknown)}")
    dice = random.Random(seed)
    frames = [parsed(line) for line in lines]
    texts: list[list[str]] = [[line["frame"]] for line in lines]  # what stands at each place in the end
    touched: set[int] = set()
    damages: list[Damage] = []
    for index, frame in enumerate(frames):
        if frame is None:
            continue
        op = _choose(dice, probabilities)
        if op is None or index in touched:
            continue
        text = lines[index]["frame"]
        hit = [index]
        if op == "drop":
            texts[index] = []
        elif op == "repeat":
            texts[index] = [text, text]
        elif op == "cut":
            texts[index] = [text[: dice.randrange(1, len(text))]]
        elif op == "corrupt":
            changed = _corrupted(dice, frame)
            texts[index] = [changed or text]
            hit = [index] if changed else []
        else:
            partner = _next_of_connection(lines, frames, index)
            if partner is None or partner in touched:
                continue
            texts[index], texts[partner] = texts[partner], texts[index]
            hit = [index, partner]
        touched.update(hit)
        damages += [_damage(op, place, frames[place]) for place in hit]
    return [
        {**line, "frame": text, "place": place} for place, line in enumerate(lines) for text in texts[place]
    ], damages


def _choose(dice: random.Random, probabilities: Mapping[str, float]) -> str | None:
    left = dice.random()
    for op in OPERATIONS:
        left -= probabilities.get(op, 0)
        if left < 0:
            return op
    return None


def _corrupted(dice: random.Random, frame: dict[str, Any]) -> str | None:
    """Change one digit of one price or size to another that is not zero; None for an empty book."""
    changed = json.loads(compact(frame))
    rows = changed["data"][0]["asks"] + changed["data"][0]["bids"]
    if not rows:
        return None
    row, slot = dice.choice(rows), dice.randrange(2)
    digits = [at for at, char in enumerate(row[slot]) if char.isdigit()]
    at = dice.choice(digits)
    digit = dice.choice([char for char in "123456789" if char != row[slot][at]])
    row[slot] = row[slot][:at] + digit + row[slot][at + 1 :]
    return compact(changed)


def _next_of_connection(
    lines: Sequence[Mapping[str, Any]], frames: Sequence[dict[str, Any] | None], index: int
) -> int | None:
    for other in range(index + 1, len(lines)):
        if lines[other]["dir"] == "in" and lines[other]["conn"] == lines[index]["conn"]:
            return other if frames[other] is not None else None
    return None


def _damage(op: str, index: int, frame: dict[str, Any]) -> Damage:
    data = frame["data"][0]
    event_ns = int(data["ts"]) * 10**6
    return Damage(op, index, frame["arg"]["instId"], event_ns, data.get("seqId"), data.get("prevSeqId"))


# ---------------------------------------------------------------------------------------------- recovery


def reference_books(clean: Sequence[Mapping[str, Any]]) -> dict[int, State]:
    """Build the book after each book frame of a clean tape, by the index of its line."""
    states: dict[int, State] = {}
    newest: dict[str, State] = {}
    for index, frame in _book_frames(clean):
        inst, data = frame["arg"]["instId"], frame["data"][0]
        old = newest.get(inst) if frame["action"] == "update" else None
        bids = with_rows(old.bids if old else {}, data["bids"])
        asks = with_rows(old.asks if old else {}, data["asks"])
        states[index] = newest[inst] = State(frame["arg"]["channel"], inst, data, bids, asks)
    return states


def fresh_snapshot(state: State) -> str:
    """Write the frame that a resubscription would bring: the whole book, prevSeqId -1, the right seqId."""
    book = {"asks": best_first(state.asks, bids=False), "bids": best_first(state.bids, bids=True)}
    data = {**state.data, **book}
    if data.get("checksum"):
        data["checksum"] = checksum(state.bids, state.asks)
    if "seqId" in data:
        data["prevSeqId"] = -1
    frame = {"arg": {"channel": state.channel, "instId": state.inst}, "action": "snapshot", "data": [data]}
    return compact(frame)


def inject_snapshots(
    clean: Sequence[Mapping[str, Any]],
    mutated: Sequence[Mapping[str, Any]],
    damages: Sequence[Damage],
    seed: int,
    *,
    states: Mapping[int, State] | None = None,
) -> list[dict[str, Any]]:
    """Let a fresh snapshot follow every damage of an instrument, a few of its frames later.

    It is the clean book of that moment. A damage too near the end of the tape gets none.
    """
    dice = random.Random(seed)
    states = reference_books(clean) if states is None else states
    places: dict[str, list[int]] = {}
    for index, state in states.items():
        places.setdefault(state.inst, []).append(index)
    wanted: set[int] = set()
    for damage in damages:
        later = [index for index in places[damage.inst] if index >= damage.index]
        delay = dice.randrange(LONGEST_OUTAGE)
        if damage.op != "repeat" and delay < len(later):
            wanted.add(later[delay])
    result: list[dict[str, Any]] = []
    waiting = sorted(wanted)
    for line in mutated:
        while waiting and waiting[0] < line["place"]:
            result.append(_injected(clean, states, waiting.pop(0)))
        result.append(dict(line))
    return result + [_injected(clean, states, index) for index in waiting]


def snapshots_at(clean: Sequence[Mapping[str, Any]], states: Mapping[int, State], index: int) -> list[dict[str, Any]]:
    """Return the tape lines of a new subscription between the lines `index - 1` and `index`: every known book."""
    newest = {state.inst: place for place, state in states.items() if place < index}
    arrival = {**clean[index - 1], "dir": "in", "injected": True}
    return [{**arrival, "frame": fresh_snapshot(states[place])} for place in newest.values()]


def _injected(clean: Sequence[Mapping[str, Any]], states: Mapping[int, State], index: int) -> dict[str, Any]:
    return {**clean[index], "frame": fresh_snapshot(states[index]), "place": index, "injected": True}


def _book_frames(lines: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, line in enumerate(lines):
        frame = parsed(line)
        if frame is not None:
            yield index, frame
