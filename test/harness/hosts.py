# SPDX-License-Identifier: GPL-2.0
"""Two hosts: network namespaces with a pair of devices between them."""
import subprocess


def ip(*words):
    subprocess.run(["ip", *words], check=True, timeout=10)


def connect(source, target, source_ip, target_ip):
    """Makes both namespaces, joined by the devices v0 and v1."""
    for name in (source, target):
        ip("netns", "add", name)
    ip("link", "add", "v0", "netns", source, "type", "veth", "peer", "name", "v1", "netns", target)
    for name, device, address in ((source, "v0", source_ip), (target, "v1", target_ip)):
        ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "link", "set", device, "up")
