# SPDX-License-Identifier: Apache-2.0
"""Which configuration counts, what happens when it changes, and which subnets networks get."""

import pytest
from netlib import Seat, Vm, down_all, running

engine = pytest.mark.engine

# A file that is wrong, and what is said of it behind its name.
WRONG = [
    ("vmnet:\n  a: {mtu: 99}\n", ":2:12: mtu: 99 is too small; use 1280 to 65521"),
    ("vmnet:\n  a: {mtu: big}\n",
     ':2:12: mtu: "big" is not a whole number; use 1280 to 65521'),
    ("vmnet:\n  a: {mode: bridged}\n",
     ':2:13: mode: "bridged" is not a mode; use shared or host'),
    ("vmnet:\n  a: {subnet: 300.1.2.0/24}\n",
     ':2:15: subnet: "300.1.2.0/24" is not an IPv4 subnet; write ADDRESS/PREFIX, such as '
     "192.168.107.0/24"),
    ("vmnet:\n  a: {subnet: 10.0.0.1/24}\n",
     ':2:15: subnet: "10.0.0.1/24" has host bits set; write 10.0.0.0/24'),
    ("vmnet:\n  a: {subnet: 10.0.0.0/31}\n",
     ':2:15: subnet: "10.0.0.0/31" is too small; use a prefix of 8 to 29'),
    ("vmnet:\n  a: {subnet: 10.1.0.0/24}\n  b: {subnet: 10.1.0.128/25}\n",
     ":3:15: vmnet.b.subnet: 10.1.0.128/25 overlaps 10.1.0.0/24 of a at FILE:2:15; give one of "
     "them another subnet"),
    ("vmnet:\n  a: {}\n  a: {}\n",
     ':3:3: the key "a" stands here again; the first is at FILE:2:3; keep one of them'),
    ("vmnet:\n  Bad!: {}\n",
     ':2:3: "Bad!" can\'t be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter or '
     "digit first and last"),
    ("vmnet:\n  a: {dhcp: 1}\n", ":2:13: dhcp: 1 is not a boolean; write true"),
    ("vmnet: [a, b]\n", ":1:8: vmnet: a list is not a mapping; write the settings below it, as "
                        "KEY: VALUE"),
    ("vmnets:\n  a: {}\n",
     ':1:1: unknown key "vmnets"; did you mean vmnet? Known keys: vmnet, clients'),
    ("vmnet:\n  a: {linger: -1}\n", ":2:15: linger: -1 is too small; use 0 to 86400"),
    ("vmnet:\n  a: {mtu: 1500\n",
     ":3:1: not YAML: while parsing a flow mapping, did not find expected ',' or '}'; check the "
     "indentation, brackets and quotes there"),
]


@pytest.mark.sanitized
@pytest.mark.parametrize("text, message", WRONG)
def test_check_of_a_wrong_file(site, text, message):
    path = site.write("tmp/networks.yaml", text)
    done = site.vmlan("check", path, check=False)
    line = f"{path}{message.replace('FILE', str(path))}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_check_tells_of_every_fault(site):
    path = site.write("tmp/networks.yaml", "vmnet:\n  a: {mtu: 1, dhcp: 2}\n  b: {mode: x}\n")
    lines = site.vmlan("check", path, check=False).stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"{path}:2:12", f"{path}:2:21", f"{path}:3:13"]


def test_unknown_key_is_named_with_a_guess(site):
    path = site.write("tmp/networks.yaml", "vmnet:\n  a: {dhpc: true}\n")
    line = site.vmlan("check", path, check=False).stderr
    assert line.startswith(f'{path}:2:7: a: unknown key "dhpc"; did you mean dhcp? Known keys: ')


def test_check_of_a_good_file(site):
    path = site.config("vmnet:\n  lan: {mtu: 9000}\n  other:\n")
    assert site.vmlan("check").stdout == f"{path}: good\n  lan\n  other\n"
    assert site.json("check") == {"lan": {"mtu": 9000}, "other": {}}


@pytest.mark.sanitized
def test_wrong_file_starts_nothing(site):
    path = site.config("vmnet:\n  good: {}\n  bad: {mtu: 1}\n")
    for words in (["up", "good"], ["run", "good", "--", "true"], ["join", "good", "--", "true"]):
        done = site.vmlan(*words, check=False)
        assert (done.returncode, done.stderr) == (
            1, f"vmlan {words[0]}: {path}:3:14: mtu: 1 is too small; use 1280 to 65521\n")
    assert site.processes() == []


# Where the configuration comes from


@engine
def test_networks_of_the_order(site):
    """--config before $VMLAN_CONFIG before the user's file before Lima's before the built-in."""
    def subnet(*words):
        down_all(site)
        return site.vmlan(*words, "run", "lan", "--", "sh", "-c", "echo $VMLAN_SUBNET",
                          check=False).stdout.strip()

    assert subnet() == ""
    site.write("lima/_config/networks.yaml",
               "networks: {}\nvmnet:\n  lan: {subnet: 10.1.1.0/24}\n")
    assert subnet() == "10.1.1.0/24"
    site.config("vmnet:\n  lan: {subnet: 10.1.2.0/24}\n")
    assert subnet() == "10.1.2.0/24"
    path = site.write("tmp/c.yaml", "vmnet: {lan: {subnet: 10.1.3.0/24}}\n")
    site.env["VMLAN_CONFIG"] = str(path)
    assert subnet() == "10.1.3.0/24"
    path = site.write("tmp/d.yaml", "vmnet: {lan: {subnet: 10.1.4.0/24}}\n")
    assert subnet("--config", path) == "10.1.4.0/24"


@engine
@pytest.mark.sanitized
def test_another_configuration_warns_and_the_first_wins(site):
    site.config("vmnet:\n  lan: {mtu: 1500, subnet: 10.63.0.0/24}\n")
    vm = Vm(site, "lan")
    path = site.write("tmp/other.yaml",
                      "vmnet:\n  lan: {mtu: 9000, subnet: 10.64.0.0/24, dhcp: true}\n")
    for words, verb in ((["run", "lan", "--", "true"], "run"), (["up", "lan"], "up")):
        done = site.vmlan("--config", path, *words)
        assert done.stderr == (
            f"vmlan {verb}: warning: network lan runs with another configuration (mtu, subnet "
            "differ); vmlan down lan, then start it anew to apply yours\n")
    done = site.vmlan("--config", path, "run", "lan", "--", "sh", "-c", "echo $VMLAN_MTU")
    assert done.stdout == "1500\n"
    assert site.vmlan("run", "lan", "--", "true").stderr == ""
    assert vm.leave() == 0
    site.vmlan("down", "lan")
    assert Vm(site, "--config", path, "lan").env["VMLAN_MTU"] == "9000"


@engine
def test_what_runs_needs_no_file(site):
    """A network goes on when its name has gone from the file."""
    path = site.config("vmnet:\n  lan: {}\n")
    vm = Vm(site, "lan")
    path.unlink()
    assert Vm(site, "lan").env["VMLAN_SUBNET"] == vm.env["VMLAN_SUBNET"]


# Subnets


@engine
def test_chosen_subnet_is_kept_for_the_name(site):
    site.config("vmnet:\n  a: {}\n  b: {}\n")
    a, b = Vm(site, "a").env["VMLAN_SUBNET"], Vm(site, "b").env["VMLAN_SUBNET"]
    assert a != b
    down_all(site)
    assert Vm(site, "b").env["VMLAN_SUBNET"] == b
    assert Vm(site, "a").env["VMLAN_SUBNET"] == a


@engine
def test_subnet_of_a_network_that_runs_is_refused(site):
    site.config("vmnet:\n  a: {subnet: 10.65.0.0/16}\n")
    Vm(site, "a")
    path = site.write("tmp/b.yaml", "vmnet:\n  b: {subnet: 10.65.3.0/24}\n")
    done = site.vmlan("--config", path, "run", "b", "--", "true", check=False)
    assert (done.returncode, done.stderr) == (
        1, "vmlan run: subnet 10.65.3.0/24 of network b overlaps network a (10.65.0.0/16); give "
           "network b another subnet, or leave subnet out to have one chosen\n")
    assert running(site) == ["a"]


HOST = "ip link set lo up; ip link add eth9 type bridge; ip link set eth9 up; "


def on_host(site, routes, *words):
    """vmlan on a host with these routes: the broker too runs in a network namespace made for it."""
    site.env["VMLAN_CONFIG"] = str(site.root / "config/vmlan/networks.yaml")
    command = HOST + "".join(f"ip route add {route} dev eth9; " for route in routes)
    down_all(site)
    done = site.run("unshare", "--user", "--map-root-user", "--net", "sh", "-c",
                    f'{command} exec "$@"', "sh", site.bin, *words, check=False)
    return done.returncode, done.stdout, done.stderr


PRINT = ("--", "sh", "-c", "echo $VMLAN_SUBNET")


@engine
def test_chosen_subnet_avoids_routes_of_the_host(site):
    site.config("vmnet:\n  lan: {}\n")
    routes = ["192.168.109.0/24", "192.168.110.0/23", "192.168.112.7/32", "default"]
    assert on_host(site, routes, "run", "lan", *PRINT) == (0, "192.168.113.0/24\n", "")
    assert on_host(site, [], "run", "lan", *PRINT) == (0, "192.168.113.0/24\n", "")


@engine
def test_kept_subnet_gives_way_to_a_new_route(site):
    site.config("vmnet:\n  lan: {}\n")
    assert on_host(site, [], "run", "lan", *PRINT) == (0, "192.168.109.0/24\n", "")
    assert on_host(site, ["192.168.0.0/17"], "run", "lan", *PRINT)[1] == "192.168.128.0/24\n"
    assert "192.168.109.0/24 is no longer free (the host's route 192.168.0.0/17" in site.log()


@engine
def test_subnet_of_a_host_route_is_refused(site):
    site.config("vmnet:\n  lan: {subnet: 10.9.0.0/24}\n")
    status, _, line = on_host(site, ["10.0.0.0/8"], "run", "lan", *PRINT)
    assert (status, line) == (
        1, "vmlan run: subnet 10.9.0.0/24 of network lan overlaps the host's route 10.0.0.0/8 via "
           "eth9; give network lan another subnet, or leave subnet out to have one chosen\n")
    assert on_host(site, ["default"], "run", "lan", *PRINT) == (0, "10.9.0.0/24\n", "")


@engine
def test_guests_on_such_a_host(site):
    """vmlan inside a container-like host: namespaces within a user namespace."""
    site.config("vmnet:\n  shared: {subnet: 192.168.107.0/24}\n")
    status, out, _ = on_host(site, [], "join", "shared", "--", "sh", "-c",
                             "ping -c 1 -W 5 host.internal >&2 && ip -o -4 addr show eth0")
    assert status == 0 and "192.168.107." in out


@engine
def test_leases_of_a_network_that_does_not_run(site):
    guest = Seat(site, "shared", name="guest")
    address = guest.address
    guest.leave()
    down_all(site)
    assert [one["address"] for one in site.json("leases", "shared")] == [address]
    assert site.vmlan("leases", "shared").stdout.split()[:3:2] == [address, "guest"]


@engine
def test_reports_for_people(site):
    vm = Vm(site, "-n", "shared,name=vm,mac=52:54:00:00:00:01")
    lines = site.vmlan("ls").stdout.splitlines()
    assert lines[0] == "shared  shared  192.168.107.0/24  mtu 1500  gateway 192.168.107.1"
    assert lines[1].split() == ["vm0", "tap", "vm", "52:54:00:00:00:01", "pid",
                                str(vm.process.pid), "-"]
    inspected = site.json("inspect", "shared")
    assert inspected["network"]["ports"][0]["name"] == "vm" and inspected["leases"] == []
