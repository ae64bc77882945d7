# SPDX-License-Identifier: GPL-2.0
"""A copy of a set of images without its lazy pages, as a lazy dump would have left it.

Pagemaps are rewritten: what has PE_LAZY loses PE_PRESENT, and its bytes leave the pages file.
"""
import pathlib
import shutil
import struct

PE_LAZY, PE_PRESENT = 2, 4
PAGE = 4096
HEADER = 8  # two magic numbers


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def encode(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _fields(message):
    """All are varints in pagemap messages."""
    at, found = 0, {}
    while at < len(message):
        tag, at = _varint(message, at)
        found[tag >> 3], at = _varint(message, at)
    return found


def _messages(data):
    at = HEADER
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        yield data[at + 4:at + 4 + size]
        at += 4 + size


def _message(fields):
    body = b"".join(encode(number << 3) + encode(value) for number, value in fields.items())
    return struct.pack("<I", len(body)) + body


def runs(pagemap):
    """(address, number of pages) of each entry."""
    for entry in list(_messages(pathlib.Path(pagemap).read_bytes()))[1:]:
        fields = _fields(entry)
        yield fields[1], fields.get(5, fields.get(2))


def _thin_pagemap(path, out, is_wanted):
    data = path.read_bytes()
    head, *entries = _messages(data)
    pages = f"pages-{_fields(head)[1]}.img"
    result = data[:HEADER] + struct.pack("<I", len(head)) + head
    with open(path.parent / pages, "rb") as source, open(out / pages, "wb") as target:
        for entry in entries:
            fields = _fields(entry)
            count, flags = fields.get(5, fields.get(2)), fields.get(4, PE_PRESENT)
            if flags & PE_PRESENT:
                if flags & PE_LAZY and is_wanted:
                    fields[4] = flags & ~PE_PRESENT
                    source.seek(count * PAGE, 1)
                else:
                    for _ in range(count):
                        target.write(source.read(PAGE))
            result += _message(fields)
    (out / path.name).write_bytes(result)


def copy(images, out):
    images, out = pathlib.Path(images), pathlib.Path(out)
    out.mkdir()
    for path in images.glob("*.img"):
        if path.name.startswith("pagemap-"):
            _thin_pagemap(path, out, not path.name.startswith("pagemap-shmem-"))
        elif not path.name.startswith("pages-"):
            shutil.copy(path, out)
