# SPDX-License-Identifier: GPL-2.0
"""Images cross between us and another criu: CRIU_LAZY_PEER=/path/to/criu names it.

What the peer cannot do alone (dump and restore by itself) is not asked of it, and skipped with what it said.
"""
import os
import pathlib

import pytest
from harness import paths
from harness.victim import Failure, metadata, names

PEER = os.environ.get("CRIU_LAZY_PEER")
if not PEER:
    pytest.skip("CRIU_LAZY_PEER names no other criu to exchange images with",
                allow_module_level=True)
PEER = pathlib.Path(PEER)

# Victims that ask for what the images of others cannot hold, with what that is.
OURS_ALONE = {
    "task_attributes": "affinity, slack, I/O priority",
    "thread_attrs": "affinity, slack of each thread",
}


def able_names():
    return [name for name in names()
            if not metadata(name)["refused"] and name not in OURS_ALONE]


def cross(name, writer, reader, mode, victim, program):
    subject = victim(name)
    meta = subject.meta
    program.binary = writer
    program.dump(subject.pid, *meta["dump"].split())
    subject.reap_killed()
    program.binary = reader
    program.restore(mode, *meta["restore"].split())
    subject.finish()
    program.end_daemon()


# What the peer said when it failed by itself, by victim. Filled by the tests that come first.
peer_fails = {}


@pytest.mark.parametrize("name", able_names())
def test_peer_alone(name, victim, program):
    try:
        cross(name, PEER, PEER, "eager", victim, program)
    except Failure as problem:
        peer_fails[name] = str(problem)[-300:]
        pytest.skip(f"the peer cannot do it alone: {peer_fails[name]}")


def need_able_peer(name):
    if name in peer_fails:
        pytest.skip(f"the peer cannot do it alone: {peer_fails[name]}")


@pytest.mark.parametrize("mode", ["eager", "lazy", "daemon"])
@pytest.mark.parametrize("name", able_names())
def test_peer_to_us(name, mode, victim, program):
    need_able_peer(name)
    cross(name, PEER, paths.BINARY, mode, victim, program)


@pytest.mark.parametrize("mode", ["eager", "daemon"])
@pytest.mark.parametrize("name", able_names())
def test_us_to_peer(name, mode, victim, program):
    need_able_peer(name)
    cross(name, paths.BINARY, PEER, mode, victim, program)
