# SPDX-License-Identifier: Apache-2.0
"""Programs as people use them, in a guest, with servers on the internet."""

import hashlib
import json
import os
import subprocess
import time

import pytest
from lib import missing_wrapper, named, wait_until
from world import OTHER, SERVER, Guest, make_site

pytestmark = pytest.mark.engine

FAMILIES = pytest.mark.parametrize("family", [4, 6])
URL = {4: f"http://{SERVER[4]}:8000", 6: f"http://[{SERVER[6]}]:8000"}
SIZE = 200_000_000
IDLE = int(os.environ.get("VMLAN_IDLE", 5))


@pytest.fixture(scope="module")
def web(world):
    """An HTTP server with a large file and a git repository; yields the folder and a digest."""
    folder = world.root / "web"
    folder.mkdir()
    world.user.own(folder)
    digest = hashlib.sha256()
    block = hashlib.shake_256(b"vmlan").digest(1_000_000)
    with open(folder / "large", "wb") as file:
        for number in range(SIZE // len(block)):
            piece = block[number:] + block[:number]
            digest.update(piece)
            file.write(piece)
    server = world.serve("http", ",".join(SERVER.values()), 8000, folder)
    yield folder, digest.hexdigest()
    world.end(server)


@FAMILIES
@pytest.mark.needs("curl")
def test_download_of_200_megabytes_is_whole(web, guest, family):
    """As apt does: HTTP/1.1, and the checksum of what has arrived."""
    seat = guest()
    output = seat.check(f"curl -fsS --http1.1 -w '%{{stderr}}%{{http_version}}\\n' "
                        f"{URL[family]}/large | sha256sum", timeout=60)
    assert output.split()[:2] == ["1.1", web[1]]


@pytest.mark.needs("curl")
def test_many_requests_on_one_connection(web, guest):
    (web[0] / "small").write_text("small\n")
    seat = guest()
    output = seat.check(f"curl -fsS -w '%{{stderr}}%{{num_connects}} ' '{URL[4]}/small?[1-50]'")
    assert output.count("small\n") + output.endswith("small") == 50
    assert sum(int(word) for word in output.split() if word.isdigit()) == 1


@FAMILIES
@pytest.mark.needs("curl", "nghttpd", "openssl")
def test_http2(world, web, guest, family):
    """Over TLS, and many streams at once in one connection."""
    (web[0] / "small").write_text("small\n")
    world.internet("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                   "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=vmlan", "-days", "2",
                   "-keyout", world.root / "key", "-out", world.root / "certificate")
    server = world.spawn(["nghttpd", f"--address={SERVER[family]}", f"--htdocs={web[0]}", 8443,
                          world.root / "key", world.root / "certificate"])
    wait_until(lambda: world.listening(8443), what="nghttpd")
    url = URL[family].replace("http", "https").replace("8000", "8443")
    try:
        seat = guest()
        output = seat.check(f"curl -fksS -Z -w 'http/%{{http_version}} ' '{url}/small?[1-20]'")
        assert output.count("small") == 20 and output.count("http/2") == 20
        output = seat.check(f"curl -fksS {url}/large | sha256sum", 60)
        assert output.split()[0] == web[1]
    finally:
        world.end(server)


@pytest.mark.needs("git", "curl")
def test_git_clone(world, web, site, guest):
    source = web[0] / "source"
    script = f"""
git init -q {source} && cd {source} && git config user.email a@b && git config user.name a
for n in 1 2 3 4 5; do
    head -c 300000 /dev/urandom >$n && git add . && git commit -qm "number $n"
done
git clone -q --bare {source} {web[0]}/project.git && cd {web[0]}/project.git
git update-server-info"""
    subprocess.run([*world.user.prefix, "sh", "-ec", script], check=True, cwd=world.root,
                   timeout=30, stdin=subprocess.DEVNULL, env=world.environment)
    seat = guest()
    for family in (4, 6):
        seat.check(f"git clone -q {URL[family]}/project.git {site.root}/tmp/clone{family}", 60)
        seat.check(f"git -C {site.root}/tmp/clone{family} fsck --full")
        log = seat.check(f"git -C {site.root}/tmp/clone{family} log --oneline")
        assert log.count("number") == 5


# ssh


@pytest.fixture
def ssh(world):
    """An SSH server of the user's on the internet; yields the client's command, up to the host."""
    if missing := missing_wrapper():
        pytest.skip(missing)
    home = world.root / "ssh"
    home.mkdir()
    world.user.own(home)
    script = """
ssh-keygen -q -t ed25519 -N '' -f key
dropbearkey -t ed25519 -f hostkey 2>&1
mkdir -m 700 .ssh
cp key.pub .ssh/authorized_keys"""
    tester = named(world.user, home)
    subprocess.run([*world.user.prefix, *tester, "sh", "-ec", script], check=True, cwd=home,
                   timeout=30, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   env=world.environment)
    himself = ["unshare", "--user", f"--map-user={world.user.uid}",
               f"--map-group={world.user.gid}"]
    server = world.spawn([*himself, *tester, "dropbear", "-F", "-E", "-s", "-r", home / "hostkey",
                          "-P", home / "pid", "-p", 2022])
    wait_until(lambda: world.listening(2022), what="dropbear")
    yield (f"ssh -F none -i {home}/key -p 2022 -l tester -o BatchMode=yes -o TCPKeepAlive=no "
           "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null")
    world.end(server)


@pytest.mark.limit(IDLE + 100)
@pytest.mark.needs("ssh", "ssh-keygen", "dropbear", "dropbearkey")
def test_ssh_stays_open_while_nothing_is_said(ssh, guest):
    seat = guest()
    for family in (4, 6):  # also the number of the descriptor that is the session's input
        files = f"$TMPDIR/ssh{family}"
        seat.check(f"mkfifo {files}.in; {ssh} {SERVER[family]} cat <{files}.in >{files}.out "
                   f"2>{files}.log & ssh{family}=$!; exec {family}>{files}.in")
        seat.check(f"echo before >&{family}")
        seat.until(f"grep -q before {files}.out")
    time.sleep(IDLE)  # this is what is tested
    for family in (4, 6):
        seat.check(f"echo after >&{family}")
        seat.until(f"grep -q after $TMPDIR/ssh{family}.out")
        seat.check(f"exec {family}>&-; wait $ssh{family}")


# UDP at speed


@FAMILIES
@pytest.mark.needs("iperf3")
@pytest.mark.parametrize("direction", ["", "-R"])
def test_udp_at_200_megabits_is_free_of_loss(world, guest, family, direction):
    """1200-byte datagrams. The machine is shared: the best of three runs counts."""
    server = world.spawn(["iperf3", "-s", "-B", SERVER[family]])
    wait_until(lambda: world.listening(5201), what="iperf3")
    seat = guest()
    losses = []
    for _ in range(3):
        text = seat.check(f"iperf3 -u -b 200M -l 1200 -t 3 -J -w 2M {direction} "
                          f"-c {SERVER[family]}", 30)
        total = json.loads(text)["end"]["sum"]
        assert total["packets"] > 40000
        losses.append(total["lost_packets"])
        if losses[-1] == 0:
            break
    world.end(server)
    assert min(losses) == 0, losses


# ping


@FAMILIES
def test_ping_reaches_the_internet(guest, family):
    seat = guest()
    for size in (56, 1400, 4000):
        text = seat.check(f"ping -{family} -c 3 -i 0.2 -W 5 -s {size} {SERVER[family]}")
        assert "3 packets transmitted, 3 received, 0% packet loss" in text
        assert f"{size + 8} bytes from {SERVER[family]}" in text
    assert "3 received" in seat.check(f"ping -{family} -c 3 -i 0.2 -W 5 {OTHER[family]}")


@FAMILIES
def test_ping_of_who_does_not_answer_is_not_answered(guest, family):
    """Never an answer that nobody gave."""
    target = {4: "198.51.100.1", 6: "2001:db8:1::1"}[family]
    status, text = guest().run(f"ping -{family} -c 2 -i 0.2 -W 1 {target}")
    assert status == 1 and "0 received" in text and "+2 errors" in text
    assert {4: "Destination Host Unreachable",
            6: "Destination unreachable: Address unreachable"}[family] in text


def test_ping_where_the_host_allows_none_is_prohibited(world_without_ping, vmlan_bin, test_root):
    """An answer at once, and no pretence."""
    site = make_site(world_without_ping, vmlan_bin, test_root)
    try:
        seat = Guest(world_without_ping, site)
        for family, words in ((4, "Packet filtered"), (6, "Administratively prohibited")):
            status, text = seat.run(f"ping -{family} -c 2 -i 0.2 -W 2 {SERVER[family]}")
            assert status == 1 and "0 received" in text and words in text
    finally:
        site.close()
