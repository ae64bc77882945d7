# SPDX-License-Identifier: GPL-2.0
"""A recorded working set: the second restore finds nearly all of it in place; a stale one only costs."""
import json
import struct

import pytest

from harness import thin

TOUCHES = 600  # of lazy_touch: two tasks, 300 pages each


class Start:
    """The same images, restored again and again, with local pages or with all of them elsewhere."""

    def __init__(self, program, subject, is_remote):
        self.program, self.subject = program, subject
        program.dump(subject.pid)
        subject.reap_killed()
        self.options = []
        if is_remote:
            whole = program.images
            program.images = whole.with_name("thin")
            thin.copy(whole, program.images)
            self.whole = whole

    def source(self):
        lean, self.program.images = self.program.images, self.whole
        port = self.program.start_source("page-server", "--keep-serving")
        self.program.images = lean
        self.options = ["--page-server", "--port", port]

    def record(self):
        return self.program.images / "lazy-working-set.img"

    def again(self, *options):
        """Demand faults of one more restore."""
        for suffix in ("go", "result"):
            self.subject.path(suffix).unlink(missing_ok=True)
        self.program.start_daemon(*self.options, *options)
        self.program.restore("remote")
        self.subject.finish()
        self.program.end_daemon()
        self.figures = json.loads((self.program.images / "lazy-pages-stats.json").read_text())
        return self.figures["demand_faults"]


@pytest.fixture(params=["local", "remote"])
def start(request, victim, program):
    made = Start(program, victim("lazy_touch"), request.param == "remote")
    if request.param == "remote":
        made.source()
    yield made
    if program.source:
        program.source.terminate()
        program.source.wait(10)
        program.source = None


def test_second_restore_has_few_faults(start):
    first = start.again("--record-working-set")
    assert first > 0.9 * TOUCHES
    assert start.record().exists()
    for _ in range(3):
        assert start.again() <= first / 10


def test_recording_again_is_complete(start):
    """With a set at hand nothing is brought ahead, or it would be missing in the new one."""
    first = start.again("--record-working-set")
    assert start.again("--record-working-set") > 0.9 * first
    assert start.again() <= first / 10


def test_modes(start):
    """Demand only, background, working set and then background."""
    first = start.again("--record-working-set")
    assert start.again("--memory-mode", "demand") > 0.9 * TOUCHES
    assert start.figures["pages"]["background"] == start.figures["pages"]["working_set"] == 0
    start.again("--memory-mode", "background")
    assert start.figures["pages"]["working_set"] == 0
    assert start.again("--memory-mode", "working-set") <= first / 10


def message(objects, addresses, counts):
    def packed(number, values):
        body = b"".join(thin.encode(value) for value in values)
        return thin.encode(number << 3 | 2) + thin.encode(len(body)) + body
    body = packed(1, objects) + packed(2, addresses) + packed(3, counts)
    return struct.pack("<III", 0x54564319, 0x4C5A0003, len(body)) + body


STALE = {
    "another task": message([99999 << 8 | 1] * 3, [0x1000, 0x5000, 0x9000], [1, 1, 1]),
    "addresses of nobody": message([77 << 8 | 7, 1 << 8 | 1], [0x7000, 0x7F0000000000], [1, 4096]),
    "lists of different lengths": message([1, 2], [0x1000], [1]),
    "half a page, no pages, too many":
        message([1 << 8 | 1] * 3, [0x1001, 0x2000, 0x3000], [1, 0, 1 << 60]),
    "half a file": message([1 << 8 | 1], [0x1000], [1])[:-3],
    "no image": b"nonsense",
}


@pytest.mark.parametrize("name", STALE)
def test_stale_set_is_only_advice(name, start):
    start.record().write_bytes(STALE[name])
    start.again()


def test_set_of_other_pages(start):
    """All of memory, whether it is touched or not, last address first: slower, never wrong."""
    runs = []
    for path in sorted(start.program.images.glob("pagemap-*.img")):
        owner = int(path.stem.split("-")[1])
        runs += [(owner << 8 | 1, at, count) for at, count in thin.runs(path)]
    assert runs
    runs.reverse()
    start.record().write_bytes(message([r[0] for r in runs], [r[1] for r in runs],
                                       [r[2] for r in runs]))
    start.again()
