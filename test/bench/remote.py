# SPDX-License-Identifier: GPL-2.0
"""Post-copy between two hosts: two network namespaces joined by a veth pair.

The source dumps with --lazy-pages and serves; the destination's lazy-pages daemon pulls. The
destination has a pid namespace too, so that the same pids are free there while the source still
holds them. Nothing leaves the machine. Names live in the run's own mount namespace and are removed
at the end; what runs on the destination ends with its pid namespace.
"""

import contextlib
import os
import pathlib
import subprocess
import time

SOURCE, TARGET = "clbench-src", "clbench-dst"
SOURCE_ADDRESS, TARGET_ADDRESS = "10.213.7.1", "10.213.7.2"
PORT = 27013
PIPE_MAX = pathlib.Path("/proc/sys/fs/pipe-max-size")


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def on_source():
    """Words before a command that put it on the source, which differs in nothing but the network."""
    return ["nsenter", f"--net=/run/netns/{SOURCE}"]


class Target:
    """The destination: a pid namespace whose first process waits to be killed."""

    def __enter__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "infinity"],
            stdin=subprocess.DEVNULL,
        )
        children = pathlib.Path(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children")
        while not (words := children.read_text().split()):
            time.sleep(0.005)
        self.init = words[0]
        while pathlib.Path(f"/proc/{self.init}/comm").read_text().strip() != "sleep":
            time.sleep(0.005)
        return self

    def __exit__(self, *unused):
        self.holder.kill()
        self.holder.wait()

    def network(self):
        return ["nsenter", f"--net=/run/netns/{TARGET}"]

    def inside(self):
        return [*self.network(), f"--pid=/proc/{self.init}/ns/pid",
                f"--mount=/proc/{self.init}/ns/mnt"]  # fmt: skip


def shape(host, rate):
    """What leaves the host, leaves at this rate (tc's words)."""
    subprocess.run(["tc", "-n", host, "qdisc", "add", "dev", "veth0", "root", "tbf", "rate", rate,
                    "burst", "64kb", "latency", "50ms"], check=True)  # fmt: skip


@contextlib.contextmanager
def hosts(rate=None):
    ip("netns", "add", SOURCE)
    try:
        ip("netns", "add", TARGET)
        ip("link", "add", "veth0", "netns", SOURCE, "type", "veth", "peer", "name", "veth0",
           "netns", TARGET)  # fmt: skip
        for host, address in ((SOURCE, SOURCE_ADDRESS), (TARGET, TARGET_ADDRESS)):
            ip("-n", host, "addr", "add", f"{address}/24", "dev", "veth0")
            ip("-n", host, "link", "set", "veth0", "up")
            ip("-n", host, "link", "set", "lo", "up")
            if rate:
                shape(host, rate)
        with Target() as target:
            yield target
    finally:
        for host in (SOURCE, TARGET):
            subprocess.run(["ip", "netns", "del", host], check=False, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def big_pipes():
    """The peer keeps pages in pipes and cannot work remotely under the default limit."""
    before = PIPE_MAX.read_text()
    PIPE_MAX.write_text("67108864")
    try:
        yield
    finally:
        PIPE_MAX.write_text(before)


@contextlib.contextmanager
def serving_dump(tool, pid, images, extra=()):
    """dump --lazy-pages on the source; yields (process, seconds until it is ready)."""
    ready, status = os.pipe()
    start = time.monotonic()
    proc = subprocess.Popen(
        [*on_source(), tool.binary, "dump", "-t", str(pid), "-D", str(images), "-o", "dump.log",
         "--lazy-pages", "--address", SOURCE_ADDRESS, "--port", str(PORT),
         "--status-fd", str(status), *extra],
        pass_fds=[status], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(status)
    try:
        if os.read(ready, 1) == b"":
            raise RuntimeError(f"{tool.name}: dump --lazy-pages: {tool.errors_logged(['-D', images])}")
        yield proc, time.monotonic() - start
        if proc.wait(60):
            raise RuntimeError(f"{tool.name}: dump --lazy-pages ended with {proc.returncode}")
    finally:
        os.close(ready)
        if proc.poll() is None:
            proc.kill()
            proc.wait()


def openssl(where, *words):
    subprocess.run(["openssl", *words], cwd=where, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip


def certificates(where):
    """An authority and a certificate for each side; words for the source and for the destination."""
    openssl(where, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench",
            "-keyout", "ca.key", "-out", "ca.pem")  # fmt: skip
    sides = []
    for name in (SOURCE_ADDRESS, TARGET_ADDRESS):
        openssl(where, "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        openssl(where, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-out", f"{name}.pem")  # fmt: skip
        sides.append(["--tls", "--tls-no-cn-verify", "--tls-cacert", f"{where}/ca.pem",
                      "--tls-cert", f"{where}/{name}.pem", "--tls-key", f"{where}/{name}.key"])  # fmt: skip
    return sides


def daemon_words(extra=()):
    return ["--page-server", "--address", SOURCE_ADDRESS, "--port", str(PORT), *extra]
