"""Hand-over of the listening socket: a new server takes it from the old one, so that a restart refuses no client.

The old server listens at a Unix socket in the folder of the models. It gives the listening socket to who asks, answers
what it has, saves, and ends. Until the new one serves, connections wait in the queue of the socket, which never closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable

from vwlite.errors import VwliteError

NAME = "handover"
PATIENCE = 60.0  # seconds in which the old server has to end


class Handover:
    """The side of the old server.

    Args:
        folder: The folder of the models.
        listener: The listening socket.
        given: Called when it was given away.
    """

    def __init__(self, folder: str, listener: socket.socket, given: Callable[[], None]) -> None:
        self.path = os.path.join(folder, NAME)
        self.listener, self.given = listener, given
        self.door: socket.socket | None = None

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins to wait for a new server."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        door = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            door.bind(self.path)
        except OSError:  # such as a path that is too long: then there is no hand-over
            door.close()
            return
        finally:
            os.umask(before)
        door.listen(1)
        door.setblocking(False)
        self.door = door
        loop.add_reader(door, self.give, loop)

    def give(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gives the listening socket to a process of the same user."""
        assert self.door is not None
        try:
            one, _ = self.door.accept()
        except OSError:
            return
        with one:
            if hasattr(socket, "SO_PEERCRED"):
                size = struct.calcsize("3i")
                _, user, _ = struct.unpack("3i", one.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
                if user not in (0, os.geteuid()):
                    return
            try:
                socket.send_fds(one, [b"listener"], [self.listener.fileno()])
            except OSError:
                return
        self.close(loop)
        self.given()

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stops waiting."""
        if self.door is not None:
            loop.remove_reader(self.door)
            self.door.close()
            self.door = None
            with contextlib.suppress(OSError):
                os.unlink(self.path)


def take(folder: str) -> socket.socket | None:
    """Takes the listening socket of the server that uses a folder.

    Args:
        folder: The folder of the models.

    Returns:
        The socket; None if there is no server.

    Raises:
        VwliteError: If it does not give it.
    """
    path = os.path.join(folder, NAME)
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(10)
        try:
            one.connect(path)
        except OSError:
            return None
        try:
            _, descriptors, _, _ = socket.recv_fds(one, 16, 1)
        except OSError as error:
            raise VwliteError(f"{path}: the running server does not give its socket: {error}") from error
    if not descriptors:
        raise VwliteError(f"{path}: the running server does not give its socket: it is one of another user")
    return socket.socket(fileno=descriptors[0])
