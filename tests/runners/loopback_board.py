"""A board that is this machine: a real sshd on loopback, with keys of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin")
SEPARATION = Path("/run/sshd")
"""Where an sshd of root's shuts itself in; the package's service makes it, and no service runs in a container."""


class LoopbackBoard:
    """Accepts one key of the user who runs the tests, on a free port.

    Attributes:
        key_file, known_hosts: What a client needs.
        port: Where it listens.
    """

    def __init__(self, folder, forced_command=None):
        self.folder, self.port = folder, free_port()
        self.key_file, self.host_key = folder / "user_key", folder / "host_key"
        for path in (self.key_file, self.host_key):
            make_key(path)
        public = Path(f"{self.key_file}.pub").read_text()
        limits = f'command="{forced_command}" ' if forced_command else ""
        (folder / "authorized_keys").write_text(limits + public)
        self.known_hosts = folder / "known_hosts"
        self.trust(Path(f"{self.host_key}.pub").read_text())
        self._process = None

    def trust(self, public):
        """Makes a host key the known one."""
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {public}")

    def trust_at(self, port):
        """Makes its host key the known one of another port too."""
        entry = self.known_hosts.read_text().splitlines()[0].partition(" ")[2]
        self.known_hosts.write_text(f"{self.known_hosts.read_text()}[127.0.0.1]:{port} {entry}\n")

    def options(self, **changes):
        """Options of a device that is this board."""
        plain = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "key_file": str(self.key_file),
            "known_hosts": str(self.known_hosts),
            "python": sys.executable,
        }
        return plain | changes

    def started(self, process):
        """Whether this board's sshd logged the user in who runs a process, given as its folder in /proc."""
        return f" {self.port}\0".encode() in (process / "environ").read_bytes().partition(b"SSH_CONNECTION=")[2]

    def __enter__(self):
        if os.geteuid() == 0:
            SEPARATION.mkdir(mode=0o755, exist_ok=True)
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.host_key}\nPidFile none\nStrictModes no\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}\nPermitRootLogin prohibit-password\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n"
        )
        log = (self.folder / "sshd.log").open("wb")
        with log:
            self._process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=log)
        end = time.monotonic() + 10
        while not answers(self.port):
            assert self._process.poll() is None, (self.folder / "sshd.log").read_text()
            assert time.monotonic() < end, "sshd does not listen"
            time.sleep(0.05)
        return self

    def __exit__(self, *error):
        self._process.terminate()
        self._process.wait()


PACKET_BYTES = 2**16
"""As in adb's protocol."""


class Cable:
    """Carries one connection after the other to a port, until it is pulled.

    Args:
        to_port: Where to.
        delay_ms: Milliseconds that every packet takes.

    Attributes:
        port: Where clients plug in.
    """

    def __init__(self, to_port, *, delay_ms=0):
        self._to_port, self._delay_ms = to_port, delay_ms
        self._carried, self._pull_at = 0, None
        self._pulling = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends = []
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self):
        """Every connection ends at once."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def pull_in(self, count):
        """It is pulled after so many bytes more have gone to the client; None: it holds."""
        with self._pulling:  # whoever is about to pull it has done so before the next connection
            self._pull_at = None if count is None else self._carried + count

    def close(self):
        self.pull()
        self._listener.close()
        for end in self._ends:
            end.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                board = socket.create_connection(("127.0.0.1", self._to_port))
                for end in (client, board):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._ends += [client, board]
                threading.Thread(target=self._carry, args=(client, board, False), daemon=True).start()
                threading.Thread(target=self._carry, args=(board, client, True), daemon=True).start()

    def _carry(self, source, target, counted):
        with suppress(OSError):
            while data := source.recv(PACKET_BYTES):
                time.sleep(self._delay_ms / 1e3)
                target.sendall(data)
                with self._pulling:
                    self._carried += len(data) * counted
                    if self._pull_at is not None and self._carried >= self._pull_at:
                        self.pull()
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def make_key(path):
    """A pair of keys: `path` and `path`.pub."""
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(path))
    path.chmod(0o600)
    key.write_public_key(f"{path}.pub")


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), timeout=1)) as probe:
        return probe.recv(4) == b"SSH-"
    return False
