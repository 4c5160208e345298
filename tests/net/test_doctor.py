# SPDX-License-Identifier: Apache-2.0
"""vmlan doctor, and what networks say for themselves, where the machine lacks something: each with
the exact cure. Kernels without bridge, veth or TPROXY can't be had here.
"""

import json

import pytest
from netlib import running

pytestmark = pytest.mark.engine
USERNS = ("this machine allows no user namespaces (user.max_user_namespaces is 0)",
          "as root: echo user.max_user_namespaces=15000 > /etc/sysctl.d/50-vmlan.conf && "
          "sysctl --system")
NETNS = ("this machine allows no network namespaces (user.max_net_namespaces is 0)",
         "as root: echo user.max_net_namespaces=15000 > /etc/sysctl.d/50-vmlan.conf && "
         "sysctl --system")
TUN = ("cannot open /dev/net/tun: Permission denied",
       "as root: chmod 0666 /dev/net/tun (the mode distributions ship it with)")
NO_TUN = ("cannot open /dev/net/tun: No such file or directory", "as root: modprobe tun")
DIRECTORY = ("cannot make directory /proc/none: No such file or directory",
             "make it and let this user write it")
READ_ONLY = ("cannot set /proc/sys/net/ipv4/ip_forward to 1: Read-only file system",
             "in a container, start that with /proc/sys writable (podman: --security-opt "
             "unmask=/proc/sys; docker: --security-opt systempaths=unconfined)")
USED_UP = ("there are as many namespaces as this machine allows (user.max_user_namespaces, "
           "user.max_net_namespaces); end networks, guests or containers that are not needed, or")
NAMESPACES = ["user and network namespaces", "settings of namespaces", "bridge", "tap devices",
              "veth pairs", "nftables with TPROXY"]


def broken(site, command, *words, **env):
    """vmlan after a command in user and mount namespaces of its own."""
    site.env.update(env)
    return site.run("unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                    f'{command}; exec "$@"', "sh", site.bin, *words, check=False)


def bad(done):
    """What doctor finds missing: title -> (reason, cure)."""
    return {one["check"]: (one["reason"], one["cure"]) for one in json.loads(done.stdout)
            if one["needed"] and not one["good"]}


@pytest.mark.sanitized
def test_nothing_is_missing(site):
    done = site.vmlan("doctor")
    assert done.stdout.endswith("networks can run here\n")
    assert "BAD" not in done.stdout
    assert bad(site.vmlan("doctor", "--json")) == {}
    assert site.processes() == []


def test_report_for_people(site):
    site.env["VMLAN_RUNTIME_DIR"] = "/proc/none"
    done = site.vmlan("doctor", check=False)
    site.env["VMLAN_RUNTIME_DIR"] = str(site.runtime)
    assert done.returncode == 1
    assert done.stdout.startswith(f"BAD   runtime directory\n      {DIRECTORY[0]}\n"
                                  f"      cure: {DIRECTORY[1]}\n")
    assert done.stdout.endswith("1 thing(s) to cure before networks can run here\n")


@pytest.mark.sanitized
@pytest.mark.parametrize("command, missing, titles", [
    ("echo 0 >/proc/sys/user/max_user_namespaces", USERNS, NAMESPACES),
    ("echo 0 >/proc/sys/user/max_net_namespaces", NETNS, NAMESPACES),
    ("mount --bind /etc/shadow /dev/net/tun", TUN, ["tap devices"]),
    ("mount -t tmpfs none /dev/net", NO_TUN, ["tap devices"])],
    ids=["userns", "netns", "tun-unreadable", "tun-missing"])
def test_machine_that_lacks_something(site, command, missing, titles):
    done = broken(site, command, "doctor", "--json")
    assert done.returncode == 1 and bad(done) == dict.fromkeys(titles, missing)
    done = broken(site, command, "run", "shared", "--", "echo", "ran")
    assert (done.returncode, done.stdout, done.stderr) == (
        1, "", f"vmlan run: {missing[0]}; {missing[1]}\n")


def test_settings_are_read_only(site):
    """As in most containers. Which setting is met first depends on the kernel's modules."""
    command = "mount --bind /proc/sys /proc/sys && " \
        "mount -o remount,bind,ro,nosuid,nodev,noexec /proc/sys"
    done = broken(site, command, "doctor", "--json")
    assert bad(done) == {"settings of namespaces": READ_ONLY}
    done = broken(site, command, "run", "shared", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("vmlan run: cannot set /proc/sys/net/")
    assert done.stderr.endswith(f": Read-only file system; {READ_ONLY[1]}\n")


@pytest.mark.parametrize("limit", ["max_user_namespaces", "max_net_namespaces"])
def test_limit_of_namespaces_is_reached(site, limit):
    """The network has the only one; a guest with one of its own is too many."""
    done = broken(site, f"echo 1 >/proc/sys/user/{limit}", "join", "shared", "--", "true")
    assert done.returncode == 1 and done.stderr.startswith(f"vmlan join: {USED_UP}")


def test_tap_is_not_needed_to_join(site):
    done = broken(site, "mount -t tmpfs none /dev/net", "join", "shared", "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (0, "ran\n")


def test_dnsmasq_is_missing(site):
    done = broken(site, "mount -t tmpfs none /usr/sbin", "doctor", "--json")
    assert bad(done) == {"dnsmasq": (
        "the program dnsmasq is not there",
        "install it; Debian, Ubuntu: apt-get install dnsmasq-base; Fedora: dnf install dnsmasq")}
    done = broken(site, "mount -t tmpfs none /usr/sbin", "run", "shared", "--", "true")
    assert (done.returncode, done.stderr) == (
        1, "vmlan run: the program dnsmasq is not there; install it (Debian, Ubuntu: apt-get "
           "install dnsmasq-base), or set dhcp, dnsProxy and routerAdvertisement of the network "
           "to false\n")
    assert running(site) == []


def test_dnsmasq_given_is_missing(site):
    site.env["VMLAN_DNSMASQ"] = "/nonexistent"
    reason, cure = "/nonexistent (VMLAN_DNSMASQ) can't be run", "correct VMLAN_DNSMASQ, or unset it"
    assert bad(site.vmlan("doctor", "--json", check=False)) == {"dnsmasq": (reason, cure)}
    done = site.vmlan("run", "shared", "--", "true", check=False)
    assert (done.returncode, done.stderr) == (1, f"vmlan run: {reason}; {cure}\n")
    assert running(site) == []


def test_network_that_needs_no_dnsmasq(site):
    site.env["VMLAN_DNSMASQ"] = "/nonexistent"
    site.config("vmnet:\n  bare: {dhcp: false, dnsProxy: false, routerAdvertisement: false}\n")
    assert site.vmlan("run", "bare", "--", "echo", "ran").stdout == "ran\n"


@pytest.mark.sanitized
def test_runtime_directory_cannot_be_made(site):
    site.env["VMLAN_RUNTIME_DIR"] = "/proc/none"
    found = bad(site.vmlan("doctor", "--json", check=False))
    done = site.vmlan("up", "shared", check=False)
    site.env["VMLAN_RUNTIME_DIR"] = str(site.runtime)
    assert found == {"runtime directory": DIRECTORY}
    assert (done.returncode, done.stderr) == (1, f"vmlan up: {'; '.join(DIRECTORY)}\n")


def test_runtime_directory_is_anothers(site):
    site.env["VMLAN_RUNTIME_DIR"] = "/etc"
    found = bad(site.vmlan("doctor", "--json", check=False))
    site.env["VMLAN_RUNTIME_DIR"] = str(site.runtime)
    assert found == {"runtime directory": (
        "/etc is not a directory that belongs to this user alone",
        f"remove it, or chown it to uid {site.user.uid} and chmod 0700 it")}


def test_runtime_directory_others_may_write(site):
    site.runtime.mkdir(mode=0o700)
    site.user.own(site.runtime).chmod(0o777)
    done = site.vmlan("up", "shared", check=False)
    assert (done.returncode, done.stderr) == (
        1, f"vmlan up: {site.runtime} is not a directory that belongs to this user alone; remove "
           f"it, or chown it to uid {site.user.uid} and chmod 0700 it\n")
    site.runtime.chmod(0o700)
    site.vmlan("up", "shared")


def test_runtime_directory_is_too_long(site):
    site.env["VMLAN_RUNTIME_DIR"] = str(site.root / "tmp" / ("x" * 90))
    done = site.vmlan("up", "shared", check=False)
    path = site.env["VMLAN_RUNTIME_DIR"]
    site.env["VMLAN_RUNTIME_DIR"] = str(site.runtime)
    assert done.returncode == 1
    assert done.stderr == (f"vmlan up: {path}/broker.sock is too long for a socket's path "
                           "(unix(7): 107 bytes); set VMLAN_RUNTIME_DIR to a shorter directory\n")


@pytest.mark.sanitized
def test_state_directory_cannot_be_made(site):
    site.env["VMLAN_STATE_DIR"] = "/proc/none"
    assert bad(site.vmlan("doctor", "--json", check=False)) == {"state directory": DIRECTORY}
    done = site.vmlan("up", "shared", check=False)
    assert done.returncode == 1
    assert done.stderr.endswith(f"vmlan up: {'; '.join(DIRECTORY)}\n")


def test_configuration_is_wrong(site):
    path = site.config("vmnet:\n  a: {mtu: 1}\n")
    done = site.vmlan("doctor", check=False)
    assert done.returncode == 1
    assert (f"BAD   configuration\n      {path}:2:12: mtu: 1 is too small\n"
            "      cure: use 1280 to 65521\n") in done.stdout
    assert list(bad(site.vmlan("doctor", "--json", check=False))) == ["configuration"]


def test_a_directory_too_long_for_sockets(site):
    where = site.root / ("l" * 90)
    site.env.update(VMLAN_RUNTIME_DIR=str(where))
    done = site.vmlan("doctor", "--json", check=False)
    path = f"{where}/net/shared/datagram.sock"
    assert bad(done) == {"runtime directory": (
        f"{path} is too long for a socket's path (unix(7): 107 bytes)",
        "set VMLAN_RUNTIME_DIR to a shorter directory")}
