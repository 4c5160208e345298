# SPDX-License-Identifier: Apache-2.0
"""vmlan run: a command with ports of its own, told of them by descriptors, words, environment."""

import hashlib
import os
import re
import signal
import subprocess

import pytest
from lib import wait_until
from netlib import Seat, Vm, ports

pytestmark = pytest.mark.engine


def one_line(site, *words, **options):
    return site.vmlan("run", *words, **options).stdout.strip()


def mac(site, *words, command=("sh", "-c", "echo $VMLAN_MAC"), **options):
    return one_line(site, *words, "--", *command, **options)


# Status, signals, descriptors


@pytest.mark.sanitized
@pytest.mark.parametrize("command, status", [
    ("true", 0), ("exit 42", 42), ("kill -TERM $$", -15), ("kill -KILL $$", -9)])
def test_exit_status_is_the_commands(site, command, status):
    assert site.vmlan("run", "shared", "--", "sh", "-c", command,
                      check=False).returncode == status


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 15), (signal.SIGINT, 2),
                                            (signal.SIGHUP, 1), (signal.SIGUSR1, 10)])
def test_signals_reach_the_command(site, number, status):
    child = site.popen("run", "shared", "--", "sh", "-c",
                       f"trap 'echo got; exit {status + 50}' {status}; echo; read never",
                       stdin=subprocess.PIPE)
    child.stdout.readline()
    child.send_signal(number)
    assert child.stdout.readline() == "got\n" and child.wait(5) == status + 50


def test_command_is_the_process_that_was_started(site):
    vm = Vm(site, "shared")
    assert ports(site)[vm.port]["pid"] == vm.process.pid
    assert os.readlink(f"/proc/{vm.process.pid}/exe").endswith("/cat")


@pytest.mark.parametrize("command, status, why", [
    ("nosuchcommand", 127, "No such file or directory"),
    ("/nonexistent/x", 127, "No such file or directory"),
    ("/etc/passwd", 126, "Permission denied")])
def test_command_that_cannot_run(site, command, status, why):
    done = site.vmlan("run", "shared", "--", command, check=False)
    assert (done.returncode, done.stderr) == (status, f"vmlan run: cannot run {command}: {why}\n")


@pytest.mark.sanitized
@pytest.mark.parametrize("words, count", [
    (["shared"], 1), (["-n", "shared,queues=4"], 4), (["-n", "shared,queues=2", "-n", "host"], 3)])
def test_command_inherits_the_taps_and_nothing_else(site, words, count):
    signals = "grep -e SigBlk -e SigIgn /proc/self/status"
    done = site.vmlan("run", *words, "--", "sh", "-c", f"ls -l /proc/$$/fd; {signals}; "
                      "echo - $VMLAN_FDS:$VMLAN_FDS1 | tr : ' '")
    lines = [line.split() for line in done.stdout.splitlines()]
    fds = {line[-3]: line[-1] for line in lines if "->" in line}
    told = lines[-1][1:]
    assert sorted(set(fds) - {"0", "1", "2"}, key=int) == sorted(told, key=int)
    vhost = [fd for fd in fds if fds[fd] == "/dev/vhost-net"]
    assert len(told) - len(vhost) == count
    assert all(fds[fd] in ("/dev/net/tun", "/dev/vhost-net") for fd in told)
    without = site.run("sh", "-c", signals).stdout.splitlines()
    assert [line for line in done.stdout.splitlines() if line.startswith("Sig")] == without


TUNGETIFF, IFF_TAP, IFF_NO_PI, IFF_MULTI_QUEUE, IFF_VNET_HDR = 0x800454D2, 2, 0x1000, 0x100, 0x4000


@pytest.mark.parametrize("queues", [1, 4])
def test_queues_are_taps_of_one_port(site, queues):
    source = ("import fcntl, os, struct\n"
              "for fd in os.environ['VMLAN_FDS'].split(':'):\n"
              f"    got = fcntl.ioctl(int(fd), {TUNGETIFF}, bytes(40))\n"
              "    print(got[:16].strip(bytes(1)).decode(), struct.unpack_from('H', got, 16)[0])\n")
    lines = one_line(site, "-n", f"shared,queues={queues}", "--", "python3", "-c",
                     source).splitlines()
    assert len(lines) == queues
    for line in lines:
        name, flags = line.split()
        wanted = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if queues > 1 else 0)
        assert name == "vm0" and int(flags) & wanted == wanted


def test_tap_is_on_the_segment(site):
    """A frame written to the tap arrives at a guest: ARP, answered by its kernel."""
    guest = Seat(site, "shared", name="guest")
    source = (
        "import os, select, socket\n"
        f"me, you = bytes.fromhex('5254000000ee'), socket.inet_aton('{guest.address}')\n"
        "mine = socket.inet_aton('192.168.107.250')\n"
        "arp = bytes.fromhex('0001080006040001') + me + mine + bytes(6) + you\n"
        "fd = int(os.environ['VMLAN_FD'])\n"
        "while True:\n"
        "    os.write(fd, bytes(10) + b'\\xff' * 6 + me + b'\\x08\\x06' + arp)\n"
        "    while select.select([fd], [], [], 0.2)[0]:\n"
        "        frame = os.read(fd, 65536)[10:]\n"
        "        if frame[12:14] == b'\\x08\\x06' and frame[21] == 2 and frame[28:32] == you:\n"
        "            print(frame[22:28].hex(':'))\n"
        "            raise SystemExit\n")
    answer = one_line(site, "-n", "shared,mac=52:54:00:00:00:ee", "--", "python3", "-c", source)
    assert answer in guest.check("ip link show eth0") and len(answer) == 17


# Words and environment


@pytest.mark.sanitized
def test_placeholders(site):
    out = one_line(site, "-n", "shared,mac=52:54:00:00:00:01,queues=2", "-n",
                   "host,mac=52:54:00:00:00:02", "--", "echo", "a{mac}b", "{mac1}{mac0}",
                   "{ifname},{port}", "{network} {network1}", "{gateway}/{subnet}", "{mtu1}",
                   "{fds}", "{fd}", "{fd1}", "{nothing}", "{mac2", "{}")
    words = out.split(" ")
    assert words[:7] == ["a52:54:00:00:00:01b", "52:54:00:00:00:0252:54:00:00:00:01", "vm0,vm0",
                         "shared", "host", "192.168.107.1/192.168.107.0/24", "1500"]
    first, second = words[7].split(":")
    assert words[8] == first and len({first, second, words[9]}) == 3
    assert words[10:] == ["{nothing}", "{mac2", "{}"]


def test_placeholder_of_a_network_that_is_not_there(site):
    done = site.vmlan("run", "shared", "--", "echo", "{fd1}", check=False)
    assert (done.returncode, done.stderr) == (
        1, "vmlan run: {fd1}: there is no network 1; networks are numbered from 0 in the order of "
           "-n\n")


@pytest.mark.sanitized
def test_environment(site):
    vm = Vm(site, "-n", "shared,name=vm,mac=52:54:00:00:00:01", "-n", "host")
    seen = site.json("ls")
    shared = next(one for one in seen if one["network"] == "shared")
    expected = {
        "VMLAN_COUNT": "2", "VMLAN_NETWORK": "shared", "VMLAN_NETWORK1": "host",
        "VMLAN_PORT": "vm0", "VMLAN_IFNAME": "vm0", "VMLAN_IFNAME1": "vm0",
        "VMLAN_MAC": "52:54:00:00:00:01", "VMLAN_MTU": "1500",
        "VMLAN_SUBNET": "192.168.107.0/24", "VMLAN_SUBNET1": "192.168.108.0/24",
        "VMLAN_GATEWAY": "192.168.107.1", "VMLAN_GATEWAY1": "192.168.108.1",
        "VMLAN_GATEWAY6": shared["gateway6"], "VMLAN_DOMAIN": "shared.internal",
        "VMLAN_DOMAIN1": "host.internal", "VMLAN_FDS": vm.env["VMLAN_FD"],
        "VMLAN_FDS1": vm.env["VMLAN_FD1"]}
    assert expected.items() <= vm.env.items()
    assert vm.env["VMLAN_FD"].isdigit() and vm.env["VMLAN_FD"] != vm.env["VMLAN_FD1"]
    assert vm.env["VMLAN_MAC1"] == ports(site, "host")["vm0"]["mac"]


def test_short_form_and_n_are_the_same(site):
    assert Vm(site, "shared", "host").env["VMLAN_COUNT"] == "2"
    assert Vm(site, "-n", "shared", "host").env["VMLAN_NETWORK1"] == "host"
    assert Vm(site, "-nshared", "--network=shared").env["VMLAN_IFNAME1"] != ""


def test_eight_networks(site):
    vm = Vm(site, *["-n", "shared"] * 8)
    assert vm.env["VMLAN_COUNT"] == "8" and len(ports(site)) == 8
    assert len({one["mac"] for one in ports(site).values()}) == 8


# Names and addresses


@pytest.mark.sanitized
@pytest.mark.parametrize("field, message", [
    ("name=web", "Attach.name: port vm0 has the name web already; choose another name"),
    ("name=WEB", "Attach.name: port vm0 has the name WEB already; choose another name"),
    ("mac=52:54:00:00:00:01", "Attach.mac: port vm0 of web has the MAC address 52:54:00:00:00:01 "
                              "already; give this guest a MAC address of its own"),
    ("ip=192.168.107.9", "Attach.ip: 192.168.107.9 is reserved for another port; choose another "
                         "address, or leave ip out to have one chosen")])
def test_conflicts(site, field, message):
    vm = Vm(site, "-n", "shared,name=web,mac=52:54:00:00:00:01,ip=192.168.107.9")
    before = ports(site)
    done = site.vmlan("run", "-n", f"shared,{field}", "--", "true", check=False)
    assert (done.returncode, done.stderr) == (1, f"vmlan run: {message}\n")
    assert ports(site) == before
    assert vm.leave() == 0


def test_ip_of_the_configuration_is_not_for_others(site):
    site.config("vmnet:\n  lan:\n    subnet: 10.62.0.0/24\n    reservations:\n"
                "    - {mac: 52:54:00:00:00:55, ip: 10.62.0.9}\n")
    done = site.vmlan("run", "-n", "lan,ip=10.62.0.9", "--", "true", check=False)
    assert done.returncode == 1 and done.stderr.startswith(
        "vmlan run: Attach.ip: 10.62.0.9 is reserved for another MAC address in the configuration")
    site.vmlan("run", "-n", "lan,ip=10.62.0.9,mac=52:54:00:00:00:55", "--", "true")


def test_attached_is_all_or_nothing(site):
    """The second network is refused: the first port goes again, the command does not run."""
    done = site.vmlan("run", "-n", "shared,name=vm", "-n", "host,ip=203.0.113.1", "--", "echo",
                      "ran", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    wait_until(lambda: not ports(site), what="the port's end")


def test_mac_is_stable_and_the_commands_own(site):
    first = mac(site, "shared")
    assert re.fullmatch("52:55:55(:[0-9a-f]{2}){3}", first)
    assert mac(site, "shared") == first
    assert mac(site, "host") != first
    assert mac(site, "shared", command=("sh", "-c", "echo $VMLAN_MAC; true")) != first
    assert mac(site, "-n", "shared,name=vm") != first


def test_mac_depends_on_where_the_command_runs(site):
    def there(folder):
        line = f"cd {folder} && exec {site.bin} run shared -- sh -c 'echo $VMLAN_MAC'"
        return site.run("sh", "-c", line).stdout

    assert there(site.root / "tmp") == there(site.root / "tmp") != there(site.root / "home")


def test_mac_of_a_name_is_independent_of_the_command(site):
    first = mac(site, "-n", "shared,name=vm")
    assert mac(site, "-n", "shared,name=vm", command=("printenv", "VMLAN_MAC")) == first
    assert Seat(site, "shared", name="vm").check("ip link show eth0").count(first) == 1


def test_started_again_at_once_it_has_the_same_mac(site):
    """The kernel takes a port away some ms after its process: a new start waits for that."""
    words = ("-n", "shared,name=vm")
    assert len({mac(site, *words) for _ in range(10)}) == 1


def test_second_of_the_same_command_has_a_mac_of_its_own(site):
    first, second = Vm(site, "shared"), Vm(site, "shared")
    assert first.env["VMLAN_MAC"] != second.env["VMLAN_MAC"]


# lima.yaml


@pytest.mark.sanitized
def test_instance(site):
    path = site.write("tmp/lima.yaml", "networks:\n- lima: user-v2\n- vmnet: shared\n"
                      "- vmnet: host\n  macAddress: 52:55:55:12:34:56\n")
    out = one_line(site, "--instance", path, "--", "echo", "{network},{network1},{mac},{mac1}")
    machine = open("/etc/machine-id").read().strip()
    digest = hashlib.sha256(f"{machine}{path}#1".encode()).digest()
    assert out == "shared,host,52:55:55:" + digest[:3].hex(":") + ",52:55:55:12:34:56"


def test_instance_and_n_together(site):
    path = site.write("tmp/lima.yaml", "networks:\n- vmnet: host\n")
    vm = Vm(site, "-n", "shared", "--instance", path)
    assert (vm.env["VMLAN_NETWORK"], vm.env["VMLAN_NETWORK1"]) == ("shared", "host")


@pytest.mark.parametrize("text, message", [
    ("networks:\n- vmnet: shared\n  lima: bridged\n",
     ":3:3: networks[0].lima: excludes vmnet, which is set too; keep one of lima, socket, vzNAT "
     "and vmnet"),
    ("networks:\n- socket: /x\n  vmnet: shared\n",
     ":3:3: networks[0].vmnet: excludes socket, which is set too; keep one of lima, socket, vzNAT "
     "and vmnet"),
    ("networks:\n- vzNAT: true\n  vmnet: shared\n",
     ":3:3: networks[0].vmnet: excludes vzNAT, which is set too; keep one of lima, socket, vzNAT "
     "and vmnet"),
    ("networks:\n- macAddress: 52:55:55:12:34:56\n",
     ":2:3: networks[0]: names no network; set one of lima, socket, vzNAT: true and vmnet, such as "
     "vmnet: shared"),
    ("networks:\n- vmnet: shared\n  macAddress: nonsense\n", None),
    ("networks:\n- vmnet: Bad!\n", None),
    ("networks:\n- vmnet: [shared]\n", None),
    ("networks: {", None)])
def test_instance_that_is_wrong(site, text, message):
    path = site.write("tmp/lima.yaml", text)
    done = site.vmlan("run", "--instance", path, "--", "echo", "ran", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    if message:
        assert done.stderr == f"vmlan run: {path}{message}\n"
    place = re.escape(str(path)) + r":\d+:\d+"
    assert re.fullmatch(rf"vmlan run: {place}: [^\n]+; [^\n]+\n", done.stderr)


def test_instance_without_vmnet(site):
    path = site.write("tmp/lima.yaml", "networks:\n- lima: shared\n")
    done = site.vmlan("run", "--instance", path, "--", "true", check=False)
    assert (done.returncode, done.stderr) == (
        1, "vmlan run: no network is named: the instance has no vmnet entry in its networks\n")
