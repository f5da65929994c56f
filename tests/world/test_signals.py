import os
import signal
import subprocess
import sys
import time

import pytest

from tunesmith.world.launcher import ProcessIdentity
from tunesmith.world.signals import ASKS_TO_STOP, heard_signals, listen


@pytest.mark.parametrize("number", ASKS_TO_STOP)
def test_a_signal_sets_a_flag_and_nothing_else(number):
    with listen() as flag:
        assert not flag.asked
        os.kill(os.getpid(), number)
        assert (flag.asked, flag.signal) == (True, number.name)


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "XCPU"])
def test_what_closes_terminals_and_ends_jobs_is_heard(name):
    assert getattr(signal, f"SIG{name}") in ASKS_TO_STOP


def test_a_second_interrupt_interrupts():
    with listen() as flag:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert flag.asked


def test_the_end_of_a_launcher_counts_as_a_signal():
    launcher = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with listen() as flag:
        assert flag.launcher is None
        flag.launcher = ProcessIdentity(launcher.pid, 0)
        assert not flag.asked
        launcher.kill()
        deadline = time.monotonic() + 20
        while not flag.asked and time.monotonic() < deadline:  # also while nobody has collected it
            time.sleep(0.01)
        assert flag.orphaned
        launcher.wait()
        flag.launcher = ProcessIdentity(os.getpid(), 1)  # another one has its number by now
        assert flag.asked


def test_the_handlers_of_before_come_back():
    before = [signal.getsignal(number) for number in ASKS_TO_STOP]
    with pytest.raises(ZeroDivisionError), listen():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in ASKS_TO_STOP] == before


def test_nohup_is_minded_but_not_below_the_launcher_of_torch():
    torchrun, launcher = {"TORCHELASTIC_RUN_ID": "x"}, ProcessIdentity(1, 0)
    assert signal.SIGHUP in heard_signals({}, None)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in heard_signals({}, None)
        assert signal.SIGHUP not in heard_signals({}, launcher)  # Accelerate's own is deaf as well
        assert signal.SIGHUP not in heard_signals(torchrun, None)  # a variable that was left over
        assert signal.SIGHUP in heard_signals(torchrun, launcher)
        with listen() as flag:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not flag.asked
    finally:
        signal.signal(signal.SIGHUP, before)


BLOCKED = """
import os, socket, sys
from tunesmith.world import signals
signals.NOTICE = 0.5
def leave():
    print("left", flush=True)
    os._exit(75)
with signals.listen(leave) as flag:
    flag.waiting = True
    import torch.distributed
    print("waits", flush=True)
    torch.distributed.TCPStore("127.0.0.1", 0, 2, is_master=True, wait_for_workers=True)
"""


def test_who_waits_for_others_hears_a_signal_all_the_same():
    """The main thread never comes back to Python in time to carry out a handler."""
    process = subprocess.Popen([sys.executable, "-c", BLOCKED], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    process.terminate()
    assert process.wait(30) == 75
    assert process.stdout.read() == "left\n"


def test_a_forked_worker_that_is_told_to_end_does_not_end_the_run():
    with listen() as flag:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
            while True:
                time.sleep(0.01)
        time.sleep(0.3)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        time.sleep(0.3)
        assert not flag.asked
