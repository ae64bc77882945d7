#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Moves that are disturbed at random moments.

usage: migrate.py [--cuts N] [--cut-seconds S] [--kills N] [--lanes N] [--seed N]

Each lane is a pair of network namespaces with a link of its own, the destination with pids of its
own. A walker moves by `criu-lazy migrate`, slowly enough that the moment falls anywhere from before
the first connection to after the last page.

cut:   the link is down for S seconds. The move must succeed, every byte be right.
kill:  the source (migrate and the dump) is killed. Either the walker runs on here, if it had not
       been let go there, or it has all its memory there, or it is ended there with a reason in the
       log; the one here stays stopped then. It never runs at both ends, reads no wrong byte, and
       nothing hangs.

Prints one line per kind of outcome; exit status 1 if one was wrong.
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BINARY = TOP / "criu-lazy" / "criu-lazy"
WALKER = TOP / "build" / "torture" / "walker"
MIB = 24
SOURCE_TIMEOUT = 2


class Wrong(Exception):
    pass


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, timeout=20)


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise Wrong(f"no {what} within {seconds} s")
        time.sleep(0.01)
    return value


def read(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def state(pid):
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1]


def children(pid):
    return [int(word) for word in read(f"/proc/{pid}/task/{pid}/children").split()]


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Lane:
    """One pair of hosts, used for one move after another."""

    def __init__(self, number):
        tag = f"tm{os.getpid()}n{number}"
        self.source, self.target = f"{tag}s", f"{tag}t"
        self.addresses = f"10.77.{number}.1", f"10.77.{number}.2"

    def up(self):
        for name in (self.source, self.target):
            ip("netns", "add", name)
        ip("link", "add", "v0", "netns", self.source, "type", "veth", "peer", "name", "v0",
           "netns", self.target)
        for name, address in zip((self.source, self.target), self.addresses):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "v0")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "v0", "up")

    def down(self):
        for name in (self.source, self.target):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def link(self, how):
        ip("-n", self.target, "link", "set", "v0", how)


class Move:
    def __init__(self, lane, directory):
        self.lane, self.prefix = lane, directory / "w"
        self.directory = directory

    def file(self, suffix):
        return pathlib.Path(f"{self.prefix}.{suffix}")

    def __enter__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "1000"],
            stdin=subprocess.DEVNULL)
        self.init = wait_for(lambda: children(self.holder.pid), 20, "pid namespace")[0]
        wait_for(lambda: read(f"/proc/{self.init}/comm").strip() == "sleep", 20, "its init")
        self.walker = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.lane.source}", WALKER, self.prefix, str(MIB)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(self.file("ready").exists, 30, "walker")
        return self

    def __exit__(self, *unused):
        for process in (self.command, self.walker, self.holder):
            if process.poll() is None:
                process.kill()
            process.wait()

    def start(self, *options):
        rsh = (f"nsenter --net=/run/netns/{self.lane.target} --pid=/proc/{self.init}/ns/pid "
               f"--mount=/proc/{self.init}/ns/mnt")
        (self.directory / "here").mkdir()
        self.log = open(self.directory / "migrate.log", "wb")
        self.command = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.lane.source}", BINARY, "migrate", "-t",
             str(self.walker.pid), "--rsh", rsh, "--remote-criu", BINARY, "--address",
             self.lane.addresses[0], "--compress", "none", "--remote-dir", self.directory / "there",
             "-D", self.directory / "here", "-v4", *options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.directory)
        self.log.close()

    def nobody_there(self):
        """No task of ours is left in the destination's pid namespace."""
        return not [pid for pid in children(self.init) if state(pid) not in ([], ["Z"])]

    def check_where(self):
        """All of its life here, then, perhaps, all the rest of it there: was it there?"""
        here = os.readlink("/proc/self/ns/pid")
        is_there = [line != here for line in read(self.file("where")).split()]
        if is_there != sorted(is_there):
            raise Wrong("it ran at both ends")
        return any(is_there)

    def tail(self):
        logs = [self.directory / "migrate.log", *sorted((self.directory / "there").glob("*.log"))]
        return "\n".join(f"--- {log}\n" + "\n".join(read(log).splitlines()[-15:]) for log in logs)


def cut(move, moment, seconds):
    move.start("--max-bandwidth", "12M", "--source-timeout", "60")
    time.sleep(moment)
    was_over = move.command.poll() is not None
    move.lane.link("down")
    time.sleep(seconds)
    move.lane.link("up")
    if move.command.wait(60):
        raise Wrong(f"migrate ended with {move.command.returncode}")
    move.file("go").touch()
    result = wait_for(lambda: read(move.file("result")), 30, "result")
    if result != "ok" or not move.check_where():
        raise Wrong(result)
    lost = "connecting again" in read(move.directory / "there" / "lazy-pages.log")
    if was_over:
        return "cut: after the end"
    return f"cut: moved, {'connected again' if lost else 'connection outlived it'}"


def source_pids(root, log):
    """
    Below root, but for those that are in the destination's pid namespace, so have two pids; and but
    for the dump's worker while that may be inside an injection: it is a process apart so that no
    kill -9 hits it then.
    """
    found = [root]
    for pid in found:
        found += children(pid)
    lines = {pid: [line for line in read(f"/proc/{pid}/status").splitlines()
                   if line.startswith("NSpid")] for pid in found}
    ours = [pid for pid in found if lines[pid] and len(lines[pid][0].split()) == 2]
    dump = [pid for pid in ours if b"migrate\0" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    return ours if "page server: ready" in read(log) else [pid for pid in ours if pid not in dump[2:]]


def kill_source(move, moment):
    move.start("--max-bandwidth", "12M", "--source-timeout", str(SOURCE_TIMEOUT))
    time.sleep(moment)
    was_over = move.command.poll() is not None
    if not was_over:
        for pid in source_pids(move.command.pid, move.directory / "migrate.log"):
            kill(pid)
    move.command.wait()
    time.sleep(0.2)
    move.file("go").touch()
    walker = move.walker

    def is_settled():
        return read(move.file("result")) or (move.nobody_there() and (state(walker.pid) in (["T"], ["Z"], [])))
    wait_for(is_settled, 40, "end, either way")
    result = read(move.file("result"))
    if result:
        if result != "ok":
            raise Wrong(result)
        is_there = move.check_where()
        wait_for(lambda: state(walker.pid) in (["T"], ["Z"], []), 20, "end or stop of the one here")
        return (f"kill: {'all memory was there' if is_there else 'runs on here'}"
                f"{' (after the end)' if was_over else ''}")
    if "gone for good" not in read(move.directory / "there" / "lazy-pages.log"):
        raise Wrong("ended without a reason")
    move.check_where()
    return "kill: ended there with a reason, stopped here"


def run_one(lanes, work, job):
    kind, number, seed, args = job
    lane = lanes.get()
    chance = random.Random(seed)
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{kind}{number}-", dir=work))
    try:
        with Move(lane, directory) as move:
            try:
                # 24 MiB at 12 MiB/s: two seconds; what decides is in the first hundredths.
                moment = chance.uniform(0.0, chance.choice((2.2, 2.2, 0.1)))
                if kind == "cut":
                    return cut(move, moment, args.cut_seconds)
                return kill_source(move, moment)
            except (Wrong, subprocess.TimeoutExpired, AssertionError) as problem:
                print(f"{kind} {number} after {moment:.3f} s: {problem}\n{move.tail()}",
                      file=sys.stderr, flush=True)
                return f"{kind}: WRONG: {problem}"
    finally:
        lanes.put(lane)


class Pool:
    """Lanes that are free."""

    def __init__(self, lanes):
        self.free, self.changed = list(lanes), threading.Condition()

    def get(self):
        with self.changed:
            while not self.free:
                self.changed.wait()
            return self.free.pop()

    def put(self, lane):
        with self.changed:
            self.free.append(lane)
            self.changed.notify()


def run(args):
    WALKER.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-O2", "-D_GNU_SOURCE", "-Wall", "-o", WALKER,
                    pathlib.Path(__file__).with_name("walker.c")], check=True)
    jobs = [("cut", n, args.seed + n, args) for n in range(args.cuts)]
    jobs += [("kill", n, args.seed + 10000 + n, args) for n in range(args.kills)]
    lanes = [Lane(number + 1) for number in range(args.lanes)]
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="torture-migrate-") as work:
        try:
            for lane in lanes:
                lane.up()
            pool = Pool(lanes)
            with concurrent.futures.ThreadPoolExecutor(args.lanes) as threads:
                outcomes = collections.Counter(threads.map(lambda job: run_one(pool, work, job), jobs))
        finally:
            for lane in lanes:
                lane.down()
    return outcomes


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--cut-seconds", type=float, default=5)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--lanes", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    outcomes = run(args)
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:4} {outcome}")
    sys.exit(any("WRONG" in outcome for outcome in outcomes))


if __name__ == "__main__":
    main()
