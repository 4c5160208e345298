# SPDX-License-Identifier: Apache-2.0
"""What the integration tests share: the user they act as, the processes of the machine, and Site:
one private vmlan (its own runtime, state and configuration directories) that must leave nothing
behind. conftest.py wraps these in fixtures; tests/run and tests/leftovers.py use the process list.
"""

import ctypes.util
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections import namedtuple
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
TUN = "/dev/net/tun"


# Waiting


def wait_until(predicate, timeout=10, what="the condition"):
    """Polls predicate() until it is true and returns its value. Only where there is no event."""
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout} s"
        time.sleep(0.02)
    return value


def wait_gone(pids, timeout):
    """Waits until every process has ended (a zombie has); the pids still running after timeout."""
    waiting = {}
    for pid in pids:
        try:
            waiting[os.pidfd_open(pid)] = pid
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + timeout
    try:
        while waiting and (left := deadline - time.monotonic()) > 0:
            for pidfd in select.select(list(waiting), [], [], left)[0]:
                os.close(pidfd)
                del waiting[pidfd]
        return sorted(waiting.values())
    finally:
        for pidfd in waiting:
            os.close(pidfd)


# Processes


class Process(namedtuple("Process", "pid uid name start command environ")):
    """One process as /proc shows it. start (clock ticks) tells a reused pid from the first."""

    def __str__(self):
        command = self.command.replace(b"\0", b" ").decode(errors="replace").strip()
        return f"{self.pid} {self.name} (uid {self.uid}): {command[:160]}"


def _read(path):
    try:
        return path.read_bytes()
    except OSError:  # it ended, or it does not let us look (then its command line still speaks)
        return b""


def processes():
    """Every process of the machine, without zombies and kernel threads."""
    for folder in Path("/proc").glob("[0-9]*"):
        head, _, tail = _read(folder / "stat").rpartition(b")")
        fields = tail.split()
        command = _read(folder / "cmdline")
        status = _read(folder / "status").partition(b"\nUid:\t")[2].split()
        if not head or fields[0] in (b"Z", b"X") or not command or not status:
            continue
        yield Process(int(folder.name), int(status[0]), head.partition(b"(")[2].decode(),
                      int(fields[19]), command, _read(folder / "environ"))


def end(pids):
    """Ends these processes, politely first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        pids = wait_gone(pids, 5)


# The user the tests act as


class User(namedtuple("User", "uid gid")):
    """An ordinary user: the caller, or, for root, a number without a passwd entry."""

    @property
    def prefix(self):
        if os.geteuid() == self.uid:
            return []
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups",
                "--inh-caps=-all", "--"]

    def own(self, path):
        """Makes path the user's and returns it."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        return path

    def can(self, *command):
        """Whether the command succeeds for this user."""
        return subprocess.run([*self.prefix, *command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=20).returncode == 0


def acting_user():
    if os.geteuid() != 0:
        return User(os.geteuid(), os.getegid())
    uid = int(os.environ.get("VMLAN_TEST_UID", 54321))
    return User(uid, uid)


@functools.lru_cache(maxsize=None)
def missing_engine(user):
    """Why no network can be made here by this user, or None. Tests skip with this reason."""
    if not user.can("unshare", "--user", "--net", "true"):
        return f"no user and network namespaces for uid {user.uid}"
    if not os.path.exists(TUN):
        return f"there is no {TUN}"
    if not user.can("sh", "-c", f"exec 3<>{TUN}"):
        return f"{TUN} cannot be opened by uid {user.uid} (tests/run as root opens it meanwhile)"
    return missing_tool("dnsmasq")


def missing_tool(name):
    return None if shutil.which(name, path=SYSTEM_PATH) else f"{name} is not installed"


def missing_wrapper():
    """Why named() is of no use here, or None."""
    return None if ctypes.util.find_library("nss_wrapper") else "libnss_wrapper.so is not installed"


def named(user, home):
    """Words before a command that make the user, who may be a mere number, "tester" with that home:
    some programs refuse to run for somebody they don't know.
    """
    for kind, line in (("passwd", f"tester:x:{user.uid}:{user.gid}::{home}:/bin/sh\n"),
                       ("group", f"tester:x:{user.gid}:\n")):
        (Path(home) / kind).write_text(line)
    return ["env", "LD_PRELOAD=libnss_wrapper.so", f"NSS_WRAPPER_PASSWD={home}/passwd",
            f"NSS_WRAPPER_GROUP={home}/group"]


# Where the tests live


def preloaded(source, folder):
    """A library for LD_PRELOAD, made from a C file into folder."""
    made = folder / f"{source.stem}.so"
    done = subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return made


def make_test_root():
    """The folder all sites of one run live in. Short: a socket path has 108 bytes."""
    root = Path(tempfile.mkdtemp(prefix="vt.", dir="/tmp"))
    root.chmod(0o755)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    return root


def reachable(user, root, path):
    """A program of the build; a copy where the user may not reach it."""
    assert path.exists(), f"{path} is not built: run make first"
    if user.can("test", "-x", path):
        return path
    copy = root / "bin" / path.name
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(path, copy)
    return copy


def binary(user, root):
    """The vmlan under test: $VMLAN_BIN or build/src/vmlan."""
    path = Path(os.environ.get("VMLAN_BIN", TOP / "build/src/vmlan"))
    return reachable(user, root, path.resolve())


class Site:
    """One vmlan of its own. Use the fixture, or `with`; close() asserts that nothing is left."""

    def __init__(self, user, vmlan_bin, test_root):
        self.user, self.bin = user, vmlan_bin
        self.root = Path(user.own(tempfile.mkdtemp(prefix="", dir=test_root)))
        self.runtime, self.state = self.root / "run", self.root / "state"
        for name in ("home", "config", "config/vmlan", "lima", "lima/_config", "tmp"):
            (self.root / name).mkdir(mode=0o700)
            user.own(self.root / name)
        self.env = self._environment(test_root)
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _environment(self, test_root):
        sanitizer = f"log_path={self.root}/sanitizer:print_stacktrace=1"
        return {
            "PATH": f"{self.bin.parent}:{SYSTEM_PATH}", "LANG": "C.UTF-8", "TERM": "dumb",
            "HOME": str(self.root / "home"), "TMPDIR": str(self.root / "tmp"),
            "XDG_CONFIG_HOME": str(self.root / "config"), "LIMA_HOME": str(self.root / "lima"),
            "VMLAN_RUNTIME_DIR": str(self.runtime), "VMLAN_STATE_DIR": str(self.state),
            "VMLAN_TEST_ROOT": str(test_root),
            "ASAN_OPTIONS": sanitizer, "UBSAN_OPTIONS": sanitizer,
        }

    # Commands

    def run(self, *command, check=True, input=None, timeout=20, **options):
        """Runs any command as the site's user in the site's environment."""
        command = [str(word) for word in command]
        stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
        with subprocess.Popen([*self.user.prefix, *command], env=self.env, cwd=self.root,
                              text=True, stdin=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **options) as child:
            try:
                stdout, stderr = child.communicate(input, timeout)
            except subprocess.TimeoutExpired as late:
                standing = self._standing()
                child.kill()
                raise AssertionError(f"{' '.join(command)}: no end after {timeout} s\n"
                                     f"stdout: {late.stdout}\nstderr: {late.stderr}\n"
                                     f"where all stood:\n{standing}") from None
            except BaseException:
                child.kill()
                raise
        done = subprocess.CompletedProcess(child.args, child.returncode, stdout, stderr)
        assert not check or done.returncode == 0, (
            f"{' '.join(command)}: status {done.returncode}\n"
            f"stdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def vmlan(self, *args, **options):
        return self.run(self.bin, *args, **options)

    def json(self, *args, **options):
        return json.loads(self.vmlan(*args, "--json", **options).stdout)

    def popen(self, *args, **options):
        """vmlan in the background; close() ends it if the test has not."""
        defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                    "stderr": subprocess.PIPE, "text": True, "env": self.env, "cwd": self.root}
        child = subprocess.Popen([*self.user.prefix, self.bin, *map(str, args)],
                                 **{**defaults, **options})
        self.children.append(child)
        return child

    # Files

    def write(self, path, text):
        """A file of the site's user; path is relative to the site's root."""
        (self.root / path).write_text(text)
        return self.user.own(self.root / path)

    def config(self, text):
        return self.write("config/vmlan/networks.yaml", text)

    def log(self):
        return _read(self.state / "log").decode(errors="replace")

    # The end

    def processes(self):
        """All processes of this site: started in its environment, or with its paths as arguments."""
        mark = f"VMLAN_RUNTIME_DIR={self.runtime}".encode()
        path = f"{self.root}/".encode()
        return [one for one in processes()
                if mark in one.environ.split(b"\0") or path in one.command]

    def _standing(self):
        """Each process, and what it waits for in the kernel."""
        return "\n".join(f"{one}: {_read(Path(f'/proc/{one.pid}/wchan')).decode()}"
                         for one in self.processes())

    def _end_children(self):
        for child in self.children:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(5)
                except subprocess.TimeoutExpired:
                    child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()

    def _end_networks(self):
        """The networks are read from the folder: ls would start a broker that is not there."""
        folder = self.runtime / "net"
        for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
            done = self.vmlan("down", name, check=False)
            ended = f"vmlan down: network {name} is not running"  # by itself, meanwhile
            if done.returncode and not done.stderr.startswith(ended):
                yield f"vmlan down {name}: status {done.returncode}: {done.stderr.strip()}"

    def _end_processes(self, timeout):
        deadline = time.monotonic() + timeout
        while (left := self.processes()) and time.monotonic() < deadline:
            wait_gone([one.pid for one in left], deadline - time.monotonic())
        for one in left:
            yield f"process left: {one}"
        end([one.pid for one in left])

    def _leftovers(self):
        for path in sorted(self.runtime.rglob("*")):
            if path == self.runtime / "net" and not os.listdir(path):
                continue
            yield f"left in the runtime directory: {path.relative_to(self.runtime)}"
        for path in sorted(self.root.glob("sanitizer.*")):
            yield f"{path.name}:\n{_read(path).decode(errors='replace')}"

    def close(self, timeout=10):
        """Ends every network, then asserts that neither process nor file is left."""
        try:
            self._end_children()
            problems = [*self._end_networks(), *self._end_processes(timeout), *self._leftovers()]
            assert not problems, "\n".join([*problems, "log:", self.log()])
        finally:
            end([one.pid for one in self.processes()])
            shutil.rmtree(self.root, ignore_errors=True)
