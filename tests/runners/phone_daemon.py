"""An adb daemon on loopback TCP: runs inside the phone's own root (see `phone.py`) and needs the standard library only.

It speaks version 1 of adb's transport protocol, `exec:`, `shell:` and `sync:` (SEND, QUIT). Commands come as JSON
lines on standard input; each is answered by a line.

    {"cut_after": 1000}   the cable is pulled after so many more bytes, and put back at once ...
    {"stays_out": true}   ... or not
    {"out": true}         the cable is pulled now, and stays out
    {"trust": false}      the computer is not trusted
    {"delay_ms": 2}       what every packet takes on the cable
    {"disk_bytes": 1000}  room left for files
"""

import contextlib
import json
import os
import queue
import re
import socket
import struct
import subprocess
import sys
import threading
import time

WORDS = (b"CNXN", b"OPEN", b"OKAY", b"CLSE", b"WRTE", b"AUTH")
CONNECT, OPEN, OKAY, CLOSE, WRITE, AUTH = (int.from_bytes(word, "little") for word in WORDS)
VERSION, MOST_BYTES = 0x01000000, 2**18
TOKEN, SIGNATURE = 1, 2
NO_SPACE = b"write failed: No space left on device"


class Phone:
    """What all connections share.

    Attributes:
        cut_after: Bytes until the next cut; None for none.
        stays_out: Whether the cable is then left out.
        out: Whether the cable is out.
        trust: Whether the computer is trusted.
        disk_bytes: Room for files; None for any.
        delay_ms: Milliseconds that every packet takes.
    """

    def __init__(self, banner):
        self.banner = banner
        self.cut_after, self.out, self.trust, self.disk_bytes = None, False, True, None
        self.stays_out, self.delay_ms = False, 0
        self.sockets, self.lock = set(), threading.Lock()
        self.bytes, self.cuts = 0, 0

    def passed(self, size):
        """Counts bytes on the cable, and cuts it when it is time."""
        time.sleep(self.delay_ms / 1e3)
        with self.lock:
            self.bytes += size
            if self.cut_after is None:
                return
            self.cut_after -= size
            if self.cut_after > 0:
                return
            self.cut_after = None
            self.out = self.stays_out
        self.cut()

    def cut(self):
        """Breaks every connection."""
        self.cuts += 1
        for each in list(self.sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def obey(self, command):
        """Takes a command from the test."""
        for name, value in command.items():
            setattr(self, name, value)
        if command.get("out"):
            self.cut()
        return {"bytes": self.bytes, "cuts": self.cuts}


class Connection:
    """One transport: packets in, packets out."""

    def __init__(self, phone, connected):
        self.phone, self.socket = phone, connected
        self.lock, self.streams, self.next_id = threading.Lock(), {}, 1

    def send(self, command, first, second, data=b""):
        check = sum(data) & 0xFFFFFFFF
        packet = struct.pack("<6I", command, first, second, len(data), check, command ^ 0xFFFFFFFF) + data
        with self.lock:
            self.socket.sendall(packet)
        self.phone.passed(len(packet))

    def receive(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        self.phone.passed(size)
        return data

    def run(self):
        self.phone.sockets.add(self.socket)
        try:
            while True:
                command, first, second, size, _, _ = struct.unpack("<6I", self.receive(24))
                self.handle(command, first, second, self.receive(size))
        except (EOFError, OSError):
            pass
        finally:
            self.phone.sockets.discard(self.socket)
            for stream in self.streams.values():
                stream.end()
            self.socket.close()

    def handle(self, command, first, second, data):
        if command in (CONNECT, AUTH):
            if self.phone.trust:
                self.send(CONNECT, VERSION, MOST_BYTES, self.phone.banner)
            elif command == CONNECT or first == SIGNATURE:  # a key's signature: not one that is known
                self.send(AUTH, TOKEN, 0, bytes(range(20)))
        elif command == OPEN:
            stream = self.streams[self.next_id] = Stream(self, self.next_id, first)
            self.next_id += 1
            self.send(OKAY, stream.own, first)
            threading.Thread(target=stream.serve, args=(data.rstrip(b"\0").decode(),), daemon=True).start()
        elif second in self.streams:
            stream = self.streams[second]
            if command == WRITE:
                stream.incoming.put(data)
                self.send(OKAY, second, first)
            elif command == OKAY:
                stream.may_write.release()
            elif command == CLOSE:
                del self.streams[second]
                stream.end()
        elif command == WRITE:
            self.send(CLOSE, 0, first)


class Stream:
    """One service in a transport."""

    def __init__(self, connection, own, other):
        self.connection, self.own, self.other = connection, own, other
        self.incoming, self.may_write, self.buffer = queue.Queue(), threading.Semaphore(1), b""
        self.ended = False

    def end(self):
        self.ended = True
        self.incoming.put(None)
        self.may_write.release()

    def write(self, data):
        for start in range(0, len(data), MOST_BYTES):
            self.may_write.acquire()
            if self.ended:
                raise EOFError
            self.connection.send(WRITE, self.own, self.other, data[start : start + MOST_BYTES])

    def read(self, size):
        while len(self.buffer) < size:
            data = self.incoming.get()
            if data is None:
                raise EOFError
            self.buffer += data
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def serve(self, service):
        name, _, argument = service.partition(":")
        try:
            if name in ("shell", "exec"):
                self.shell(argument)
            elif name == "sync":
                self.sync()
            self.may_write.acquire(timeout=2)
            self.connection.send(CLOSE, self.own, self.other)
        except (EOFError, OSError):
            pass

    def shell(self, script):
        """Runs a script; when the connection is gone nobody reads its pipe, and its next line ends it."""
        process = subprocess.Popen(
            ["/system/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while data := process.stdout.read1(65536):
                self.write(data)
        finally:
            process.stdout.close()
            threading.Thread(target=process.wait, daemon=True).start()

    def sync(self):
        while True:
            kind, size = struct.unpack("<4sI", self.read(8))
            if kind == b"QUIT":
                return
            text = self.read(size)
            if kind != b"SEND":
                self.fail(b"unknown request")
                return
            path, _, mode = text.rpartition(b",")
            problem = self.receive_file(path, int(mode))
            if problem:
                self.fail(problem)
                return
            self.write(b"OKAY" + struct.pack("<I", 0))

    def fail(self, text):
        self.write(b"FAIL" + struct.pack("<I", len(text)) + text)

    def receive_file(self, path, mode):
        """Writes one file; gives what went wrong."""
        phone = self.connection.phone
        content = bytearray()
        while True:
            kind, size = struct.unpack("<4sI", self.read(8))
            if kind == b"DONE":
                break
            content += self.read(size)
        if phone.disk_bytes is not None:
            if len(content) > phone.disk_bytes:
                return NO_SPACE
            phone.disk_bytes -= len(content)
        try:
            with open(path, "wb") as file:
                file.write(content)
            os.chmod(path, mode & 0o777)
        except OSError as error:
            return b"couldn't create file: " + error.strerror.encode()
        return b""


def listen(phone, listener):
    while True:
        connected, _ = listener.accept()
        if phone.out:
            connected.close()
            continue
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Connection(phone, connected).run, daemon=True).start()


def main():
    model = re.sub(r"[;=\n]", "_", sys.argv[1])
    banner = f"device::ro.product.name=fake;ro.product.model={model};ro.product.device=fake;features=shell_v2"
    phone = Phone(banner.encode())
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)
    threading.Thread(target=listen, args=(phone, listener), daemon=True).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    for line in sys.stdin:
        print(json.dumps(phone.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
