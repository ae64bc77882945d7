# SPDX-License-Identifier: GPL-2.0
"""migrate: both ends by one command, between network namespaces; and what is left after each failure."""
import ctypes
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from harness import certificates, paths, proc
from harness.hosts import connect
from harness.victim import wait_for

SOURCE_IP, TARGET_IP = "10.99.8.1", "10.99.8.2"
CLONE_NEWNET = 0x40000000

pytestmark = pytest.mark.skipif(not shutil.which("ip"), reason="no ip command")


def enter_network(path):
    """This thread, and what it starts."""
    with open(path, "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), path)


class Ends:
    """Two network namespaces; the destination has a pid namespace of its own, too."""

    def __init__(self, directory):
        tag = f"clm{os.getpid()}"
        self.source, self.target = f"{tag}s", f"{tag}t"
        self.directory = directory
        self.holder = None
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)

    def up(self):
        connect(self.source, self.target, SOURCE_IP, TARGET_IP)
        # Victims and commands are the source's.
        enter_network(f"/run/netns/{self.source}")
        self.holder = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "1000"],
            stdin=subprocess.DEVNULL)
        self.init = wait_for(lambda: proc.children(self.holder.pid), 10, "pid namespace")[0]
        wait_for(lambda: proc.read(f"/proc/{self.init}/comm").strip() == "sleep", 10, "its init")

    def down(self):
        if self.holder:
            self.holder.kill()
            self.holder.wait()
        enter_network(f"/proc/self/fd/{self.home}")
        os.close(self.home)
        for name in (self.source, self.target):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def rsh(self):
        """Words that run a command on the destination, where all pids are free."""
        return (f"nsenter --net=/run/netns/{self.target} --pid=/proc/{self.init}/ns/pid "
                f"--mount=/proc/{self.init}/ns/mnt")

    def processes_there(self):
        """Pids as the destination sees them, without its init, and zombies, which that never reaps."""
        namespace, found = proc.link(f"/proc/{self.init}/ns/pid"), []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or proc.link(f"/proc/{entry}/ns/pid") != namespace:
                continue
            status = proc.read(f"/proc/{entry}/status")
            if "State:\tZ" not in status and (pids := re.search(r"NSpid:\s(.*)", status)):
                found.append(int(pids[1].split()[-1]))
        return [pid for pid in found if pid != 1]

    def start(self, pid, *options, rsh=None, **kwargs):
        return subprocess.Popen(
            [paths.BINARY, "migrate", "-t", str(pid), "--rsh", rsh or self.rsh(), "--remote-criu",
             paths.BINARY, "--address", SOURCE_IP, *options], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.directory, **kwargs)

    def migrate(self, subject, *options, **kwargs):
        """(exit status, summary, errors). The victim's zombie is waited for meanwhile."""
        running = self.start(subject.pid, *options, **kwargs)
        end = time.monotonic() + 60
        while running.poll() is None and time.monotonic() < end:
            subject.process.poll()
            time.sleep(0.005)
        if running.poll() is None:
            running.kill()
        out, errors = running.communicate()
        return running.returncode, out, errors


def left_in_tmp():
    return set(pathlib.Path("/var/tmp").glob("criu-lazy-migrate-*"))


@pytest.fixture
def ends(tmp_path, nothing_left):
    before = left_in_tmp()
    made = Ends(tmp_path)
    try:
        made.up()
        yield made
        assert not left_in_tmp() - before
    finally:
        made.down()


def end_there(subject):
    """The verdict of a victim that runs where we cannot wait for it."""
    subject.path("go").touch()
    assert wait_for(subject.result, 30, "result of the victim") == "ok"


def check_runs_here(subject, errors):
    assert "the tree runs on here" in errors
    assert subject.process.poll() is None
    subject.finish()


@pytest.mark.parametrize("name", ["mem_private", "mem_shared", "thread_many"])
def test_moves(ends, victim, name):
    subject = victim(name)
    status, out, errors = ends.migrate(subject, "-v3")
    assert status == 0, errors
    subject.reap_killed()
    figures = re.search(r"downtime ([0-9.]+) ms.* all ([0-9.]+) MiB there", out)
    assert figures and float(figures[1]) < 5000, out
    assert ends.processes_there()
    end_there(subject)


def test_moves_with_its_pids(ends, victim):
    """Both ends share the pid namespace: keepers have the memory while the tree starts anew."""
    subject = victim("mem_private")
    status, _, errors = ends.migrate(subject, rsh=f"ip netns exec {ends.target}")
    assert status == 0, errors
    subject.finish()


def test_host_is_a_word_for_the_remote_command(ends, victim, tmp_path):
    """As ssh does it: the words behind the host are one text for a shell there."""
    script = tmp_path / "my ssh"
    script.write_text(f'#!/bin/sh\n[ "$1" = "the host" ] || exit 9\nshift\n'
                      f'exec {ends.rsh()} sh -c "$*"\n')
    script.chmod(0o755)
    subject = victim("mem_private")
    status, out, errors = ends.migrate(subject, "--to", "the host", rsh=shlex.quote(str(script)))
    assert status == 0, errors
    assert "moved to the host" in out
    subject.reap_killed()
    end_there(subject)


def test_options_and_directories(ends, victim, tmp_path):
    here, there = tmp_path / "here it is", tmp_path / "there it's"
    here.mkdir()
    subject = victim("mem_private")
    status, _, errors = ends.migrate(
        subject, "-D", str(here), "--remote-dir", str(there), "--compress", "lz4",
        "--max-bandwidth", "40M", "--remote-option", "--verbosity=4")
    assert status == 0, errors
    assert (here / "inventory.img").exists() and (there / "inventory.img").exists()
    assert (there / "lazy-pages-stats.json").exists()
    subject.reap_killed()
    end_there(subject)


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl command")
def test_moves_over_tls(ends, victim, tmp_path):
    """Each end with a certificate of its own; one that another authority signed moves nothing."""
    for name in ("ca", "other"):
        certificates.new_authority(tmp_path, name)
    here = certificates.new_certificate(tmp_path, "ca", "here", [SOURCE_IP])
    certificates.new_certificate(tmp_path, "ca", "there", [TARGET_IP])
    certificates.new_certificate(tmp_path, "other", "stranger", [TARGET_IP])
    subject = victim("mem_private")
    for name, expected in (("stranger", 1), ("there", 0)):
        status, _, errors = ends.migrate(
            subject, "--tls", "--tls-cacert", str(tmp_path / "ca.pem"), *here,
            "--remote-option", f"tls-cert={tmp_path}/{name}.pem",
            "--remote-option", f"tls-key={tmp_path}/{name}.key")
        assert status == expected, errors
    subject.reap_killed()
    end_there(subject)


@pytest.mark.parametrize("rsh", ["false", "no-such-command", "echo hello", "exec 3<&-; exit 7;"])
def test_no_remote_command(ends, victim, rsh):
    subject = victim("mem_private")
    status, _, errors = ends.migrate(subject, rsh=rsh)
    assert status == 1 and "--remote-criu" in errors
    subject.finish()


def test_directory_there_is_in_use(ends, victim, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    (there / "precious.img").write_text("mine")
    subject = victim("mem_private")
    status, _, errors = ends.migrate(subject, "--remote-dir", str(there))
    assert status == 1 and "is not empty" in errors
    check_runs_here(subject, errors)
    assert [path.name for path in there.iterdir()] == ["precious.img"]


def test_pid_is_in_use_there(ends, victim):
    subject = victim("mem_private")
    other = subprocess.Popen(
        [*shlex.split(ends.rsh()), "sh", "-c",
         f"echo {subject.pid - 1} > /proc/sys/kernel/ns_last_pid; sleep 1000 & wait"],
        stdin=subprocess.DEVNULL)
    wait_for(lambda: subject.pid in ends.processes_there(), 10, "the other process")
    before = len(ends.processes_there())
    status, _, errors = ends.migrate(subject)
    assert status == 1 and "is in use" in errors
    check_runs_here(subject, errors)
    assert len(ends.processes_there()) == before
    ends.holder.kill()
    other.wait()


def hidden(ends, directory):
    """A remote command for a destination that lacks the victim's program."""
    return (f"unshare --mount sh -c 'mount --bind {directory} {paths.VICTIM_BINARIES} && "
            f"exec \"$@\"' sh {ends}")


def test_restore_fails_there(ends, victim, tmp_path):
    (tmp_path / "empty").mkdir()
    subject = victim("mem_private")
    status, _, errors = ends.migrate(
        subject, rsh=hidden(ends.rsh().partition(" --mount")[0], tmp_path / "empty"))
    assert status == 1 and "mem_private" in errors, errors
    check_runs_here(subject, errors)
    assert not ends.processes_there()


def test_restore_fails_there_and_pids_are_shared(ends, victim, tmp_path):
    """The tree had ended to make room, so it is restored at the source."""
    (tmp_path / "empty").mkdir()
    subject = victim("mem_private")
    status, _, errors = ends.migrate(
        subject, rsh=hidden(f"ip netns exec {ends.target}", tmp_path / "empty"))
    assert status == 1 and "runs on here, restored" in errors, errors
    subject.finish()


def test_stopped_while_it_waits(ends, victim):
    subject = victim("mem_private")
    running = ends.start(subject.pid, rsh="sleep 1000; :")
    time.sleep(0.3)
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 1 and "stopped by a signal" in errors
    subject.finish()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ended_before_the_tree_runs_there(ends, victim, tmp_path, number):
    """The destination stands still while it makes the tree; then the source is ended."""
    script = tmp_path / "slow"
    script.write_text("#!/bin/sh\n[ \"$CRTOOLS_SCRIPT_ACTION\" = pre-resume ] || exit 0\n"
                      f"touch {tmp_path}/made; sleep 3\n")
    script.chmod(0o755)
    subject, before = victim("mem_private"), left_in_tmp()
    running = ends.start(subject.pid, "--remote-option", f"action-script={script}")
    wait_for((tmp_path / "made").exists, 20, "tree at the destination")
    running.send_signal(number)
    running.communicate(timeout=60)
    wait_for(lambda: proc.read(f"/proc/{subject.pid}/stat").split()[2] in "SR", 20, "the tree here")
    subject.finish()
    wait_for(lambda: not ends.processes_there(), 20, "end of all there")
    if number == signal.SIGKILL:
        # Nobody is left to remove the images here.
        for path in left_in_tmp() - before:
            if "pages-1.img" in os.listdir(path):
                shutil.rmtree(path)
    wait_for(lambda: not left_in_tmp() - before, 10, "removed directories")


def receiver(running):
    """Host's pid of migrate-receive, the first below the remote command."""
    nsenter = [pid for pid in proc.children(running.pid)
               if proc.read(f"/proc/{pid}/comm").strip() == "nsenter"]
    return proc.children(nsenter[0])[0]


def test_other_end_is_killed(ends, victim, tmp_path):
    """Before GO: what it had started goes, too, when it finds no source any more."""
    script = tmp_path / "slow"
    script.write_text("#!/bin/sh\n[ \"$CRTOOLS_SCRIPT_ACTION\" = pre-resume ] || exit 0\n"
                      f"touch {tmp_path}/made; sleep 2\n")
    script.chmod(0o755)
    subject, there = victim("mem_private"), tmp_path / "there"
    running = ends.start(subject.pid, "--remote-dir", str(there), "--source-timeout", "1",
                         "--remote-option", f"action-script={script}")
    wait_for((tmp_path / "made").exists, 20, "tree at the destination")
    os.kill(receiver(running), signal.SIGKILL)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    check_runs_here(subject, errors)
    wait_for(lambda: not ends.processes_there(), 20, "end of all there")


STRANGER = """
import socket, struct, sys
with socket.create_connection((sys.argv[1], 7799), 5) as link:
    link.settimeout(15)
    link.sendall(struct.pack("<IIQQQ", 7, 0, 1, int(sys.argv[3], 16), int(sys.argv[2])))
    try:
        print(len(link.recv(100)))
    except ConnectionError:
        print(0)
"""


def test_stranger_gets_no_page(ends, victim, tmp_path):
    """CRIU's protocol has no token, so it is not spoken with other hosts."""
    script = tmp_path / "slow"
    script.write_text("#!/bin/sh\n[ \"$CRTOOLS_SCRIPT_ACTION\" = pre-resume ] || exit 0\n"
                      f"touch {tmp_path}/made; sleep 2\n")
    script.chmod(0o755)
    subject = victim("mem_private")
    stack = re.search(r"([0-9a-f]+) rw-p .*\[stack\]", proc.read(f"/proc/{subject.pid}/maps"))[1]
    running = ends.start(subject.pid, "--port", "7799", "--remote-option",
                         f"action-script={script}")
    wait_for((tmp_path / "made").exists, 20, "tree at the destination")
    got = subprocess.run(
        ["nsenter", f"--net=/run/netns/{ends.target}", sys.executable, "-c", STRANGER, SOURCE_IP,
         str(subject.pid), f"{int(stack, 16) - 4096:x}"], capture_output=True, text=True,
        timeout=30, check=True)
    assert got.stdout == "0\n"
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    subject.reap_killed()
    end_there(subject)


@pytest.mark.parametrize("args, text", [
    (["-t", "1"], "--to HOST"),
    (["--to", "h"], "-t PID"),
    (["-t", "1", "--to", "-oProxyCommand=x"], "is no host"),
    (["-t", "1", "--to", "h", "--remote-criu", "a;b"], "--remote-criu"),
    (["-t", "1", "--to", "h", "--remote-criu", ""], "--remote-criu"),
    (["-t", "1", "--to", "h", "--remote-dir", "here"], "absolute"),
    (["-t", "1", "--to", "h", "-R"], "-s and -R"),
])
def test_refusals(args, text):
    done = subprocess.run([paths.BINARY, "migrate", *args], capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 1 and text in done.stderr


@pytest.mark.timeout_s(120)
def test_disturbed_moves():
    """A few of test/torture/migrate.py, which says what must hold."""
    done = subprocess.run(
        [sys.executable, paths.ROOT / "test" / "torture" / "migrate.py", "--cuts", "2",
         "--cut-seconds", "2", "--kills", "4", "--lanes", "3"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
