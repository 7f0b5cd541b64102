"""A door between a worker and its database that can lose the reply to a COMMIT, before or after it took effect."""

import socket
import threading
from pathlib import Path

COMMIT = b"\x07\x00\x00\x00\x03COMMIT"
SIZE = 1 << 16


class Proxy:
    """Passes everything on between a socket at `path` and the server's, but for the COMMIT number `lose` (from 1).

    With `reached` the server executes that one, and only its reply is lost; without, it never hears of it.
    """

    def __init__(self, path: Path, server: Path, lose: int, reached: bool):
        self._server, self._lose, self._reached = str(server), lose, reached
        self.commits = 0
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.connect(self._server)
            lost = threading.Event()
            threading.Thread(target=self._requests, args=(client, server, lost), daemon=True).start()
            threading.Thread(target=self._replies, args=(client, server, lost), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        while data := _receive(client):
            if data == COMMIT and self._is_the_one():
                lost.set()
                if not self._reached:
                    break
            server.sendall(data)
        _end(server)

    def _replies(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        while (data := _receive(server)) and not lost.is_set():
            client.sendall(data)
        _end(client)

    def _is_the_one(self) -> bool:
        with self._lock:
            self.commits += 1
            return self.commits == self._lose


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(SIZE)
    except OSError:
        return b""


def _end(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
