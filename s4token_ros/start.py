"""Start the node: signals end the process from now on, also during the imports, which take seconds."""

from __future__ import annotations

import gc

from s4token_model import command_line
from s4token_ros import heap, signals


def main() -> None:
    """Run the node and end the process."""
    heap.configure()
    signals.watch()
    signals.leave(command_line.guard("s4token", _run))  # the destructors of DDS may take many seconds


def _run(words: list[str]) -> int:
    gc.disable()  # what the imports make stays: collections in between find nothing
    from s4token_model import compile_beside

    compile_beside.start()  # before the imports, which take seconds
    import torch  # noqa: F401  # now, while a signal still ends the process at once

    from s4token_ros import node, qos

    gc.freeze()
    gc.enable()
    heap.fill()
    qos.use_histories_of_profile()
    return node.main(words)


if __name__ == "__main__":
    main()
