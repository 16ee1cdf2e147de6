"""Worker processes: every task is done, errors arrive, an interrupt ends them all."""

import multiprocessing
import os
import signal

import pytest

from augsynth.quality.workers import count, run_tasks


def echo(setup, task, emit):
    emit((setup, task, os.getpid()))


def fail(setup, task, emit):
    if task == 1:
        raise ValueError(f"task {task} of {setup}")


def vanish(setup, task, emit):
    os._exit(7)


def test_tasks_are_all_done_in_processes_of_their_own():
    events = []
    run_tasks(echo, "setup", [1, 2, 3], 2, events.append)
    assert sorted(task for _, task, _ in events) == [1, 2, 3]
    assert os.getpid() not in {pid for _, _, pid in events}
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_task_arrives_with_its_message(workers):
    with pytest.raises(ValueError, match="task 1 of setup"):
        run_tasks(fail, "setup", [0, 1, 2], workers, lambda event: None)
    assert not multiprocessing.active_children()


def test_a_worker_that_dies_is_reported_and_not_waited_for():
    with pytest.raises(Exception, match=r"worker process died \(exit code 7\)"):
        run_tasks(vanish, None, [0, 1], 2, lambda event: None)


def test_ctrl_c_in_the_parent_ends_the_workers():
    def interrupt(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tasks(echo, None, [0, 1, 2, 3], 2, interrupt)
    assert not multiprocessing.active_children()


def handler(setup, task, emit):
    emit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)


def test_workers_leave_ctrl_c_to_their_parent():
    before = signal.getsignal(signal.SIGINT)
    seen = []
    run_tasks(handler, None, [0, 1], 2, seen.append)
    assert seen == [True, True]
    assert signal.getsignal(signal.SIGINT) is before


def test_there_are_never_more_workers_than_tasks():
    assert count(1, None) == 1
    assert count(3, 8) == 3
