# SPDX-License-Identifier: Apache-2.0
"""A QEMU guest made by tests/vm/guest/build, for tests and for the demo.

    with Guest("a", image, work, net_args=[...]) as a, Guest("b", image, work, net_args=[...]) as b:
        b.iperf3_serve()
        print(a.iperf3(b.wait_address(4))["end"]["sum_received"]["bits_per_second"])

Guests of one `with` boot side by side: the first command to each waits for its agent.
A Guest owns its process group and, in workdir, NAME.ctl, NAME.qmp (sockets), NAME.console,
NAME.log. The guest powers off when the control connection ends, e.g. with a killed test run.
One thread at a time may use a Guest.
"""

import base64
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time

from shell import GuestError, Shell

SUN_PATH_MAX = 107  # bytes, unix(7), without the final NUL
CONNECT_PAUSE = 0.02  # seconds; QEMU makes its sockets some 50 ms after its start
ANSWER_GRACE = 15  # seconds a busy guest may need to say that it has ended a command
ANSWER_END = re.compile(rb"\n@@RC (\d+)\n\Z")
HELLO = b"@@HELLO "


class Guest(Shell):
    """One guest. prefix goes before QEMU (e.g. vmlan run ... --), net_args after its own options.

    memory is in MiB. uid and gid (gid defaults to uid) make root run it as that numeric user;
    workdir, when made here, then belongs to that user. pass_fds are inherited as they are.
    """

    def __init__(self, name, image_dir, workdir, net_args=(), prefix=(), memory=256, dhcp=True,
                 smp=1, env=None, uid=None, gid=None, pass_fds=()):
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
            raise ValueError(f"guest name {name!r} is not a host name in lower case")
        self.name = name
        self.workdir = os.path.abspath(workdir)
        self.env = env
        self.pass_fds = pass_fds
        self.process = None
        self._owner = None if uid is None else (uid, uid if gid is None else gid)
        self._control = None
        self._qmp = None
        self._ready = False
        machine = self._machine(image_dir, memory, dhcp, smp)
        self.argv = [*self._as_owner(), *prefix, *machine, *net_args]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.kill()

    def start(self):
        """Starts the process and does not wait for the boot."""
        if not os.path.isdir(self.workdir):
            os.makedirs(self.workdir)
            if self._owner:
                os.chown(self.workdir, *self._owner)
        for kind in ("ctl", "qmp"):  # of an earlier guest; connecting to them would be refused
            if os.path.exists(self._path(kind)):
                os.unlink(self._path(kind))
        with open(self._path("log"), "wb") as log:
            self.process = subprocess.Popen(
                self.argv, env=self.env, pass_fds=self.pass_fds, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True)

    def wait_ready(self, timeout=120):
        """Waits until the agent has greeted. Every command does this by itself."""
        if self._ready:
            return
        deadline = time.monotonic() + timeout
        self._control = self._connect("ctl", deadline)
        self._receive(lambda data: data.startswith(HELLO) and data.endswith(b"\n"), deadline,
                      f"no greeting within {timeout} s")
        self._ready = True

    def run(self, command, timeout=60):
        """Runs a shell command; returns (exit status, stdout and stderr as one text).

        The guest itself kills the command after timeout seconds; that is a GuestError.
        A background command must redirect its output, or it falls into later answers.
        """
        self.wait_ready()
        limited = f"timeout -s KILL {int(timeout)} sh -c {shlex.quote(command)}"
        started = time.monotonic()
        self._send(limited)
        data = self._receive(ANSWER_END.search, started + timeout + ANSWER_GRACE,
                             f"no answer to: {command}")
        end = ANSWER_END.search(data)
        status, output = int(end[1]), data[: end.start()].decode(errors="replace")
        if status == 128 + signal.SIGKILL and time.monotonic() - started >= timeout:
            raise GuestError(f"guest {self.name}: not done in {timeout} s: {command}\n{output}")
        return status, output

    def check(self, command, timeout=60):
        """Runs a command that must succeed; returns its output without the last newline."""
        status, output = self.run(command, timeout)
        if status != 0:
            raise GuestError(f"guest {self.name}: status {status} from: {command}\n{output}")
        return output.removesuffix("\n")

    def qmp(self, command, **arguments):
        """Runs a QMP command (e.g. qmp("set_link", name="n0", up=False)); returns its answer."""
        if self._qmp is None:
            connection = self._connect("qmp", time.monotonic() + 10)
            connection.settimeout(30)
            self._qmp = connection.makefile("rwb")
            connection.close()  # the file keeps it open
            self._qmp.readline()  # the greeting
            self.qmp("qmp_capabilities")
        request = {"execute": command, "arguments": arguments}
        self._qmp.write(json.dumps(request).encode() + b"\n")
        self._qmp.flush()
        for line in self._qmp:
            answer = json.loads(line)
            if "error" in answer:
                raise GuestError(f"guest {self.name}: QMP {command}: {answer['error']['desc']}")
            if "return" in answer:  # anything else is an event
                return answer["return"]
        raise GuestError(self._last_words(f"QMP ended during {command}"))

    def poweroff(self, timeout=30):
        """Has the guest turn itself off, and waits for the end of its process."""
        self.wait_ready()
        self._send("poweroff -f")
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise GuestError(self._last_words(f"still on after {timeout} s")) from None
        finally:
            self.kill()

    def kill(self):
        """Ends the guest at once with SIGKILL. Does nothing to one that has ended."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
        for connection in (self._control, self._qmp):
            if connection is not None:
                connection.close()
        self._control = self._qmp = None
        self._ready = False

    def console(self):
        """What the guest's kernel and init have printed."""
        return self._read("console")

    def _path(self, kind):
        return os.path.join(self.workdir, f"{self.name}.{kind}")

    def _read(self, kind):
        try:
            with open(self._path(kind), errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _socket_path(self, kind):
        path = self._path(kind)
        if len(os.fsencode(path)) > SUN_PATH_MAX:
            raise ValueError(f"{path}: longer than {SUN_PATH_MAX} bytes; use a shorter workdir")
        return path

    def _as_owner(self):
        """What makes the process that of the wanted user, before anything else."""
        if self._owner is None or self._owner == (os.getuid(), os.getgid()):
            return []
        if os.geteuid() != 0:
            raise ValueError("only root can run a guest as another user")
        uid, gid = map(str, self._owner)
        return ["setpriv", "--reuid", uid, "--regid", gid, "--clear-groups", "--"]

    def _machine(self, image_dir, memory, dhcp, smp):
        ctl = self._socket_path("ctl")
        append = f"console=ttyS0 quiet panic=-1 vm.name={self.name} vm.dhcp={int(dhcp)}"
        return [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-M", "q35", "-cpu", "max", "-m", str(memory), "-smp", str(smp),
            "-accel", os.environ.get("VMLAN_TEST_ACCEL", "tcg,thread=multi"),
            "-kernel", os.path.join(os.path.abspath(image_dir), "vmlinuz"),
            "-initrd", os.path.join(os.path.abspath(image_dir), "initrd.gz"),
            "-append", append, "-serial", f"file:{self._path('console')}",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=ctl,path={ctl},server=on,wait=off",
            "-device", "virtserialport,chardev=ctl,name=vmctl",
            "-qmp", f"unix:{self._socket_path('qmp')},server=on,wait=off",
        ]

    def _connect(self, kind, deadline):
        """Connects to one of QEMU's sockets as soon as it is there."""
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(self._path(kind))
                return connection
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
            if time.monotonic() >= deadline:
                raise GuestError(self._last_words(f"no socket {self._path(kind)}"))
            try:
                self.process.wait(CONNECT_PAUSE)  # the pause ends early when the process does
            except subprocess.TimeoutExpired:
                continue
            raise GuestError(self._last_words("did not start"))

    def _send(self, command):
        try:
            self._control.sendall(base64.b64encode(command.encode()) + b"\n")
        except OSError:
            raise self._gone() from None

    def _receive(self, complete, deadline, complaint):
        """Reads until complete(data) holds. After a failure the stream is of no more use."""
        data = b""
        try:
            while not complete(data):
                self._control.settimeout(max(deadline - time.monotonic(), 0.001))
                piece = self._control.recv(65536)
                if not piece:
                    raise ConnectionError
                data += piece
        except TimeoutError:
            raise GuestError(self._last_words(complaint)) from None
        except ConnectionError:
            raise self._gone() from None
        return data

    def _gone(self):
        """The error for a closed control connection: the process is about to end."""
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        return GuestError(self._last_words("went away"))

    def _last_words(self, complaint):
        """The complaint, with the ends of the process's output and of the console."""
        state = "running" if self.process.poll() is None else f"ended, {self.process.returncode}"
        return "\n".join([
            f"guest {self.name} ({state}): {complaint}",
            f"command: {shlex.join(self.argv)}",
            f"--- output\n{self._read('log')[-2000:]}",
            f"--- console\n{self.console()[-4000:]}",
        ])
