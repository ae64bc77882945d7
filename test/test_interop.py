# SPDX-License-Identifier: GPL-2.0
"""Images cross between us and another criu: CRIU_LAZY_PEER=/path/to/criu names it.

What the peer cannot do alone (dump and restore by itself) is not asked of it, and skipped with what it said.
"""
import os
import pathlib
import shutil
import socket
import subprocess

import pytest
from harness import certificates, paths, proc
from harness.victim import Failure, metadata, names, wait_for

PEER = os.environ.get("CRIU_LAZY_PEER")
if not PEER:
    pytest.skip("CRIU_LAZY_PEER names no other criu to exchange images with",
                allow_module_level=True)
PEER = pathlib.Path(PEER)

# Victims that ask for what the images of others cannot hold, with what that is.
OURS_ALONE = {
    "mem_shared_part": "pages beyond all mappings of a segment",
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


# ---- memory that follows, to a pid namespace of its own -------------------------------------------

PIPE_MAX = pathlib.Path("/proc/sys/fs/pipe-max-size")


@pytest.fixture
def big_pipes():
    """The peer keeps pages in pipes, which must be larger than the default allows."""
    before = PIPE_MAX.read_text()
    try:
        PIPE_MAX.write_text(str(64 << 20))
    except OSError as error:
        pytest.skip(f"the peer's page server needs a larger fs.pipe-max-size: {error}")
    yield
    PIPE_MAX.write_text(before)


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])


class Destination:
    """A pid namespace, so that the pids are free there."""

    def __enter__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "1000"],
            stdin=subprocess.DEVNULL)
        init = wait_for(lambda: proc.children(self.holder.pid), 10, "pid namespace")[0]
        wait_for(lambda: proc.read(f"/proc/{init}/comm").strip() == "sleep", 10, "its init")
        self.words = ["nsenter", f"--pid=/proc/{init}/ns/pid", f"--mount=/proc/{init}/ns/mnt"]
        return self

    def __exit__(self, *unused):
        self.holder.kill()
        self.holder.wait()


def start(said, *words, **kwargs):
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, **kwargs)


def dump_and_serve(source, subject, images, server, said):
    ready, status = os.pipe()
    dump = start(said, source, "dump", "-t", str(subject.pid), "-D", images, "-v4", "-o",
                 "dump.log", "--lazy-pages", "--status-fd", str(status), *server,
                 pass_fds=[status])
    os.close(status)
    said = os.read(ready, 1)
    os.close(ready)
    if not said:
        raise Failure(f"dump ended with {dump.wait()}")
    return dump


def move(source, target, subject, program, words=()):
    """Dump with --lazy-pages by one, daemon and restore by the other."""
    images, daemon, dump = program.images, None, None
    server = ["--address", "127.0.0.1", "--port", free_port(), *words]
    with open(program.directory / "said", "wb") as said, Destination() as there:
        try:
            dump = dump_and_serve(source, subject, images, server, said)
            daemon = start(said, *there.words, target, "lazy-pages", "--page-server", "-D", images,
                           "-v4", "-o", "lazy-pages.log", *server)
            wait_for(lambda: (images / "lazy-pages.socket").exists() or daemon.poll() is not None,
                     20, "lazy-pages.socket")
            restore = start(said, *there.words, target, "restore", "-D", images, "-v4", "-o",
                            "restore.log", "-d", "--lazy-pages")
            if restore.wait(30):
                raise Failure("the restore failed")
            subject.path("go").touch()
            assert wait_for(subject.result, 30, "result") == "ok"
            assert [daemon.wait(30), dump.wait(30)] == [0, 0]
            subject.reap_killed()
        finally:
            for process in (daemon, dump):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()


def pair(which):
    return {"us to peer": (paths.BINARY, PEER), "peer to us": (PEER, paths.BINARY)}[which]


@pytest.mark.parametrize("which", ["us to peer", "peer to us"])
@pytest.mark.parametrize("name", ["mem_private", "mem_guard", "thread_many"])
def test_memory_follows(name, which, victim, program, big_pipes):
    need_able_peer(name)
    move(*pair(which), victim(name), program)


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl command")
@pytest.mark.parametrize("which", ["us to peer", "peer to us"])
def test_memory_follows_over_tls(which, victim, program, big_pipes, tmp_path):
    certificates.new_authority(tmp_path, "ca")
    words = ["--tls", "--tls-no-cn-verify", "--tls-cacert", str(tmp_path / "ca.pem"),
             *certificates.new_certificate(tmp_path, "ca", "one", ["127.0.0.1"])]
    move(*pair(which), victim("mem_private"), program, words)
