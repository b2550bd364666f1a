"""Ctrl-C, SIGTERM and a closed terminal end `graft up` alike; then a second one is not heard."""

import signal

import pytest

from processes import Processes

#: Waits to be ended, then ignores a second signal while it tidies up.
PROGRAM = """
import os, signal, sys, time
from infra.local.up import ends_on_signals, ignore_signals
ends_on_signals()
try:
    print("ready", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    ignore_signals()
    os.kill(os.getpid(), int(sys.argv[1]))
    print("tidied up", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_ends_it_in_order_and_a_second_one_cuts_nothing_short(
    processes: Processes, number: signal.Signals
) -> None:
    process = processes.python("-c", PROGRAM, str(int(number)))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "tidied up\n"
    assert process.wait(60) == 0
