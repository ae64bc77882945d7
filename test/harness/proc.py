# SPDX-License-Identifier: GPL-2.0
"""What /proc says of a process, in a form that must be the same before a dump and after a restore."""
import os
import re

# Lines of /proc/PID/status that name state of the process, not its history.
STATUS = ("Name Umask Uid Gid Groups NStgid NSpid NSpgid NSsid Threads SigPnd ShdPnd SigBlk "
          "SigIgn SigCgt CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Seccomp_filters "
          "Cpus_allowed Mems_allowed THP_enabled VmLck").split()
# Files that are compared as they are.
FILES = ("cmdline environ limits oom_score_adj personality coredump_filter timerslack_ns "
         "loginuid comm").split()


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError as error:
        return f"<{error.strerror}>"


def _status(path):
    lines = (line.split(":", 1) for line in read(path).splitlines() if ":" in line)
    return {name: value.strip() for name, value in lines if name in STATUS}


def maps(pid):
    """
    Areas with equal neighbours joined: start-end, permissions, offset, file. While pages arrive the stack and the
    heap are split into parts, of which only one is named; so those names do not count.
    """
    areas = []
    for line in read(f"/proc/{pid}/maps").splitlines():
        span, perms, offset, dev, inode, *name = line.split(None, 5)
        start, end = (int(word, 16) for word in span.split("-"))
        # Shared anonymous memory may be made from a memfd of the same name.
        name = name[0].replace("/memfd:/dev/zero", "/dev/zero") if name else ""
        if name.startswith("[vvar") or name == "[vsyscall]":
            continue
        if name in ("[stack]", "[heap]"):
            name = ""
        # The inode of an anonymous shared segment is a new one; its name is not.
        offset = int(offset, 16) if inode != "0" else 0
        key = (perms, name)
        last = areas[-1] if areas else None
        joins = last and last["end"] == start and last["key"] == key and (
            inode == "0" or last["offset"] + (last["end"] - last["start"]) == offset)
        if joins:
            last["end"] = end
        else:
            areas.append({"start": start, "end": end, "key": key, "offset": offset})
    return [f"{a['start']:x}-{a['end']:x} {a['key'][0]} {a['offset']:x} {a['key'][1]}"
            for a in areas]


def _descriptor(pid, number):
    link = os.readlink(f"/proc/{pid}/fd/{number}")
    info = dict(line.split(":", 1) for line in read(f"/proc/{pid}/fdinfo/{number}").splitlines()
                if ":" in line)
    # Inode numbers of pipes and sockets are new after a restore; the kind is not.
    link = re.sub(r"^(pipe|socket):\[\d+\]$", r"\1", link)
    return link, info.get("pos", "").strip(), info.get("flags", "").strip()


def descriptors(pid):
    found = {}
    for number in sorted(os.listdir(f"/proc/{pid}/fd"), key=int):
        try:
            found[int(number)] = _descriptor(pid, number)
        except OSError:
            pass
    return found


def _stat(pid, tid):
    text = read(f"/proc/{pid}/task/{tid}/stat")
    fields = text.rpartition(")")[2].split()
    if len(fields) < 40:
        return {}
    # proc(5): priority, nice, exit_signal, rt_priority, policy
    return {"priority": fields[15], "nice": fields[16], "exit_signal": fields[35],
            "rt_priority": fields[37], "policy": fields[38]}


def threads(pid):
    found = {}
    for tid in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        status = _status(f"/proc/{pid}/task/{tid}/status")
        status.pop("VmLck", None)
        found[int(tid)] = {**status, **_stat(pid, tid)}
    return found


def link(path):
    try:
        return os.readlink(path)
    except OSError as error:
        return f"<{error.strerror}>"


def snapshot(pid):
    """Everything that is visible from outside and must survive."""
    found = {name: read(f"/proc/{pid}/{name}") for name in FILES}
    found.update(_status(f"/proc/{pid}/status"))
    for name in "cwd root exe".split():
        found[name] = link(f"/proc/{pid}/{name}")
    found["maps"] = maps(pid)
    found["fd"] = descriptors(pid)
    found["threads"] = threads(pid)
    return found


def differences(before, after, ignore=()):
    """Lines that say what differs."""
    lines = []
    for name in before:
        if name in ignore or before[name] == after.get(name):
            continue
        old, new = before[name], after.get(name)
        if isinstance(old, list):
            lines += [f"{name}: - {x}" for x in old if x not in new]
            lines += [f"{name}: + {x}" for x in new if x not in old]
        elif isinstance(old, dict):
            for key in sorted({*old, *new}):
                was, now = old.get(key), new.get(key)
                if isinstance(was, dict) and isinstance(now, dict):
                    lines += differences({f"{name} {key} {k}": v for k, v in was.items()},
                                         {f"{name} {key} {k}": v for k, v in now.items()})
                elif was != now:
                    lines.append(f"{name} {key}: {was} -> {now}")
        else:
            lines.append(f"{name}: {old!r:.200} -> {new!r:.200}")
    return lines


def children(pid=None):
    """Pids of the direct children."""
    pid = pid or os.getpid()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = read(f"/proc/{entry}/stat").rpartition(")")[2].split()
            if len(fields) > 1 and fields[1] == str(pid):
                found.append(int(entry))
    return found


def tree(pid):
    """pid and everything below it."""
    return [pid] + [p for child in children(pid) for p in tree(child)]
