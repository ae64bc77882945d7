# SPDX-License-Identifier: GPL-2.0
"""A victim: a program of test/victims in three acts, and what its header line asks for."""
import os
import re
import shlex
import signal
import subprocess
import time

from . import leftovers, paths, proc

MODES = ("eager", "lazy", "daemon", "remote", "migrate")


class Failure(AssertionError):
    """Something did not go as it must; the text says what."""


def wait_for(condition, seconds, what):
    """Polls until condition() is true; its value. Failure(what) after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"no {what} within {seconds} s")
        time.sleep(0.005)


def names():
    return sorted(path.stem for path in paths.VICTIM_SOURCES.glob("*.c"))


def metadata(name):
    """The words of `/* victim: key=value key="two words" */` in the first lines of the source."""
    head = (paths.VICTIM_SOURCES / f"{name}.c").read_text()[:1500]
    found = {"modes": "eager,lazy,remote,migrate", "dump": "", "restore": "", "ignore": "", "timeout": "60",
             "refused": "", "threads": ""}
    for words in re.findall(r"/\* victim: (.*?) \*/", head):
        for word in shlex.split(words):
            key, _, value = word.partition("=")
            if key not in found:
                raise Failure(f"{name}.c: unknown key {key} in the victim line")
            found[key] = value
    return found


class Victim:
    def __init__(self, name, directory):
        self.name = name
        self.meta = metadata(name)
        self.prefix = directory / name
        self.process = None
        self.pid = None

    def path(self, suffix):
        return self.prefix.with_name(f"{self.name}.{suffix}")

    def start(self):
        binary = paths.VICTIM_BINARIES / self.name
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                [binary, self.prefix], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.prefix.parent, start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "VICTIM": self.name})
        self.pid = self.process.pid
        wait_for(lambda: self.path("ready").exists() or self.path("result").exists(), 30,
                 f"sign of life of {self.name}")

    def result(self):
        path = self.path("result")
        return path.read_text().strip() if path.exists() else None

    def skipped(self):
        """Why the victim cannot run here, or None."""
        result = self.result() or ""
        return result[6:] if result.startswith("skip: ") else None

    def reap_killed(self, tree=()):
        """After a dump that kills: the zombie is ours, and so are those of its `tree`."""
        status = self.process.wait(timeout=10)

        def ended():  # their pids are wanted again
            leftovers.reap_orphans()
            return not any(os.path.exists(f"/proc/{pid}") for pid in tree)
        wait_for(ended, 10, f"end of the tree of {self.name}")
        if status != -signal.SIGKILL:
            raise Failure(f"{self.name} ended with {status}, not by the dump")

    def finish(self, seconds=30):
        """Act three, of the original or of the restored process."""
        self.path("go").touch()

        def ended():
            return self.result() or not os.path.exists(f"/proc/{self.pid}/stat") \
                or proc.read(f"/proc/{self.pid}/stat").rpartition(")")[2].split()[:1] == ["Z"]
        wait_for(ended, seconds, f"result of {self.name}")
        status = self.wait(seconds)
        if self.result() != "ok":
            raise Failure(f"{self.name}: {self.result() or 'no result'}, exit status {status}")
        if status != 0:
            raise Failure(f"{self.name}: result ok, but exit status {status}")

    def wait(self, seconds):
        """Exit status of a process that is our child: started by us, or left to us (subreaper)."""
        def reaped():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            return (status,) if pid else None
        try:
            status = wait_for(reaped, seconds, f"end of {self.name}")[0]
        except ChildProcessError:
            return self.process.returncode
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode
