# SPDX-License-Identifier: GPL-2.0
"""Every victim, alone and across a dump and a restore in each of its modes."""
import pytest
from harness import images, proc
from harness.program import check_same
from harness.victim import metadata, names


def cases():
    for name in names():
        meta = metadata(name)
        marks = pytest.mark.timeout_s(int(meta["timeout"]))
        for mode in meta["modes"].split(","):
            yield pytest.param(name, mode, id=f"{name}-{mode}", marks=marks)


@pytest.mark.parametrize("name", names())
def test_passes_without_us(name, victim):
    victim(name).finish()


@pytest.mark.parametrize("name, mode", cases())
def test_survives(name, mode, victim, program):
    subject = victim(name)
    meta = subject.meta
    before = proc.snapshot(subject.pid)
    if meta["refused"]:
        refuse(subject, program, meta)
        return
    restore(mode, subject, program)
    after = proc.snapshot(subject.pid)
    subject.finish()
    program.end_daemon()
    program.end_source()
    check_same(before, after, meta["ignore"].split(","))


def restore(mode, subject, program):
    """migrate: memory stays with the dump; remote: with a page server that has the images."""
    words = subject.meta["dump"].split()
    tree = proc.tree(subject.pid)
    if mode == "migrate":
        port = program.start_source("dump", "-t", subject.pid, *words)
    else:
        program.dump(subject.pid, *words)
        subject.reap_killed(tree)
    if mode == "remote":
        port = program.start_source("page-server")
    if mode in ("remote", "migrate"):
        program.start_daemon("--page-server", "--port", port)
    if mode == "migrate":
        subject.reap_killed(tree)
    images.check_all(program.images)
    program.restore(mode, *subject.meta["restore"].split())


def refuse(subject, program, meta):
    """The dump names what it cannot do, and the victim runs on."""
    done = program.dump(subject.pid, *meta["dump"].split(), check=False)
    assert done.returncode == 1
    assert meta["refused"] in program.errors(done.log)
    subject.finish()
