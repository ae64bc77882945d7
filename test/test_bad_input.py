# SPDX-License-Identifier: GPL-2.0
"""Damaged images: the restore says which file, exits 1 and leaves the host as it was."""
import os
import random
import shutil
import signal

import pytest
from harness import leftovers
from harness.program import Program
from harness.victim import Victim

# Written for other tools, or for who brings pages from elsewhere; nothing is restored from it on a host.
UNUSED = {"timens-0.img", "lazy-source.img"}
# Without one of these nothing can be restored; others say by their absence that there is nothing of their kind.
NEEDED = ("inventory", "pstree", "core-", "mm-", "pagemap-", "pages-", "files", "fdinfo-", "ids-", "fs-")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Images of a victim with threads, pipes and timers, dumped once."""
    directory = tmp_path_factory.mktemp("good")
    subject = Victim("syscall_restart", directory)
    subject.start()
    program = Program(directory)
    program.dump(subject.pid)
    subject.reap_killed()
    return program.images


def copy_images(good, program):
    """Links, so that only the damaged file is a new one."""
    for path in good.glob("*.img"):
        os.link(path, program.images / path.name)


def damage(path, change):
    data = bytearray(path.read_bytes())
    path.unlink()
    path.write_bytes(change(data))


def flip(path, at, bits):
    damage(path, lambda data: overwrite(at, bytes([data[at] ^ bits]))(data))


def must_fail(program, name, mode):
    done = program.restore(mode, check=False)
    if done.returncode == 0:
        leftovers.kill_children(leftovers.state()["children"])
    assert done.returncode == 1, f"restore of a damaged {name} ended with {done.returncode}"
    errors = [line for line in done.log.splitlines() if "Error" in line]
    assert errors, "no error line"
    assert name in errors[0], errors[0]


def overwrite(at, value):
    def change(data):
        data[at:at + len(value)] = value
        return data
    return change


CHANGES = {
    "empty": lambda data: b"",
    "half": lambda data: data[:len(data) // 2],
    "one-byte-short": lambda data: data[:-1],
    "wrong-magic": overwrite(0, b"\x12\x34\x56\x78\x9a\xbc\xde\xf0"),
    "huge-message": lambda data: data[:8] + b"\xff\xff\xff\x7f" + data[12:],
    "garbage-message": lambda data: data[:12] + b"\xff" * (len(data) - 12),
}


def names_of(images):
    return sorted(path.name for path in images.glob("*.img") if path.name not in UNUSED)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mode", ["eager", "lazy"])
@pytest.mark.timeout_s(120)
def test_damaged(change, mode, good, tmp_path):
    failures = []
    for name in names_of(good):
        size = (good / name).stat().st_size
        is_raw = name.startswith("pages-")
        # Raw pages have no header; and what has no message cannot have a damaged one.
        if (is_raw and change not in ("empty", "half", "one-byte-short")) or size <= 12:
            continue
        (tmp_path / name).mkdir()
        program = Program(tmp_path / name)
        copy_images(good, program)
        damage(program.images / name, CHANGES[change])
        try:
            must_fail(program, name, mode)
        except AssertionError as error:
            failures.append(f"{name}: {error}")
        shutil.rmtree(tmp_path / name)
    assert not failures, "\n".join(failures)


def test_missing(good, tmp_path):
    failures = []
    for name in names_of(good):
        if not name.startswith(NEEDED):
            continue
        (tmp_path / name).mkdir()
        program = Program(tmp_path / name)
        copy_images(good, program)
        (program.images / name).unlink()
        try:
            must_fail(program, name, "eager")
        except AssertionError as error:
            failures.append(f"{name}: {error}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("seed", range(10))
def test_flipped_bytes_never_crash_us(seed, good, tmp_path):
    """A flipped bit may be a valid other value; what is restored then is not our fault, but dying is."""
    dice = random.Random(seed)
    for name in names_of(good):
        if name.startswith("pages-"):
            continue
        (tmp_path / name).mkdir()
        program = Program(tmp_path / name)
        copy_images(good, program)
        at = dice.randrange((good / name).stat().st_size)
        flip(program.images / name, at, 1 << dice.randrange(8))
        before = leftovers.state()
        done = program.restore("eager", check=False)
        assert done.returncode in (0, 1), f"{name} at {at}: {done.returncode}"
        if done.returncode == 0:
            leftovers.kill_children(leftovers.state()["children"] - before["children"])
        else:
            assert "Error" in done.log, f"{name} at {at}: silent failure"


def test_busy_pid(good, program):
    """The pid of the images is taken: said so, and the other process is left alone."""
    pid = int(next(good.glob("mm-*.img")).stem.split("-")[1])
    copy_images(good, program)
    taken = clone_with_pid(pid)
    try:
        done = program.restore("eager", check=False)
        assert done.returncode == 1
        assert str(pid) in Program.errors(done.log)
        os.kill(taken, 0)
    finally:
        leftovers.kill_children([taken])


def clone_with_pid(pid):
    """A sleeping child with this pid: ns_last_pid makes the next fork take it."""
    for _ in range(50):
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(pid - 1))
        child = os.fork()
        if not child:
            while True:
                signal.pause()
        if child == pid:
            return child
        leftovers.kill_children([child])
    pytest.skip("another process took the pid each time")
