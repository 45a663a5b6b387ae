"""What a fuzz trial found."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_EXAMPLES = 20
MAX_BYTES = 2 * 2**30  # that a process may take for one input, beyond what it took before


@dataclass
class Outcome:
    """Counts of one trial; it passes when nothing crashed, hung, escaped or took more than MAX_BYTES."""

    tried: int = 0
    refused: int = 0  # by the error that names the fault: expected
    crashes: int = 0  # a process that ended by a signal or an abort
    hangs: int = 0
    tracebacks: int = 0  # any other exception, MemoryError among them
    peak_bytes: int = 0  # resident memory of a process beyond what it took before its first input
    examples: list[str] = field(default_factory=list)  # "what: the kept input", the first MAX_EXAMPLES

    def add(self, other: Outcome) -> None:
        """Add the counts of another part of the same trial."""
        for name in ("tried", "refused", "crashes", "hangs", "tracebacks"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        for example in other.examples:
            self.note(example)

    def note(self, example: str) -> None:
        """Keep an example of a failure."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example)

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.crashes or self.hangs or self.tracebacks) and self.peak_bytes <= MAX_BYTES
