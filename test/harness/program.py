# SPDX-License-Identifier: GPL-2.0
"""criu-lazy as the tests use it: dump and restore one victim in one of the modes."""
import os
import shlex
import socket
import subprocess

from . import paths, proc
from .victim import Failure, wait_for

# Sanitizers' words, and a crash of ours.
COMPLAINTS = ("AddressSanitizer", "runtime error:", "LeakSanitizer", "stack smashing", "Assertion")


class Program:
    """Runs commands; keeps images and logs under one directory.

    binary is criu-lazy unless a test sets another one, e.g. a peer for the next command.
    """

    def __init__(self, directory):
        self.binary = paths.BINARY
        self.directory = directory
        self.images = directory / "images"
        self.images.mkdir()
        self.daemon = self.source = None
        self.commands = []

    def run(self, *args, timeout=60, check=True):
        command = [str(self.binary), *map(str, args)]
        self.commands.append(shlex.join(command))
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout, text=True,
                              errors="replace", cwd=self.directory)
        done.log = self.log_of(args) + done.stdout
        for word in COMPLAINTS:
            if word in done.log:
                raise Failure(f"{args[0]}: {word} in the log")
        if check and done.returncode:
            raise Failure(f"{args[0]}: exit status {done.returncode}: {self.errors(done.log)}")
        return done

    def log_of(self, args):
        words = [str(arg) for arg in args]
        if "-o" not in words:
            return ""
        path = self.images / words[words.index("-o") + 1]
        return path.read_text(errors="replace") if path.exists() else ""

    @staticmethod
    def errors(log):
        return " | ".join(line for line in log.splitlines() if "Error" in line) or log[-300:]

    def dump(self, pid, *options, check=True):
        return self.run("dump", "-t", pid, "-D", self.images, "-v4", "-o", "dump.log", *options,
                        check=check)

    def restore(self, mode, *options, check=True):
        """eager; lazy: the daemon is started by restore; daemon: an explicit one.

        remote, migrate: the caller has started it, with its source.
        """
        words = ["restore", "-D", self.images, "-v4", "-o", "restore.log", "-d", *options]
        if mode != "eager":
            words.append("--lazy-pages")
        if mode == "daemon":
            self.start_daemon()
        return self.run(*words, check=check)

    def start_source(self, command, *words):
        """A command that is a page server, on a port of its choice; once it is ready, its port.

        None: it ended before; the caller asks why.
        """
        listener = socket.create_server(("127.0.0.1", 0))
        ready, said = os.pipe()
        words = [str(self.binary), command, "-D", str(self.images), "-v4", "-o",
                 f"{command}.log", "--lazy-pages", "--ps-socket", str(listener.fileno()),
                 "--status-fd", str(said), *map(str, words)]
        self.commands.append(shlex.join(words) + " &")
        with listener:
            self.source = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, cwd=self.directory,
                                           pass_fds=(listener.fileno(), said))
            os.close(said)
            with os.fdopen(ready, "rb") as status:
                if not status.read(1):
                    raise Failure(f"{command}: exit status {self.source.wait(10)}: "
                                  + self.errors(self.log_of(words[1:])))
            return listener.getsockname()[1]

    def end_source(self):
        """It ends by itself when the daemon has everything."""
        if self.source:
            status = self.source.wait(timeout=30)
            self.source = None
            if status:
                raise Failure(f"page server: exit status {status}")

    def start_daemon(self, *options):
        command = [str(self.binary), "lazy-pages", "-D", str(self.images), "-v4",
                   "-o", "lazy-pages.log", *map(str, options)]
        self.commands.append(shlex.join(command) + " &")
        self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, cwd=self.directory)
        wait_for(lambda: (self.images / "lazy-pages.socket").exists() or self.daemon.poll()
                 is not None, 10, "lazy-pages.socket")
        if self.daemon.poll() is not None:
            raise Failure(f"lazy-pages ended with {self.daemon.returncode}")

    def end_daemon(self):
        """The daemon ends by itself when all pages are there."""
        if self.daemon:
            status = self.daemon.wait(timeout=30)
            self.daemon = None
            if status:
                raise Failure(f"lazy-pages: exit status {status}")

    def log_tails(self, lines=15):
        found = []
        for log in sorted(self.images.glob("*.log")):
            tail = log.read_text(errors="replace").splitlines()[-lines:]
            found.append("\n".join([f"--- {log}", *tail]))
        return found


def check_same(before, after, ignore):
    lines = proc.differences(before, after, ignore)
    if lines:
        raise Failure("differs after the restore:\n  " + "\n  ".join(lines[:40]))
