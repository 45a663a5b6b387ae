"""The command `s4token explore --live`: the page where one types words, for a running node."""

from __future__ import annotations

import argparse

from s4token_model import command_line

TOPIC = "/s4token/labeled"


def main(arguments: list[str] | None = None) -> int:
    """Serve the page until Ctrl-C."""
    from s4token_model.explore import address, serving

    parser = argparse.ArgumentParser(prog="s4token explore --live", description=__doc__)
    about = "the labeled clouds of a node (default: %(const)s); its services are looked for beside"
    parser.add_argument("--live", metavar="TOPIC", nargs="?", const=TOPIC, default=TOPIC, help=about)
    address.add_options(parser)
    parser.add_argument("--patience", type=float, default=1.0, help="factor on every time limit, for slow machines")
    options = parser.parse_args(arguments)
    served_at = address.Address(options.host, options.port)
    serving.check(served_at, options.drawn)
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        from s4token_ros.live_session import LiveSession
        from s4token_ros.logs import init_arguments
    except ImportError as reason:
        fix = "source a ROS 2 workspace that contains s4token_interfaces"
        raise ImportError(f"{reason}; {fix}") from reason
    # Not rclpy's handlers, which end its own waiting alone: Ctrl-C and SIGTERM end the page
    rclpy.init(args=init_arguments([]), signal_handler_options=SignalHandlerOptions.NO)
    try:
        print(f"waiting for a cloud on {options.live}", flush=True)
        node = rclpy.create_node("s4token_explore")
        serving.serve(LiveSession(node, options.live, options.drawn, options.patience), served_at)
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(command_line.guard("s4token explore", main))
