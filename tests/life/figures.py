# SPDX-License-Identifier: Apache-2.0
"""What must not grow: descriptors, memory and number of a site's roles, as /proc has them."""

import os
from collections import namedtuple
from pathlib import Path

ROLES = ("vmlan-broker", "vmlan-holder", "vmlan-forward", "dnsmasq")
Figures = namedtuple("Figures", "pid descriptors memory")  # memory: KiB that are its own


def memory(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise AssertionError("no Private_Dirty")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def figures(site):
    """Role to the figures of its processes; a process that ends meanwhile is left out."""
    found = {}
    for one in site.processes():
        if one.name in ROLES:
            try:
                found.setdefault(one.name, []).append(
                    Figures(one.pid, descriptors(one.pid), memory(one.pid)))
            except OSError:
                pass
    return found
