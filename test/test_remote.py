# SPDX-License-Identifier: GPL-2.0
"""Post-copy between two hosts: two network namespaces, each side in a pid namespace of its own."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import certificates, paths
from harness.hosts import connect, ip
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
"$CL" dump -t $pid -D "$DIR/images" --lazy-pages --address {listen} --port {port} -v4 \
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


class Hosts:
    def __init__(self, directory):
        self.directory = directory
        (directory / "images").mkdir()
        tag = f"cl{os.getpid()}"
        self.source, self.target = f"{tag}s", f"{tag}t"
        self.running = []

    def up(self):
        connect(self.source, self.target, SOURCE_IP, TARGET_IP)

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

    def begin(self, victim, source="", target="", patience=1500, go="touch v.go",
              listen=SOURCE_IP):
        self.start(self.source, SOURCE, victim, options=source, listen=listen)
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
        ends = "restore.rc", "v.result", "lazy.rc", "dump.rc"
        wait_for(lambda: all(self.read(name) for name in ends), seconds, "end of the migration")
        found = [self.read(name) for name in ends]
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


def descendants(pid):
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as children:
            for child in children.read().split():
                yield int(child)
                yield from descendants(int(child))


def daemon_below(pid):
    """The serving one: the supervisor's child."""
    for each in descendants(pid):
        with open(f"/proc/{each}/stat") as stat:
            name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
        if name == "lazy-pages" and rest.split()[0] not in "ZX":
            with open(f"/proc/{rest.split()[1]}/comm") as parent:
                if parent.read().strip() == "lazy-supervisor":
                    return each
    return None


def test_daemon_is_killed(hosts):
    """Another one takes over what is owed, more than once, and is the same client to the source."""
    target = hosts.begin("mem_private", source="--max-bandwidth 2M --compress none", go="")
    wait_for(lambda: hosts.path("restore.rc").exists(), 20, "restore")
    for _ in range(3):
        time.sleep(0.4)
        os.kill(daemon_below(target.pid), signal.SIGKILL)
    hosts.path("v.go").touch()
    hosts.check_moved(60)
    assert hosts.read("images/lazy.log").count("has taken over") == 3


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


def tell(hosts, *words):
    """lazy-pages --recover, to the daemon of that directory."""
    return subprocess.run([paths.BINARY, "lazy-pages", "--recover", "-D", hosts.path("images"),
                           *words], capture_output=True, text=True, timeout=20, check=False)


def begin_slowly(hosts, rate="2M", **words):
    hosts.begin("mem_private", source=f"--max-bandwidth {rate} --compress none", go="", **words)
    wait_for(lambda: hosts.path("restore.rc").exists(), 20, "restore")


def readdress(hosts, old, new):
    ip("-n", hosts.source, "addr", "del", f"{old}/24", "dev", "v0")
    ip("-n", hosts.source, "addr", "add", f"{new}/24", "dev", "v0")


def test_source_has_a_new_address(hosts):
    begin_slowly(hosts, listen="0.0.0.0")
    time.sleep(0.3)
    readdress(hosts, SOURCE_IP, "10.99.7.3")
    hosts.path("v.go").touch()
    time.sleep(1)
    told = tell(hosts, "--address", "10.99.7.3", "--port", PORT)
    assert told.returncode == 0, told.stderr
    hosts.check_moved(60)
    assert hosts.read("images/lazy.log").count("connected, own protocol") >= 2


def test_second_loss_while_it_recovers(hosts):
    """A wrong address, a link that goes as the right one is told, and the address changed back."""
    begin_slowly(hosts, listen="0.0.0.0")
    time.sleep(0.3)
    readdress(hosts, SOURCE_IP, "10.99.7.3")
    assert tell(hosts, "--address", "10.99.7.9", "--port", PORT).returncode == 0
    time.sleep(0.5)
    assert tell(hosts, "--address", "10.99.7.3", "--port", PORT).returncode == 0
    time.sleep(0.1)
    ip("-n", hosts.target, "link", "set", "v1", "down")
    time.sleep(1)
    ip("-n", hosts.target, "link", "set", "v1", "up")
    readdress(hosts, "10.99.7.3", SOURCE_IP)
    hosts.path("v.go").touch()
    assert tell(hosts, "--address", SOURCE_IP, "--port", PORT).returncode == 0
    hosts.check_moved(60)


@pytest.mark.skipif(not shutil.which("ss"), reason="no ss command")
def test_connections_are_reset(hosts):
    """Both of them, or one: what is lost is told again on the next pair."""
    begin_slowly(hosts)
    for _ in range(8):
        time.sleep(0.2)
        found = subprocess.run(
            ["ip", "netns", "exec", hosts.target, "ss", "-K", "-H", "-t", "dst", SOURCE_IP],
            capture_output=True, text=True, timeout=10, check=True)
        if not found.stdout.strip() and not hosts.path("lazy.rc").exists():
            pytest.skip("this kernel does not end connections for ss -K")
    hosts.path("v.go").touch()
    hosts.check_moved(60)
    assert "connecting again" in hosts.read("images/lazy.log")


def test_tell_refuses(hosts):
    assert "needs --address and --port, or" in tell(hosts).stderr
    assert "no lazy-pages daemon is here" in tell(hosts, "--port", PORT).stderr


def percent(hosts):
    try:
        return json.loads(hosts.read("images/status.json"))["percent"]
    except (TypeError, ValueError):
        return 0


def test_rate_changes_while_it_runs(hosts):
    """mem_private has 12 MiB: 12 s at the first rate, and a fraction of one at the second."""
    begin_slowly(hosts, "1M", target="--status-file status.json")
    wait_for(lambda: percent(hosts) > 1, 20, "first pages")
    before, start = percent(hosts), time.monotonic()
    time.sleep(2)
    share = (percent(hosts) - before) / (time.monotonic() - start)
    assert 4 < share < 13, f"{share} % per second"
    assert tell(hosts, "--max-bandwidth", "100M").returncode == 0
    wait_for(lambda: percent(hosts) > 99.9, 4, "the rest")
    hosts.path("v.go").touch()
    hosts.check_moved()


def test_demand_does_not_wait_for_the_rate(hosts):
    """In bulk it would take two minutes; asked for, all of it comes at once."""
    begin_slowly(hosts, "100K", target="--status-file status.json")
    time.sleep(0.5)
    assert percent(hosts) < 10
    start = time.monotonic()
    hosts.path("v.go").touch()
    hosts.check_moved(20)
    assert time.monotonic() - start < 20
    figures = json.loads(hosts.read("images/lazy-pages-stats.json"))
    assert figures["fault_latency"]["p99_us"] < 200000


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


def new_certificate(directory, authority, name):
    return " ".join(certificates.new_certificate(directory, authority, name,
                                                 [SOURCE_IP, TARGET_IP]))


needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl command")


@needs_openssl
def test_moves_over_tls(hosts, tmp_path):
    certificates.new_authority(tmp_path, "ca")
    ca = f"--tls --tls-cacert {tmp_path}/ca.pem "
    hosts.begin("mem_private", source=ca + new_certificate(tmp_path, "ca", "source"),
                target=ca + new_certificate(tmp_path, "ca", "target"))
    hosts.check_moved()


@needs_openssl
def test_stranger_gets_no_page(hosts, tmp_path):
    """A certificate that another authority signed is refused, by both sides."""
    certificates.new_authority(tmp_path, "ca")
    certificates.new_authority(tmp_path, "other")
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


def test_moves_over_a_given_connection(victim, program):
    """--ps-socket at both ends: one connection, so CRIU's protocol; here, so with the same pids."""
    subject, images = victim("mem_private"), program.images
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs = listening.accept()[0]

    def start(command, *words, fds):
        return subprocess.Popen([paths.BINARY, command, "-D", images, "-v4", *words],
                                stdin=subprocess.DEVNULL, pass_fds=fds)
    ready, status = os.pipe()
    with ours, theirs:
        dump = start("dump", "-t", str(subject.pid), "-o", "dump.log", "--lazy-pages",
                     "--ps-socket", str(theirs.fileno()), "--status-fd", str(status),
                     fds=[theirs.fileno(), status])
        os.close(status)
        assert os.read(ready, 1)
        os.close(ready)
        daemon = start("lazy-pages", "-o", "lazy.log", "--page-server", "--ps-socket",
                       str(ours.fileno()), fds=[ours.fileno()])
    wait_for((images / "lazy-pages.socket").exists, 20, "lazy-pages.socket")
    wait_for(lambda: subject.process.poll() is not None, 20, "end of the tree here")
    program.restore("eager", "--lazy-pages")
    subject.finish()
    assert [daemon.wait(30), dump.wait(30)] == [0, 0]
    assert "CRIU's protocol" in (images / "lazy.log").read_text()
