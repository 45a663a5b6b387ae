"""Start the node: signals end the process from now on, also during the imports, which take seconds."""

from __future__ import annotations

import sys

from s4token_ros import signals


def main() -> int:
    """Run the node; return the exit code."""
    signals.watch()
    from s4token_ros import node

    return node.main()


if __name__ == "__main__":
    sys.exit(main())
