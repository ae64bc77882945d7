# SPDX-License-Identifier: GPL-2.0
"""Post-copy between two hosts: two network namespaces, each side in a pid namespace of its own."""
import os
import shutil
import subprocess
import time

import pytest

from harness import paths
from harness.victim import Failure, wait_for

PORT = "7777"
SOURCE_IP, TARGET_IP = "10.99.7.1", "10.99.7.2"

pytestmark = pytest.mark.skipif(not shutil.which("ip"), reason="no ip command")

# Pids of the source start where the other side has none of its own.
SOURCE = """
echo 3000 > /proc/sys/kernel/ns_last_pid
setsid "$BIN/$VICTIM" "$DIR/v" </dev/null >/dev/null 2>&1 3>&- &
pid=$!
n=0; while [ ! -e "$DIR/v.ready" ] && [ $n -lt 1000 ]; do sleep 0.01; n=$((n+1)); done
"$CL" dump -t $pid -D "$DIR/images" --lazy-pages --address {source} --port {port} -v4 \
    -o dump.log --status-fd 3 {options} 3>"$DIR/status" &
echo $! > "$DIR/dump.pid"
wait $!; echo $? > "$DIR/dump.rc"
"""

TARGET = """
cd "$DIR"
"$CL" lazy-pages --page-server --address {source} --port {port} -D images -v4 -o lazy.log \
    {options} &
daemon=$!
n=0; while [ ! -e images/lazy-pages.socket ] && [ $n -lt 500 ]; do sleep 0.01; n=$((n+1)); done
"$CL" restore -D images --lazy-pages -v4 -o restore.log -d; echo $? > restore.rc
{go}
wait $daemon; echo $? > lazy.rc
n=0; while [ ! -e v.result ] && [ $n -lt {patience} ]; do sleep 0.01; n=$((n+1)); done
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True, timeout=10)


class Hosts:
    def __init__(self, directory):
        self.directory = directory
        (directory / "images").mkdir()
        tag = f"cl{os.getpid()}"
        self.source, self.target = f"{tag}s", f"{tag}t"
        self.running = []

    def up(self):
        for name in (self.source, self.target):
            ip("netns", "add", name)
        ip("link", "add", "v0", "netns", self.source, "type", "veth", "peer", "name", "v1",
           "netns", self.target)
        for name, device, address in ((self.source, "v0", SOURCE_IP),
                                      (self.target, "v1", TARGET_IP)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", device, "up")

    def down(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        for name in (self.source, self.target):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def start(self, host, script, victim, **words):
        script = script.format(source=SOURCE_IP, port=PORT, **words)
        environment = dict(os.environ, DIR=str(self.directory), CL=str(paths.BINARY),
                           BIN=str(paths.VICTIM_BINARIES), VICTIM=victim)
        process = subprocess.Popen(
            ["ip", "netns", "exec", host, "unshare", "-pf", "--kill-child", "--mount-proc",
             "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment)
        self.running.append(process)
        return process

    def begin(self, victim, source="", target="", patience=1500, go="touch v.go"):
        self.start(self.source, SOURCE, victim, options=source)
        wait_for(lambda: (self.path("status").exists() and self.path("status").stat().st_size)
                 or self.path("dump.rc").exists(), 20, "answer of the dump")
        assert not self.path("dump.rc").exists(), self.tail("images/dump.log")
        return self.start(self.target, TARGET, victim, options=target, patience=patience,
                          go=go)

    def path(self, name):
        return self.directory / name

    def read(self, name):
        return self.path(name).read_text().strip() if self.path(name).exists() else None

    def tail(self, name):
        return "\n".join((self.read(name) or "").splitlines()[-12:])

    def check_moved(self, seconds=30):
        wait_for(lambda: self.path("v.result").exists() and self.path("dump.rc").exists()
                 and self.path("lazy.rc").exists(), seconds, "end of the migration")
        found = [self.read(name) for name in ("restore.rc", "v.result", "lazy.rc", "dump.rc")]
        if found != ["0", "ok", "0", "0"]:
            raise Failure(f"{found}\n" + self.tail("images/lazy.log")
                          + self.tail("images/dump.log") + self.tail("images/restore.log"))


@pytest.fixture
def hosts(tmp_path, nothing_left):
    made = Hosts(tmp_path)
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.mark.parametrize("name", ["mem_private", "mem_events", "mem_shared", "mem_guard",
                                  "mem_stack", "thread_many"])
def test_moves(hosts, name):
    hosts.begin(name)
    hosts.check_moved()


def test_link_is_cut(hosts):
    """Slow enough that the cut comes in the middle; every byte is checked by the victim."""
    hosts.begin("mem_private", source="--max-bandwidth 2M --compress none", go="")
    wait_for(lambda: hosts.path("restore.rc").exists(), 20, "restore")
    time.sleep(0.5)
    ip("-n", hosts.target, "link", "set", "v1", "down")
    hosts.path("v.go").touch()
    time.sleep(5)
    ip("-n", hosts.target, "link", "set", "v1", "up")
    hosts.check_moved(60)
    assert "connecting again" in hosts.read("images/lazy.log")


def test_source_is_killed(hosts):
    """No zeros, no hang: who needs a page that is lost ends, and the daemon says why."""
    hosts.begin("mem_private", source="--max-bandwidth 100K --compress none",
                target="--source-timeout 1", patience=100)
    wait_for(lambda: hosts.path("restore.rc").exists(), 20, "restore")
    hosts.running[0].kill()
    wait_for(lambda: hosts.path("lazy.rc").exists(), 20, "end of the daemon")
    assert hosts.read("lazy.rc") != "0"
    assert "gone for good" in hosts.read("images/lazy.log")
    assert hosts.read("v.result") in (None, "ok")


def openssl(directory, *words):
    subprocess.run(["openssl", *words], cwd=directory, check=True, timeout=30,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def new_authority(directory, name):
    openssl(directory, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")


def new_certificate(directory, authority, name):
    """The options that name a certificate of that authority for both addresses."""
    openssl(directory, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
            f"{name}.key", "-out", f"{name}.csr")
    (directory / f"{name}.ext").write_text(f"subjectAltName=IP:{SOURCE_IP},IP:{TARGET_IP}\n")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey",
            f"{authority}.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext",
            "-out", f"{name}.pem")
    return f"--tls-cert {directory}/{name}.pem --tls-key {directory}/{name}.key"


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl command")


@needs_openssl
def test_moves_over_tls(hosts, tmp_path):
    new_authority(tmp_path, "ca")
    ca = f"--tls --tls-cacert {tmp_path}/ca.pem "
    hosts.begin("mem_private", source=ca + new_certificate(tmp_path, "ca", "source"),
                target=ca + new_certificate(tmp_path, "ca", "target"))
    hosts.check_moved()


@needs_openssl
def test_stranger_gets_no_page(hosts, tmp_path):
    """A certificate that another authority signed is refused, by both sides."""
    new_authority(tmp_path, "ca")
    new_authority(tmp_path, "other")
    hosts.begin("mem_private", source=f"--tls --tls-cacert {tmp_path}/ca.pem "
                + new_certificate(tmp_path, "ca", "source"),
                target=f"--tls --tls-cacert {tmp_path}/other.pem --source-timeout 1 "
                + new_certificate(tmp_path, "other", "target"), patience=100)
    wait_for(lambda: hosts.path("lazy.rc").exists(), 30, "end of the daemon")
    assert hosts.read("lazy.rc") != "0"
    assert "certificate is refused" in hosts.read("images/lazy.log")


def test_tls_without_its_library(tmp_path):
    (tmp_path / "libgnutls.so.30").touch()
    ran = subprocess.run([paths.BINARY, "page-server", "--tls", "--port", PORT, "-D", tmp_path],
                         env=dict(os.environ, LD_LIBRARY_PATH=str(tmp_path)), timeout=20,
                         capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "TLS needs GnuTLS, install it (libgnutls.so.30)" in ran.stderr
