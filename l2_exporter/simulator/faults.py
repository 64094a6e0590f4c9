"""The faults of one run: when each strikes. Seeded, one generator a fault, so that adding one does not move another."""

from collections.abc import Iterable, Sequence
from random import Random

from l2_exporter.core.errors import ConfigError
from l2_exporter.simulator.faultspec import FaultSpec


class Trigger:
    """One fault that was asked for, and whether it is its turn.

    Attributes:
        random: for what the fault does, beyond when.
    """

    def __init__(self, spec: FaultSpec, seed: str, start_ns: int) -> None:
        self.spec = spec
        self.random = Random(seed)
        self.begin_ns = start_ns + (spec.at_ns or 0)
        self._next_ns: int | None = self.begin_ns

    def strikes(self, now_ns: int, inst: str | None = None) -> bool:
        """Tell whether the fault happens to this instrument now; one with a moment is used up by that."""
        if now_ns < self.begin_ns or not self.spec.selects(inst):
            return False
        if self.spec.chance is not None:
            return self.random.random() < self.spec.chance
        return self.take(now_ns)

    def due(self, now_ns: int) -> bool:
        """Tell whether the moment has come, and use up nothing."""
        return self._next_ns is not None and self._next_ns <= now_ns

    def take(self, now_ns: int) -> bool:
        """Tell whether the moment has come, and use it up; the next is the first repetition still to come."""
        if self._next_ns is None or self._next_ns > now_ns:
            return False
        every_ns = self.spec.every_ns
        self._next_ns = None if every_ns is None else now_ns + every_ns - (now_ns - self._next_ns) % every_ns
        return True

    def lasts(self, now_ns: int, inst: str | None = None) -> bool:
        """Tell whether a fault that lasts for a span is on; with a repetition it comes back."""
        if now_ns < self.begin_ns or not self.spec.selects(inst) or self.spec.span_ns is None:
            return False
        since_ns = now_ns - self.begin_ns
        if self.spec.every_ns is not None:
            since_ns %= self.spec.every_ns
        return since_ns < self.spec.span_ns


class FaultPlan:
    """All faults of one run, by name.

    Raises:
        ConfigError: a fault that this venue cannot show.
    """

    def __init__(self, specs: Sequence[FaultSpec], seed: int, start_ns: int, lacks: Iterable[str] = ()) -> None:
        for spec in specs:
            if spec.name in lacks:
                raise ConfigError(f"fault {spec.text!r}: this venue has nothing like {spec.name}")
        self._triggers: dict[str, list[Trigger]] = {}
        for number, spec in enumerate(specs):
            trigger = Trigger(spec, f"{seed}/fault/{number}/{spec.name}", start_ns)
            self._triggers.setdefault(spec.name, []).append(trigger)

    def of(self, name: str) -> Sequence[Trigger]:
        """Return the triggers of one name, in the order they were asked for."""
        return self._triggers.get(name, ())

    def struck(self, name: str, now_ns: int, inst: str | None) -> Trigger | None:
        """Return the first trigger of a name that strikes this instrument now."""
        return next((trigger for trigger in self.of(name) if trigger.strikes(now_ns, inst)), None)

    def lasting(self, name: str, now_ns: int, inst: str | None) -> Trigger | None:
        """Return the first trigger of a name that lasts at this moment."""
        return next((trigger for trigger in self.of(name) if trigger.lasts(now_ns, inst)), None)

    def words(self, name: str, inst: str) -> Sequence[tuple[int, str]]:
        """Return the settings given for an instrument, each with the time from which it holds, in the order given."""
        return [(trigger.begin_ns, trigger.spec.word or "") for trigger in self.of(name) if trigger.spec.selects(inst)]

    def present(self, name: str, inst: str) -> Trigger | None:
        """Return the first trigger of a name for an instrument, whatever the time."""
        return next((trigger for trigger in self.of(name) if trigger.spec.selects(inst)), None)
