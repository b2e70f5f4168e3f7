"""Runs on a board in front of the agent: one measurement at a time, and nothing left behind.

It is sent over standard input and never stored. It needs a POSIX system and Python 3.8 or later.

It holds the board, so that nobody else measures there meanwhile; reads the agent's source up to a zero byte; and runs
it as a child. When the connection ends, even in the middle of a run that never comes back, the child is killed.
"""

import errno
import os
import resource
import select
import signal
import socket
import sys
import time

LOCK = "\0mobilenas"
"""A name without a file, which the kernel takes back when this process and its child are gone."""
HANGUP = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


def main(wait_seconds):
    """Runs the agent that comes in; ends as it ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is an answer; it leaves no file
    connection = select.poll()
    for stream in (0, 2):  # the end of the input waits for what the agent has not read; a closed channel ends the other
        connection.register(stream, HANGUP)
    lock = hold(connection, wait_seconds)
    source = read_to_zero()
    alive, held_by_agent = os.pipe()
    agent = os.fork()
    if agent == 0:
        os.close(alive)
        exec(compile(source, "agent", "exec"), {"__name__": "__main__", "__file__": "agent"})
        return
    os.close(held_by_agent)
    connection.register(alive, HANGUP)
    connection.poll()
    os.kill(agent, signal.SIGKILL)  # does nothing to one that has ended
    end_as(os.waitpid(agent, 0)[1])
    lock.close()


def hold(connection, wait_seconds):
    """Waits until nobody else measures here; the socket that it returns is the lock."""
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    end = time.monotonic() + wait_seconds
    while True:
        try:
            lock.bind(LOCK)
            return lock
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return lock  # no Linux: no such names
        if time.monotonic() >= end:
            sys.exit("another process measures there")
        if connection.poll(200):
            sys.exit("the connection has ended")


def read_to_zero():
    """Bytes from standard input up to a zero byte, and not one more: the rest is the agent's."""
    return b"".join(iter(lambda: os.read(0, 1) or os._exit(1), b"\0"))


def end_as(status):
    """Ends this process as the agent did, so that whoever waits for it learns a signal too."""
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
        sys.exit(128 + os.WTERMSIG(status))  # a signal that Python ignores
    sys.exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(float(sys.argv[1]))
