# SPDX-License-Identifier: GPL-2.0
"""The RPC, as libcriu, go-criu and runc speak it: swrk on a socket pair, and the service."""
import os
import socket
import subprocess
import time

import pytest
from harness import paths
from harness.victim import wait_for

try:
    from pycriu import rpc_pb2 as rpc
except ImportError:
    rpc = pytest.importorskip("pycriu.rpc", reason="criu's Python package is not installed")


class Client:
    """swrk in a child; call() answers notifications by `notify(stage, pid)`."""

    def __init__(self, notify=None):
        self.notify = notify
        self.stages = []
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen([paths.BINARY, "swrk", str(theirs.fileno())],
                                        pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()

    def receive(self):
        answer = rpc.criu_resp()
        answer.ParseFromString(self.socket.recv(65536))
        return answer

    def call(self, request):
        self.socket.send(request.SerializeToString())
        while True:
            answer = self.receive()
            if answer.type != rpc.NOTIFY or request.type == rpc.NOTIFY:
                return answer
            self.stages.append(answer.notify.script)
            good = not self.notify or self.notify(answer.notify.script, answer.notify.pid)
            reply = rpc.criu_req(type=rpc.NOTIFY, notify_success=good)
            self.socket.send(reply.SerializeToString())

    def close(self):
        self.socket.close()
        return self.process.wait(timeout=10)


@pytest.fixture
def client():
    made = []

    def make(notify=None):
        made.append(Client(notify))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def images(tmp_path):
    (tmp_path / "images").mkdir()
    fd = os.open(tmp_path / "images", os.O_DIRECTORY)
    yield fd
    os.close(fd)


def request(kind, images=None, **options):
    made = rpc.criu_req(type=kind)
    if images is not None:
        made.opts.images_dir_fd = images
        made.opts.log_level = 4
        for name, value in options.items():
            setattr(made.opts, name, value)
    return made


def test_version(client):
    answer = client().call(request(rpc.VERSION))
    assert answer.success
    assert (answer.version.major_number, answer.version.minor_number) == (4, 2)


def test_check_and_features(client):
    one = client()
    ask = request(rpc.CHECK)
    ask.keep_open = True
    assert one.call(ask).success
    ask = request(rpc.FEATURE_CHECK)
    ask.features.lazy_pages = True
    ask.features.mem_track = True
    answer = one.call(ask)
    assert answer.success and answer.features.lazy_pages and not answer.features.mem_track
    assert one.close() == 0


def test_each_error_is_its_own(client):
    """What the second request is told must not be what the first one failed of."""
    one = client()
    ask = rpc.criu_req()
    ask.type = rpc.FEATURE_CHECK
    ask.keep_open = True
    first = one.call(ask)
    ask = rpc.criu_req()
    ask.type = rpc.DUMP
    second = one.call(ask)
    assert not first.success and "which features" in first.cr_errmsg
    assert not second.success and "without options" in second.cr_errmsg
    assert one.close() in (0, 1)


def test_requests_of_one_connection_leave_nothing_open(client, images):
    """Each opens its own log and directories."""
    one = client()
    counts = []
    for _ in range(4):
        ask = request(rpc.DUMP, images, pid=2, log_file="dump.log")  # kthreadd: refused
        ask.keep_open = True
        assert not one.call(ask).success
        ask = request(rpc.VERSION)  # served when all of the one before is over
        ask.keep_open = True
        assert one.call(ask).success
        counts.append(len(os.listdir(f"/proc/{one.process.pid}/fd")))
    assert counts[1:] == counts[:1] * 3


@pytest.mark.parametrize("lazy", [False, True])
def test_dump_and_restore(lazy, client, images, victim):
    subject = victim("thread_tls")
    one = client()
    answer = one.call(request(rpc.DUMP, images, pid=subject.pid, log_file="dump.log",
                              notify_scripts=True))
    assert answer.success, answer.cr_errmsg
    assert one.stages == ["pre-dump", "post-dump"]
    subject.reap_killed()
    one = client()
    answer = one.call(request(rpc.RESTORE, images, log_file="restore.log", notify_scripts=True,
                              lazy_pages=lazy))
    assert answer.success, answer.cr_errmsg
    assert answer.restore.pid == subject.pid
    assert one.stages == ["pre-restore", "setup-namespaces", "post-setup-namespaces",
                          "post-restore", "pre-resume", "post-resume"]
    assert one.close() == 0
    subject.finish()


def test_restored_root_is_the_clients_child(client, images, victim):
    subject = victim("mem_stack")
    assert client().call(request(rpc.DUMP, images, pid=subject.pid)).success
    subject.reap_killed()
    answer = client().call(request(rpc.RESTORE, images, rst_sibling=True))
    assert answer.success, answer.cr_errmsg
    with open(f"/proc/{subject.pid}/stat") as file:
        assert int(file.read().rpartition(")")[2].split()[1]) == os.getpid()
    subject.finish()


def test_a_client_that_says_no_stops_the_dump(client, images, victim):
    subject = victim("mem_stack")
    answer = client(lambda stage, pid: stage != "post-dump").call(
        request(rpc.DUMP, images, pid=subject.pid, notify_scripts=True))
    assert not answer.success and "post-dump" in answer.cr_errmsg
    subject.finish()


def test_a_client_that_says_no_stops_the_restore(client, images, victim):
    subject = victim("mem_stack")
    assert client().call(request(rpc.DUMP, images, pid=subject.pid)).success
    subject.reap_killed()
    answer = client(lambda stage, pid: stage != "post-restore").call(
        request(rpc.RESTORE, images, notify_scripts=True))
    assert not answer.success and "post-restore" in answer.cr_errmsg
    assert not os.path.exists(f"/proc/{subject.pid}")
    assert client().call(request(rpc.RESTORE, images)).success
    subject.finish()


@pytest.mark.parametrize("kind, options, text", [
    (rpc.PRE_DUMP, {}, "not supported"),
    (rpc.PAGE_SERVER, {}, "not supported"),
    (rpc.DUMP, {"tcp_established": True, "pid": 1}, "--tcp-established is not supported"),
    (rpc.DUMP, {"pid": 1, "root": "/x"}, "--root is not supported"),
    (rpc.DUMP, {}, "not supported"),
    (rpc.RESTORE, {}, "inventory"),
    (rpc.DUMP, {"pid": -5}, "bad value"),
])
def test_refusals(kind, options, text, client, images):
    answer = client().call(request(kind, images, **options))
    assert not answer.success
    assert text in answer.cr_errmsg
    assert answer.cr_errno > 0


def test_config_file_wins(client, images, tmp_path, victim):
    (tmp_path / "client.conf").write_text("log-file from-config.log\nleave-running\n")
    subject = victim("mem_stack")
    answer = client().call(request(rpc.DUMP, images, pid=subject.pid, log_file="dump.log",
                                   config_file=str(tmp_path / "client.conf")))
    assert answer.success, answer.cr_errmsg
    assert (tmp_path / "images" / "from-config.log").exists()
    assert not (tmp_path / "images" / "dump.log").exists()
    subject.finish()


def test_garbage_ends_the_connection(client):
    one = client()
    one.socket.send(b"\xff" * 100)
    assert one.close() == 1


def test_service(images, tmp_path, victim):
    subject = victim("mem_stack")
    path = tmp_path / "service.socket"
    process = subprocess.Popen([paths.BINARY, "service", "--address", path],
                               stdin=subprocess.DEVNULL)
    try:
        wait_for(path.exists, 5, "socket")
        for _ in range(50):
            one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                one.connect(str(path))
                break
            except ConnectionRefusedError:
                one.close()
                time.sleep(0.01)
        one.send(request(rpc.DUMP, images, pid=subject.pid).SerializeToString())
        answer = rpc.criu_resp()
        answer.ParseFromString(one.recv(65536))
        one.close()
        assert answer.success, answer.cr_errmsg
        subject.reap_killed()
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
    assert not path.exists()
