"""Processes of tests that run in the background, where a shell lets SIGINT be ignored."""

import signal


def heed_ctrl_c() -> None:
    """End at SIGINT; for preexec_fn of a process that a test interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
