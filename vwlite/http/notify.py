"""Messages to systemd (sd_notify): that the service is ready, alive, or ending."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(state: str) -> bool:
    """Sends a message to the service manager; returns whether there is one.

    The protocol is that of sd_notify(3): a datagram to the socket that NOTIFY_SOCKET names.
    """
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return False
    if path.startswith("@"):
        path = "\0" + path[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
        one.sendto(state.encode(), path)
        return True
    return False


def watchdog_interval() -> float | None:
    """Seconds between messages that the watchdog of systemd waits for; None if it does not."""
    text = os.environ.get("WATCHDOG_USEC", "")
    if not text.isdigit() or int(text) <= 0 or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(text) / 2e6


def given_sockets() -> list[socket.socket]:
    """The listening sockets that the service manager has opened (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = os.environ.get("LISTEN_FDS", "0")
    found = []
    for number in range(3, 3 + (int(count) if count.isdigit() else 0)):
        os.set_inheritable(number, False)
        found.append(socket.socket(fileno=number))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return found
