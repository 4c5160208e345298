# SPDX-License-Identifier: Apache-2.0
"""What tests could leave behind on a machine: tests/run compares a snapshot before with one after.

Processes count as ours by the user the tests act as, by name, or by the mark in their environment;
what carries the mark of another run is that run's. Network namespaces are named with the process
that is in them; one without any process is kept by a mount, and mounts are compared too.
"""

import os
import socket
from pathlib import Path

import lib

NAMES = ("vmlan", "dnsmasq", "qemu-system")


def _mark(process):
    for entry in process.environ.split(b"\0"):
        if entry.startswith(b"VMLAN_TEST_ROOT="):
            return entry.partition(b"=")[2].decode()
    return None


def suspects(root):
    """The processes that the tests may have started."""
    user = lib.acting_user()
    for one in lib.processes():
        mark = _mark(one)
        of_tests = one.uid == user.uid and user.prefix
        named = one.name.startswith(NAMES) and (os.geteuid() == 0 or one.uid == user.uid)
        if mark == str(root) or (mark is None and (of_tests or named)):
            yield one


def _processes(root):
    try:
        home = os.readlink("/proc/self/ns/net")
    except OSError:
        home = None
    for one in suspects(root):
        yield f"process {one.pid}.{one.start}", f"process {one}"
        try:
            space = os.readlink(f"/proc/{one.pid}/ns/net")
        except OSError:
            continue
        if space != home:
            yield f"namespace {space}", f"network namespace {space} with {one}"


def _mounts():
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        text = f"mount {mount.split()[4]} ({source.split()[0]})"
        yield text, text


def _links():
    for _, name in socket.if_nameindex():
        yield f"link {name}", f"host link {name}"


def _files(root):
    for path in sorted(root.rglob("*")):
        yield f"file {path}", f"file {path}"


def _tun():
    if os.path.exists(lib.TUN):
        text = f"{lib.TUN} has mode {os.stat(lib.TUN).st_mode & 0o7777:o}"
        yield text, text


def snapshot(root):
    """Everything of interest now: key to text."""
    return dict([*_processes(root), *_mounts(), *_links(), *_files(root), *_tun()])


def changes(before, root):
    """What is there now and was not before, and the host's links and mounts that went away."""
    after = snapshot(root)
    new = [text for key, text in after.items() if key not in before]
    gone = [f"gone: {text}" for key, text in before.items()
            if key not in after and key.startswith(("link ", "mount "))]
    return new + gone


def end_marked(root):
    """Ends what certainly is of this run, so that a failed run does not disturb the next one."""
    lib.end([one.pid for one in suspects(root) if _mark(one) == str(root)])
