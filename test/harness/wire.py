# SPDX-License-Identifier: GPL-2.0
"""A client of a source of pages, as plain as can be: own protocol, no checksums, no compression."""
import os
import socket
import struct

PAGE = 4096
HELLO, VERSION, MAGIC = 0x4C50, 1, 0x3176797A616C6363
DEMAND, BULK = 1, 2
GET, PAGES, ZERO, GONE = 1, 2, 3, 4
OWED, START, DONE, END, BYE = 16, 20, 22, 32, 33
LAST, ALL = 1, 4
FRAME = struct.Struct("<IIQQIIII")


class Channel:
    def __init__(self, port, kind, token=bytes(32), session=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = token + (session or os.urandom(16)) + struct.pack("<IIII", kind, 0, 0, 0)
        self.socket.sendall(struct.pack("<IIQQQ", HELLO, 0, VERSION, MAGIC, len(hello)) + hello)
        self.status = struct.unpack("<QIiII16s", self.read(40))[2]

    def close(self):
        self.socket.close()

    def read(self, size):
        data = bytearray(size)
        view = memoryview(data)
        while view:
            got = self.socket.recv_into(view)
            if not got:
                raise ConnectionError("closed by the source")
            view = view[got:]
        return data

    def say(self, kind, flags=0, number=0, vaddr=0, pages=0, seq=0):
        self.socket.sendall(FRAME.pack(kind, flags, number, vaddr, pages, 0, 0, seq))

    def frame(self):
        """(type, flags, object, address, pages, payload)."""
        kind, flags, number, vaddr, pages, size, _, _ = FRAME.unpack(self.read(FRAME.size))
        return kind, flags, number, vaddr, pages, self.read(size)


def pages_of(kind, number, vaddr, pages, payload):
    """(object, address) and bytes of each page of a frame."""
    for i in range(pages):
        at = (number, vaddr + i * PAGE)
        yield at, bytes(PAGE) if kind == ZERO else bytes(payload[i * PAGE:(i + 1) * PAGE])


def fetch_all(port, token):
    """All pages that the source has, pushed."""
    channel = Channel(port, BULK, token)
    found = {}
    try:
        assert channel.status == 0, os.strerror(-channel.status)
        channel.say(OWED, ALL)
        channel.say(START)
        while (frame := channel.frame())[0] != END:
            kind, _, number, vaddr, pages, payload = frame
            assert kind in (PAGES, ZERO), kind
            found.update(pages_of(kind, number, vaddr, pages, payload))
        channel.say(DONE)
        assert channel.frame()[0] == BYE
    finally:
        channel.close()
    return found


def fetch(channel, number, vaddr, seq=1):
    """One page, asked for."""
    channel.say(GET, number=number, vaddr=vaddr, pages=1, seq=seq)
    kind, flags, number, vaddr, pages, payload = channel.frame()
    assert kind in (PAGES, ZERO) and flags & LAST and pages == 1
    return dict(pages_of(kind, number, vaddr, pages, payload))
