# SPDX-License-Identifier: Apache-2.0
"""Who gets a network's namespaces: vmlan itself, and the programs that the user lists, as long as
they are that program. (Another user is refused in tests/protocol.)
"""

import json
import os
import shutil
import signal
import subprocess

import lib
import pytest
from netlib import the

pytestmark = pytest.mark.engine

# Says what the broker answered: the number of descriptors, or the error.
ASK = """
def ask(peer):
    peer.request("Acquire", {"network": "shared"})
    return answer(peer)

def answer(peer):
    try:
        _, fds = peer.reply()
        return len(fds)
    except Refused as refused:
        return refused.reason
"""
PLAIN = ASK + """
print(json.dumps(ask(Peer(sys.argv[1]))))
"""
# Asks as one program and waits for the answer as another.
SWAP = ASK + """
if len(sys.argv) == 3:
    peer = Peer(sys.argv[1])
    peer.call(f"{SERVICE}.GetInfo")  # so it has been met
    peer.request("Acquire", {"network": "shared"})
    os.set_inheritable(peer.socket.fileno(), True)
    print("asked", flush=True)
    sys.stdin.readline()
    os.execv(sys.argv[2], [sys.argv[2], __file__, str(peer.socket.fileno())])
peer = Peer.__new__(Peer)
peer.socket, peer.data, peer.fds = socket.socket(fileno=int(sys.argv[1])), b"", []
peer.socket.settimeout(LIMIT)
print("swapped", flush=True)
print(json.dumps(answer(peer)))
"""
# Connects as a program that may not, and becomes one that may.
BECOME = ASK + """
if len(sys.argv) == 3:
    peer = Peer(sys.argv[1])
    peer.call(f"{SERVICE}.GetInfo")  # so it has been met
    os.set_inheritable(peer.socket.fileno(), True)
    os.execv(sys.argv[2], [sys.argv[2], __file__, str(peer.socket.fileno())])
peer = Peer.__new__(Peer)
peer.socket, peer.data, peer.fds = socket.socket(fileno=int(sys.argv[1])), b"", []
peer.socket.settimeout(LIMIT)
print(json.dumps(ask(peer)))
"""

REFUSED = "the namespaces of a network are handed only to the vmlan that runs this broker and to " \
    "programs listed under clients: in networks.yaml"
CHANGED = "the process that connected has ended or runs another program now"


def program(site, name):
    """A Python of its own: another file, so another executable."""
    path = site.root / name
    shutil.copy(os.path.realpath("/usr/bin/python3"), path)
    return site.user.own(path)


def script(site, text):
    return site.write("ask.py", (lib.TOP / "tests/peer.py").read_text() + "import sys\n" + text)


def allow(site, *paths):
    return site.config("clients:\n" + "".join(f"  - {path}\n" for path in paths))


def asked(site, path, text):
    done = site.run(path, script(site, text), site.runtime / "broker.sock")
    return json.loads(done.stdout)


@pytest.mark.sanitized
def test_only_programs_that_are_listed(site):
    listed, other = program(site, "listed"), program(site, "other")
    site.vmlan("up", "shared")
    assert asked(site, listed, PLAIN) == REFUSED
    allow(site, "/nonexistent", listed)  # read at each request: the broker runs already
    assert asked(site, listed, PLAIN) == 3
    assert asked(site, other, PLAIN) == REFUSED
    assert site.vmlan("exec", "shared", "--", "echo", "here").stdout == "here\n"


def test_a_list_that_others_may_write_does_not_count(site):
    listed = program(site, "listed")
    site.vmlan("up", "shared")
    path = allow(site, listed)
    path.chmod(0o666)
    assert asked(site, listed, PLAIN) == REFUSED
    path.chmod(0o644)
    assert asked(site, listed, PLAIN) == 3


def test_a_list_with_mistakes_is_named(site):
    listed = program(site, "listed")
    site.vmlan("up", "shared")
    path = site.config("clients:\n  - bin/listed\n")
    assert asked(site, listed, PLAIN) == (
        'clients[0]: "bin/listed" is not an absolute path')
    path.unlink()


def test_a_copy_of_vmlan_is_not_vmlan(site):
    site.vmlan("up", "shared")
    copy = site.root / "vmlan"
    shutil.copy(site.bin, copy)
    done = site.run(site.user.own(copy), "exec", "shared", "--", "true", check=False)
    assert done.returncode == 1 and REFUSED in done.stderr


@pytest.mark.sanitized
def test_a_peer_that_swaps_its_executable_while_it_waits(site):
    listed, other = program(site, "listed"), program(site, "other")
    site.vmlan("up", "shared")
    allow(site, listed)
    for target, answer in ((other, CHANGED), (listed, 3)):
        holder = the(site, "vmlan-holder")
        os.kill(holder, signal.SIGSTOP)  # so that the answer waits
        try:
            with subprocess.Popen(
                    [*site.user.prefix, listed, script(site, SWAP), site.runtime / "broker.sock",
                     target], env=site.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    text=True) as peer:
                assert peer.stdout.readline() == "asked\n"
                peer.stdin.write("\n")
                peer.stdin.flush()
                assert peer.stdout.readline() == "swapped\n"
                os.kill(holder, signal.SIGCONT)
                assert json.loads(peer.stdout.readline()) == answer
        finally:
            os.kill(holder, signal.SIGCONT)


def test_a_peer_that_becomes_a_listed_program(site):
    listed, other = program(site, "listed"), program(site, "other")
    site.vmlan("up", "shared")
    allow(site, listed)
    done = site.run(other, script(site, BECOME), site.runtime / "broker.sock", listed)
    assert json.loads(done.stdout) == CHANGED


# A second configuration


@pytest.mark.parametrize("verb", ["up shared", "run shared -- true", "join shared -- true",
                                  "exec shared -- true"])
def test_strict(site, verb):
    site.vmlan("up", "shared")
    words = verb.split()
    assert site.vmlan(words[0], "--strict", *words[1:]).stderr == ""
    site.config("vmnet:\n  shared: {mtu: 1400, linger: 5}\n")
    assert "(mtu, linger differ)" in site.vmlan(*words).stderr
    done = site.vmlan(words[0], "--strict", *words[1:], check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"vmlan {words[0]}: network shared runs with another configuration (mtu, linger); vmlan "
        "down shared, then start it anew; or leave out strict\n")


def test_strict_with_a_broker_that_has_just_adopted(site):
    """... which must not pin or open a port before it knows."""
    site.config("vmnet:\n  shared: {linger: 300}\n")
    child = site.popen("run", "shared", "--", "sh", "-c", "echo; exec cat", stdin=subprocess.PIPE)
    child.stdout.readline()
    site.config("vmnet:\n  shared: {mtu: 1400}\n")
    broker = the(site, "vmlan-broker")
    os.kill(broker, signal.SIGKILL)
    assert lib.wait_gone([broker], 5) == []
    done = site.vmlan("up", "--strict", "shared", check=False)
    assert "runs with another configuration (mtu)" in done.stderr
    assert [one["pinned"] for one in site.json("ls")] == [False]
