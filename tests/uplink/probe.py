# SPDX-License-Identifier: Apache-2.0
"""What a process sees that uses the network: run on the host and in a guest, and compared.

    probe.py '[["ACTION", ARGUMENT...], ...]'

All actions run at once; what each saw is printed as a JSON list. An action is a function of this
file that returns what is the same wherever the network is the same: results and errors, no times.
"""

import concurrent.futures
import errno
import fcntl
import json
import os
import resource
import select
import socket
import struct
import sys
import termios
import time
import zlib

LIMIT = 20  # seconds for anything that is to happen
SILENCE = 1.5  # seconds after which a connect or a datagram counts as unanswered
RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
TTL = {socket.AF_INET: (socket.IPPROTO_IP, socket.IP_TTL),
       socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)}
BLOCK = bytes(range(241)) * 272


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def name_of(error):
    if isinstance(error, TimeoutError) and error.errno is None:
        return "silence"
    return errno.errorcode.get(error.errno, str(error))


def dial(address, port, timeout=LIMIT):
    conn = socket.socket(family_of(address), socket.SOCK_STREAM)
    conn.settimeout(timeout)
    try:
        conn.connect((address, port))
    except OSError:
        conn.close()
        raise
    conn.settimeout(LIMIT)
    return conn


def all_of(conn):
    """Everything until the end as size and CRC."""
    size = value = 0
    while piece := conn.recv(1 << 20):
        size, value = size + len(piece), zlib.crc32(piece, value)
    return [size, value]


def saw(address, token):
    """What the server saw of the connection that sent this token."""
    with dial(address, 2099) as conn:
        conn.sendall(f"{token}\n".encode())
        return conn.recv(1000).decode()


def token():
    return os.urandom(8).hex()


# TCP


def connect(address, port):
    try:
        dial(address, port, SILENCE).close()
        return "connected"
    except OSError as error:
        return name_of(error)


def echo(address, port=7, size=100000):
    def send():
        conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)

    data = os.urandom(size)
    with dial(address, port) as conn, concurrent.futures.ThreadPoolExecutor(1) as sender:
        sent = sender.submit(send)
        back = all_of(conn)
        sent.result()
        return back == [size, zlib.crc32(data)]


def peer(address):
    with dial(address, 2010) as conn:
        return conn.recv(100).decode()


def reset_in_mid_stream(address):
    with dial(address, 2001) as conn:
        data = b""
        while len(data) < 1000:
            data += conn.recv(1000)
        conn.sendall(b"x")
        try:
            return [len(data), conn.recv(1).decode()]
        except OSError as error:
            return [len(data), name_of(error)]


def server_closes_first(address):
    """Its word, the end, and then an error for who goes on writing."""
    with dial(address, 2002) as conn:
        said = conn.recv(10).decode(), conn.recv(10).decode()
        try:
            for _ in range(100):
                conn.sendall(b"x")
                time.sleep(0.02)
        except OSError as error:
            return [*said, name_of(error)]
        return [*said, "no error"]


def half_close_here(address, size=3000000):
    """The client has ended its half; the server's answer still comes."""
    with dial(address, 2003) as conn:
        data = os.urandom(size)
        conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)
        return conn.recv(100).decode() == f"{size} {zlib.crc32(data)}", conn.recv(1).decode()


def half_close_there(address, size=3000000):
    """The server has ended its half; what the client sends still arrives."""
    mark, data = token(), os.urandom(size)
    with dial(address, 2004) as conn:
        conn.sendall(f"{mark}\n".encode())
        said = b""
        while piece := conn.recv(10):
            said += piece
        conn.sendall(data)
    return [said.decode(), saw(address, mark) == f"{size} {zlib.crc32(data)}"]


def send_until_stuck(conn, size):
    """How much could be sent, and its CRC, when nothing has moved for a while."""
    sent = value = 0
    conn.setblocking(False)
    while sent < size and select.select([], [conn], [], 0.5)[1]:
        piece = BLOCK[:size - sent]
        count = conn.send(piece)
        value, sent = zlib.crc32(piece[:count], value), sent + count
    conn.setblocking(True)
    return sent, value


def slow_server(address, size=48 << 20):
    """A server that does not read stops the client; later everything arrives."""
    mark = token()
    with dial(address, 2005) as conn:
        conn.sendall(f"{mark}\n".encode())
        sent, value = send_until_stuck(conn, size)
        with dial(address, 2098) as teller:
            teller.sendall(f"{mark}\n".encode())
            teller.recv(1)
        conn.shutdown(socket.SHUT_WR)
        return [sent < size, conn.recv(100).decode() == f"{sent} {value}"]


def slow_client(address, size=48 << 20):
    """A client that does not read stops the server; later everything arrives."""
    with dial(address, 2006) as conn:
        conn.sendall(f"{size}\n".encode())
        time.sleep(0.7)
        return all_of(conn)


def unread_at_client(address):
    """The client goes with something unread: the server's sending fails."""
    mark = token()
    with dial(address, 2007) as conn:
        conn.sendall(f"{mark}\n".encode())
        select.select([conn], [], [], LIMIT)
    return saw(address, mark)


def unread_at_server(address):
    with dial(address, 2008) as conn:
        conn.sendall(b"x" * 1000)
        try:
            return conn.recv(1).decode()
        except OSError as error:
            return name_of(error)


def no_delay(address, rounds=200):
    """Small messages are not held back: none of them waits for a timer of 40 ms."""
    with dial(address, 7) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        late = 0
        for _ in range(rounds):
            began = time.monotonic()
            conn.sendall(b"a")
            conn.sendall(b"b")
            got = b""
            while len(got) < 2:
                got += conn.recv(2)
            late += time.monotonic() - began > 0.035
        return late < rounds / 4


def idle(address, seconds):
    """A connection that nobody used for a while."""
    with dial(address, 7) as conn:
        conn.sendall(b"a")
        first = conn.recv(1)
        time.sleep(seconds)
        conn.sendall(b"b")
        return [first.decode(), conn.recv(1).decode()]


def idle_udp(address, seconds):
    """A socket that nobody used for a while, if need be longer than the uplink knows of it."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as conn:
        conn.settimeout(LIMIT)
        conn.connect((address, 7))
        conn.send(b"a")
        first = conn.recv(2)
        time.sleep(seconds)
        conn.send(b"b")
        return [first.decode(), conn.recv(2).decode()]


def sequential(address, count, port=7):
    """One connection after the other, each with a question and an answer."""
    good = 0
    for _ in range(count):
        with dial(address, port) as conn:
            conn.sendall(b"?")
            good += conn.recv(1) == b"?"
    return good


def simultaneous(address, count):
    """All open at once, each with an answer that is its own."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    conns = []
    for _ in range(count):
        conn = socket.socket(family_of(address), socket.SOCK_STREAM)
        conn.setblocking(False)
        conn.connect_ex((address, 7))
        conns.append(conn)
    good, deadline = 0, time.monotonic() + 3 * LIMIT
    poll = select.poll()
    by_fd = {conn.fileno(): [conn, str(number).encode()] for number, conn in enumerate(conns)}
    for fd in by_fd:
        poll.register(fd, select.POLLOUT)
    while by_fd and time.monotonic() < deadline:
        for fd, events in poll.poll(1000):
            conn, word = by_fd[fd]
            try:
                if events & select.POLLOUT:
                    conn.send(word)
                    poll.modify(fd, select.POLLIN)
                    continue
                good += conn.recv(100) == word
            except OSError:
                pass
            poll.unregister(fd)
            del by_fd[fd]
    for conn in conns:
        conn.close()
    return good


def download(address, size):
    with dial(address, 2006) as conn:
        conn.sendall(f"{size}\n".encode())
        return all_of(conn)


def upload(address, size):
    with dial(address, 2003) as conn:
        sent = value = 0
        while sent < size:
            piece = BLOCK[:size - sent]
            conn.sendall(piece)
            value, sent = zlib.crc32(piece, value), sent + len(piece)
        conn.shutdown(socket.SHUT_WR)
        return conn.recv(100).decode() == f"{sent} {value}"


def all_acknowledged(address, size=200000):
    """Data is not acknowledged to the client before it left it; in the end all of it is."""
    with dial(address, 7) as conn:
        conn.sendall(b"x" * size)
        got = 0
        while got < size:
            got += len(conn.recv(65536))
        deadline = time.monotonic() + LIMIT
        while struct.unpack("i", fcntl.ioctl(conn, termios.TIOCOUTQ, bytes(4)))[0]:
            assert time.monotonic() < deadline
        return True


# UDP


def datagram(address, port, timeout=SILENCE):
    conn = socket.socket(family_of(address), socket.SOCK_DGRAM)
    conn.settimeout(timeout)
    conn.connect((address, port))
    return conn


def udp(address, port, size=100):
    """One datagram and its echo."""
    data = os.urandom(size)
    try:
        with datagram(address, port) as conn:
            conn.setsockopt(*RECVERR[conn.family], 1)  # or most errors are kept from us
            conn.send(data)
            return "echo" if conn.recv(65536) == data else "another answer"
    except OSError as error:
        return name_of(error)


def udp_sizes(address, sizes, port=7):
    """Echoes of datagrams that do not fit a frame, as the rules of fragments allow. Where the
    program's link is wider than the path, its first large one is lost to finding that out."""
    good = []
    with datagram(address, port, 3) as conn:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for size in sizes:
            data = os.urandom(size)
            for _ in range(2):
                try:
                    conn.send(data)
                    result = conn.recv(65536) == data
                except OSError as error:
                    result = name_of(error)
                if result != "EMSGSIZE":
                    break
            good.append(result)
    return good


def udp_sources(address, count=20):
    """Many sockets at once get their own answers."""
    conns = [datagram(address, 7) for _ in range(count)]
    for number, conn in enumerate(conns):
        conn.send(str(number).encode())
    answers = [conn.recv(100).decode() for conn in conns]
    for conn in conns:
        conn.close()
    return answers == [str(number) for number in range(count)]


def udp_one_port(addresses):
    """One socket that talks to several servers: each answer comes from who was asked."""
    with socket.socket(family_of(addresses[0]), socket.SOCK_DGRAM) as conn:
        conn.settimeout(SILENCE)
        good = []
        for address in addresses:
            conn.sendto(address.encode(), (address, 7))
            data, sender = conn.recvfrom(100)
            good.append([data.decode(), sender[0]] == [address, address])
        return good


def udp_hops(address, ttl):
    """Who says that a packet with so few hops to go ended on its way: traceroute."""
    family = family_of(address)
    with datagram(address, 33434) as conn:
        conn.setsockopt(*RECVERR[family], 1)
        conn.setsockopt(*TTL[family], ttl)
        conn.send(b"x" * 32)
        poll = select.poll()
        poll.register(conn, 0)
        if not poll.poll(SILENCE * 1000):
            return "silence"
        _, control, _, _ = conn.recvmsg(1000, 1000, socket.MSG_ERRQUEUE)
        data = control[0][2]
        number, origin, kind, code = struct.unpack("=IBBB", data[:7])
        offender = data[16:]
        at = slice(4, 8) if family == socket.AF_INET else slice(8, 24)
        return [errno.errorcode[number], origin, kind, code,
                socket.inet_ntop(family, offender[at])]


# DNS (RFC 1035, RFC 6891)


def dns_query(name, kind, edns):
    words = b"".join(bytes([len(word)]) + word.encode() for word in name.split("."))
    query = os.urandom(2) + struct.pack("!HHHHH", 0x0100, 1, 0, 0, bool(edns))
    query += words + struct.pack("!BHH", 0, kind, 1)
    return query + (struct.pack("!BHHIH", 0, 41, edns, 0, 0) if edns else b"")


def dns_name_end(answer, at):
    """Behind the name that begins there: labels up to an empty one or to a pointer."""
    while 0 < answer[at] < 0xC0:
        at += 1 + answer[at]
    return at + (2 if answer[at] else 1)


def dns_addresses(answer, skip, count):
    """The addresses among the answers."""
    found = []
    for _ in range(count):
        skip = dns_name_end(answer, skip)
        kind, _, _, size = struct.unpack("!HHIH", answer[skip:skip + 10])
        data = answer[skip + 10:skip + 10 + size]
        skip += 10 + size
        if kind in (1, 28):
            found.append(socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, data))
    return found


def receive(conn, size):
    """So many bytes; MSG_WAITALL does not wait on a socket with a time limit."""
    got = b""
    while len(got) < size:
        more = conn.recv(size - len(got))
        assert more, f"the end after {len(got)} of {size} bytes"
        got += more
    return got


def dns(server, name, kind, transport="udp", edns=0):
    """rcode, whether truncated, the addresses, and the number of answers."""
    query = dns_query(name, kind, edns)
    if transport == "udp":
        with datagram(server, 53, 5) as conn:
            conn.send(query)
            answer = conn.recv(65536)
    else:
        with dial(server, 53) as conn:
            conn.sendall(struct.pack("!H", len(query)) + query)
            size, = struct.unpack("!H", receive(conn, 2))
            answer = receive(conn, size)
    _, flags, _, count, _, _ = struct.unpack("!HHHHHH", answer[:12])
    assert answer[:2] == query[:2]
    asked = len(query) - (11 if edns else 0)
    truncated = bool(flags & 0x200)  # then records that are counted may be missing
    addresses = [] if truncated else dns_addresses(answer, asked, count)
    return [flags & 15, truncated, addresses, count]


def run(action):
    try:
        return globals()[action[0]](*action[1:])
    except OSError as error:
        return f"{action[0]}: {name_of(error)}"


if __name__ == "__main__":
    actions = json.loads(sys.argv[1])
    with concurrent.futures.ThreadPoolExecutor(len(actions)) as pool:
        print(json.dumps(list(pool.map(run, actions))))
