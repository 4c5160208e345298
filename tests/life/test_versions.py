# SPDX-License-Identifier: Apache-2.0
"""Roles of different builds: a scripted holder and a scripted broker stand in for other versions.

They speak the wire as the protocol says, answer what a vmlan of their time would, and refuse what
it would not know in the words of the wire layer.
"""

import contextlib
import json
import os
import socket
import threading

import pytest
from peer import rights, text

pytestmark = pytest.mark.engine

CONFIGURATION = {"mode": "host", "subnet": "192.168.199.0/24", "linger": 60}
UNKNOWN_FIELD = "found a field that is not known"


class Scripted(threading.Thread):
    """Listens at path as the site's user's; answer(method, parameters) makes (reply, fds)."""

    def __init__(self, site, path, answer):
        super().__init__(daemon=True)
        self.answer, self.asked, self.socket = answer, [], socket.socket(socket.AF_UNIX)
        self.path = path
        self._make_directories(site, path.parent)
        self.socket.bind(str(path))
        site.user.own(path)
        self.socket.listen(8)

    @staticmethod
    def _make_directories(site, path):
        for one in reversed([path, *path.parents]):
            if not one.exists():
                one.mkdir(mode=0o700)
                site.user.own(one)

    def run(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        data = b""
        with connection:
            while piece := connection.recv(65536):
                data += piece
                while b"\0" in data:
                    one, _, data = data.partition(b"\0")
                    request = json.loads(one)
                    method = request["method"].rpartition(".")[2]
                    self.asked.append(method)
                    reply = self.answer(method, request.get("parameters", {}))
                    if reply is None:
                        self.leave()
                        return
                    if reply:
                        connection.sendmsg([text(reply[0])], rights(reply[1]))

    def leave(self):
        """A holder that ends on purpose takes its place away first."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.leave()


def unknown_method(name):
    return {"error": "org.varlink.service.MethodNotFound",
            "parameters": {"method": name, "field": "method",
                           "reason": f'found no method "io.vmlan.Holder.{name}"'}}


def holder(**version):
    """One that knows Describe, ForwarderWanted (never) and End, as each version does."""
    def answer(method, _parameters):
        if method == "Describe":
            spaces = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in ("user", "net")]
            return {"parameters": {
                "network": "old", "configuration": CONFIGURATION, "pinned": True, "ports": [],
                "services": "", "fds": [0, 1], **version}}, spaces
        if method == "ForwarderWanted":
            return ()
        if method == "End":
            return None
        if method == "AddPort":
            return {"error": "io.vmlan.Holder.InvalidParameter",
                    "parameters": {"field": "AddPort.pid", "reason": UNKNOWN_FIELD}}, []
        return unknown_method(method), []
    return answer


@pytest.fixture
def old(site):
    def make(**version):
        return Scripted(site, site.runtime / "net/old/holder.sock", holder(**version))
    site.config("vmnet:\n  old: {mode: host, subnet: 192.168.199.0/24}\n")
    yield make


@pytest.mark.sanitized
def test_a_holder_of_before_versions_is_asked(site, old):
    with old() as one:
        listed, = site.json("ls")
        assert (listed["network"], listed["pinned"]) == ("old", True)
        failed = site.vmlan("forward", "old", "ls", check=False)
        assert failed.stderr == (
            "vmlan forward: network old runs with an older vmlan, which does not know "
            "ForwardList; vmlan down old, then start it anew: its guests are cut off\n")
        failed = site.vmlan("run", "old", "--", "true", check=False)
        assert "does not know AddPort.pid; vmlan down old" in failed.stderr
        one.path.unlink()
        site.vmlan("down", "old")
        assert one.asked[-1] == "End"


@pytest.mark.sanitized
def test_a_holder_that_is_too_new_can_be_listed_and_ended(site, old):
    with old(version=99, oldest=99) as one:
        assert [one["network"] for one in site.json("ls")] == ["old"]
        for verb in ("run old -- true", "up old", "exec old -- true"):
            failed = site.vmlan(*verb.split(), check=False)
            assert failed.returncode == 1
            assert failed.stderr == (
                f"vmlan {verb.split()[0]}: network old runs with a newer vmlan than this broker's; "
                "use that vmlan: vmlan service restart; or vmlan down old, which cuts its guests "
                "off\n")
        assert set(one.asked) == {"Describe"}
        one.path.unlink()
        site.vmlan("down", "old")
        assert one.asked[-1] == "End"


def test_a_newer_holder_that_takes_older_brokers_is_asked(site, old):
    with old(version=99, oldest=0) as one:
        failed = site.vmlan("forward", "old", "ls", check=False)
        assert "ForwardList" in one.asked and failed.returncode == 1
        one.path.unlink()
        site.vmlan("down", "old")


def old_broker(method, parameters):
    if "strict" in parameters:
        return {"error": "io.vmlan.Broker.InvalidParameter",
                "parameters": {"field": f"{method}.strict", "reason": UNKNOWN_FIELD}}, []
    return {"error": "org.varlink.service.MethodNotFound",
            "parameters": {"method": method, "field": "method", "reason": "found no method"}}, []


def test_a_broker_that_is_older_than_the_command_line(site):
    hint = "vmlan service restart; networks and guests go on\n"
    with Scripted(site, site.runtime / "broker.sock", old_broker):
        failed = site.vmlan("forward", "shared", "ls", check=False)
        assert failed.stderr == ("vmlan forward: the broker that runs is of an older vmlan: it "
                                 f"does not know ForwardList; {hint}")
        failed = site.vmlan("up", "--strict", "shared", check=False)
        assert failed.stderr == ("vmlan up: the broker that runs is of an older vmlan: it does "
                                 f"not know Up.strict; {hint}")
