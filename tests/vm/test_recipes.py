# SPDX-License-Identifier: Apache-2.0
"""The recipes of docs/hypervisors.md as they stand there, each with a guest that boots. What is
marked "recipe: NAME" on the page is run here; only the disk is another, and the folders.
"""

import os
import re
import shlex
import subprocess
import xml.etree.ElementTree as xml

import lib
import pytest
import stage
from guest import Guest

pytestmark = [pytest.mark.engine, pytest.mark.needs("qemu-system-x86_64")]

PAGE = (lib.TOP / "docs/hypervisors.md").read_text()
QEMU = "qemu-system-x86_64"
QEMU_XML = "http://libvirt.org/schemas/domain/qemu/1.0"
FIRECRACKER = "exec firecracker --no-api --config-file alpha.json"


def recipe(name):
    """The text of the block behind that mark."""
    return re.search(rf"<!-- recipe: {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)[1]


def commands(name):
    """The commands of a recipe, each on one line and without its prompt."""
    return re.split(r"^\$ ", recipe(name).replace("\\\n", ""), flags=re.MULTILINE)[1:]


def in_site(site, text):
    """With the directories of the site instead of the usual ones."""
    text = re.sub(r"(\$XDG_RUNTIME_DIR|/run/user/1000)/vmlan\b", str(site.runtime), text)
    return text.replace("$XDG_RUNTIME_DIR/", f"{site.root}/tmp/")


def test_every_recipe_is_run():
    names = re.findall(r"<!-- recipe: (.*) -->", PAGE)
    assert {*QEMU_RECIPES, *OTHER_RECIPES} == set(names)


def qemu(site, image, words):
    """The guest of a QEMU command, with the test's own disk and memory."""
    environment = [words.pop(0) for word in words[:1] if re.match("[A-Z_]+=", word)]
    split = words.index(QEMU)
    options = words[split + 1:]
    name = options[options.index("-name") + 1]
    for option in ("-m", "-drive"):
        at = options.index(option)
        del options[at:at + 2]
    return Guest(name, image, stage.workdir(site), env=site.env, memory=128, net_args=options,
                 prefix=[*site.user.prefix, "env", *environment, *words[:split]])


def look(site, guest):
    """Has it what a guest has: an address by DHCP, one by itself, names, the gateway?"""
    with guest:
        address = guest.wait_address(4)
        guest.wait_address(6)
        assert address in [one["address"] for one in site.json("leases", "shared")]
        guest.wait_reach(f"{guest.name}.shared.internal")
        for family in (4, 6):
            assert guest.ping("host.internal", family).received == 5


@pytest.fixture(scope="module")
def site(vm_user, vmlan_bin, test_root):
    """With a network that runs, as its paths are there only then."""
    with lib.Site(vm_user, vmlan_bin, test_root) as one:
        one.vmlan("up", "shared")
        yield one


# QEMU

QEMU_RECIPES = ["qemu", "qemu-environment", "qemu-placeholders", "qemu-connect-fd",
                "qemu-stream-path", "qemu-datagram-path"]
QEMU_COMMANDS = {f"{name}-{number}": command for name in QEMU_RECIPES
                 for number, command in enumerate(commands(name), 1)}


@pytest.mark.parametrize("name", QEMU_COMMANDS)
def test_qemu(site, image, name):
    words = shlex.split(in_site(site, QEMU_COMMANDS[name]))
    if QEMU in words:
        look(site, qemu(site, image, words))
    else:
        site.run(*words)


def test_tap_by_name(site, image):
    """As Firecracker would open it."""
    (command,) = commands("tap-by-name")
    assert FIRECRACKER in command
    words = shlex.split(command.replace(FIRECRACKER, 'exec "$@"'))
    site.write("alpha.json.in", '{"host_dev_name": "@IFNAME@", "guest_mac": "@MAC@"}')
    guest = Guest("alpha", image, stage.workdir(site), env=site.env, memory=128,
                  prefix=["env", "-C", site.root, *site.user.prefix, *words, "sh"],
                  net_args=["-netdev", "tap,id=net0,ifname={ifname},script=no,downscript=no",
                            "-device", "virtio-net-pci,netdev=net0,mac={mac}"])
    look(site, guest)
    assert '"host_dev_name": "vm' in (site.root / "alpha.json").read_text()


# libvirt

OTHER_RECIPES = ["tap-by-name", "libvirt-wrapper", "libvirt-wrapper-domain", "libvirt-path-domain"]


@pytest.fixture
def libvirt(site):
    """A session daemon; yields the words before a command of virsh. The daemon and its helpers do
    not run for a user without a name."""
    if missing := lib.missing_wrapper():
        pytest.skip(missing)
    config = site.root / "config/libvirt"
    if not config.exists():
        config.mkdir()
        site.user.own(config)
        site.write("config/libvirt/qemu.conf", 'stdio_handler = "file"\n')  # no virtlogd
    site.env["XDG_RUNTIME_DIR"] = site.env["XDG_CACHE_HOME"] = str(site.root / "tmp")
    prefix = [*site.user.prefix, *lib.named(site.user, site.root / "home")]
    with open(site.root / "libvirtd.log", "wb") as log:
        daemon = subprocess.Popen([*prefix, "libvirtd", "--timeout", "60"], env=site.env,
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        lib.wait_until((site.root / "tmp/libvirt/libvirt-sock").is_socket, what="libvirtd")
        yield [*prefix, "virsh", "-c", "qemu:///session"]
    finally:
        daemon.terminate()
        daemon.wait(20)


def domain(site, image, virsh, name, emulator=None):
    """The guest of a domain of the page. virsh stays: with it the domain ends."""
    tree = xml.fromstring(in_site(site, recipe(name)))
    guest = Guest(tree.find("name").text, image, stage.workdir(site), env=site.env)
    tree.set("type", "qemu")  # instead of kvm
    tree.find("memory").text = "128"
    devices = tree.find("devices")
    devices.remove(devices.find("disk"))
    boot = {"kernel": "-kernel", "initrd": "-initrd", "cmdline": "-append"}
    for key, option in boot.items():
        xml.SubElement(tree.find("os"), key).text = guest.argv[guest.argv.index(option) + 1]
    channel = xml.SubElement(devices, "channel", type="unix")
    xml.SubElement(channel, "source", mode="bind", path=f"{guest.workdir}/{guest.name}.ctl")
    xml.SubElement(channel, "target", type="virtio", name="vmctl")
    if emulator:
        devices.find("emulator").text = str(emulator)
        own = xml.SubElement(tree, f"{{{QEMU_XML}}}commandline")
        for key in ("PATH", "VMLAN_RUNTIME_DIR", "VMLAN_STATE_DIR", "VMLAN_TEST_ROOT"):
            xml.SubElement(own, f"{{{QEMU_XML}}}env", name=key, value=site.env[key])
    file = site.write(f"tmp/{guest.name}.xml", xml.tostring(tree, encoding="unicode"))
    guest.argv = [*virsh, f"create --autodestroy {file}; event --event lifecycle --loop"]
    return guest


@pytest.mark.needs("libvirtd", "virsh")
def test_libvirt_with_a_tap(site, image, libvirt):
    wrapper = site.write("tmp/qemu-vmlan", recipe("libvirt-wrapper"))
    os.chmod(wrapper, 0o755)
    look(site, domain(site, image, libvirt, "libvirt-wrapper-domain", wrapper))


@pytest.mark.needs("libvirtd", "virsh")
def test_libvirt_by_path(site, image, libvirt):
    look(site, domain(site, image, libvirt, "libvirt-path-domain"))
