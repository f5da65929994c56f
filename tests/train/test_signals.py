import os
import signal

import pytest

from tunesmith.train.signals import ASKS_TO_STOP, listen


@pytest.mark.parametrize("number", ASKS_TO_STOP)
def test_a_signal_sets_a_flag_and_nothing_else(number):
    with listen() as flag:
        assert not flag.asked
        os.kill(os.getpid(), number)
        assert (flag.asked, flag.signal) == (True, number.name)


def test_a_second_interrupt_interrupts():
    with listen() as flag:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert flag.asked


def test_the_end_of_a_launcher_counts_as_a_signal():
    with listen(to_launcher=True) as flag:
        assert not flag.asked
        flag.launcher = 1 + os.getppid()  # as if it had been another, that is gone
        assert flag.asked
    with listen() as flag:
        assert flag.launcher is None


def test_the_handlers_of_before_come_back():
    before = [signal.getsignal(number) for number in ASKS_TO_STOP]
    with pytest.raises(ZeroDivisionError), listen():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in ASKS_TO_STOP] == before
