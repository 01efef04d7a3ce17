"""hadal pull from nginx, over HTTP/2 and 1.1 with TLS, on good and on bad lines.

HADAL_TORTURE=1 adds 2,000 transfers with faults, and prints what they cost.
"""
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from hadal_cli import HADAL, Home, check, equal, finish, fixture, main, skip
from pulling import MIB, SEED, TORTURE, bytes_of, pull_until_done
import nginx  # pulling says where
from hub import Hub, digest_header
from wire import Wire

CA = tempfile.mkdtemp(prefix="hadal-ca-")
BOTH = (True, False)  # HTTP/2, HTTP/1.1


@contextlib.contextmanager
def served(h, data, http2=True, **options):
    """nginx with data as org/repo/m.gguf, and h's way to it."""
    if nginx.found() is None or shutil.which("openssl") is None:
        skip("nginx or openssl is not here")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # our threads write to sockets
    if not os.path.exists(os.path.join(CA, "server.pem")):
        nginx.make_ca(CA)
    folder = tempfile.mkdtemp(prefix="hadal-nginx-")
    try:
        for name in ("ca.pem", "server.pem"):
            shutil.copy(os.path.join(CA, name), folder)
        repos = data if isinstance(data, dict) else {"org/repo": {"m.gguf": data}}
        with nginx.Nginx(folder, repos, http2, **options) as hub:
            h.env.update(hub.env())
            yield hub
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def wired(h, data, http2=True, **options):
    """The same with a bad line before the CDN: nginx, line."""
    with Wire(0) as wire, served(h, data, http2, via=wire.url, **options) as hub:
        wire.port_behind = hub.cdn_port
        yield hub, wire


def blobs(h):
    folder = os.path.join(h.path, ".cache/huggingface/hub/models--org--repo/blobs")
    return {name: os.path.join(folder, name) for name in sorted(os.listdir(folder))}


def pulled(h, data):
    """The file is there, whole, and nothing of the transfer is left."""
    here = list(blobs(h).values())
    equal(len(here), 1, str(here))
    with open(here[0], "rb") as f:
        check(f.read() == data, "other bytes")


def forget(h):
    shutil.rmtree(os.path.join(h.path, ".cache"), ignore_errors=True)


# ---- a good line ----

def test_protocols(h):
    """Several ranges at once, over each protocol, and not a byte too many."""
    data = bytes_of(6 * MIB + 12345)
    for http2 in BOTH:
        with served(h, data, http2) as hub:
            h.works("pull", "org/repo")
            pulled(h, data)
            h.works("verify", "org/repo")
        rows = hub.sent
        equal({r[2] for r in rows}, {"HTTP/2.0" if http2 else "HTTP/1.1"})
        equal({r[1] for r in rows}, {206})
        equal(sum(r[0] for r in rows), len(data))
        check(len(rows) > 3, rows)
        forget(h)


def test_small_files(h):
    """Files that are no LFS files come from the hub itself, named by git's digest."""
    files = {"m.gguf": bytes_of(70000), "config.json": b"{}", "empty.json": b""}
    with served(h, {"org/repo": files}):
        h.works("pull", "org/repo", "--include", "*")
        equal(len(blobs(h)), 3)


def test_goaway(h):
    """Connections that the server ends after each request, one stream at a time."""
    data = bytes_of(5 * MIB)
    for http2 in BOTH:
        more = "http2_max_concurrent_streams 1;" if http2 else ""
        with served(h, data, http2, cdn_conf="keepalive_requests 1;" + more) as hub:
            h.works("pull", "org/repo")
            pulled(h, data)
        equal(sum(r[0] for r in hub.sent), len(data))
        forget(h)


def test_behind_nginx(h):
    """An origin that breaks off: nginx ends the answer (HTTP/2: with RST_STREAM)."""
    data = bytes_of(3 * MIB)
    for http2 in BOTH:
        origin = Hub(CA, tls=False)
        origin.add("org/repo", {"m.gguf": data})
        origin.fault = lambda r: "cut=300000" if r.kind == "cdn" and r.n < 3 else None
        conf = (f"location / {{ proxy_pass http://127.0.0.1:{origin.cdn.server_address[1]};"
                " proxy_buffering off; proxy_next_upstream off; }")
        with served(h, data, http2, cdn_conf=conf):
            h.works("pull", "org/repo")
            pulled(h, data)
        origin.close()
        forget(h)


def test_estimate(h):
    """Of a mixture of experts a token reads a part: the first bytes tell how much."""
    for name, faults, said in (("moe-v1/model-f16.gguf", None, True),
                               ("moe-v1/model-f16.gguf", {"500": 100}, False),
                               ("dense-gqa/model-f32.gguf", None, False)):
        with open(fixture(name), "rb") as f:
            data = f.read() + bytes(64 * MIB)
        with served(h, data, faults=faults) as hub:
            text = h.works("pull", "org/repo", "--dry-run").text
        check("tokens/s at most" in text, text)
        equal("a mixture of experts: a token reads" in text, said, text)
        equal([r[0] for r in hub.sent if r[1] == 206], [] if faults else [65536])


# ---- a bad line ----

def test_bad_line(h):
    """What happens on the line costs what was on the way, and no more."""
    data = bytes_of(4 * MIB)
    h.env["HF_HUB_DOWNLOAD_TIMEOUT"] = "1"
    for http2 in BOTH:
        with wired(h, data, http2) as (_, wire):
            for kind in ("cut", "reset", "stall", "flip", "slow"):
                n, wire.sent = wire.n, 0
                wire.fault = (lambda i: ("slow", 0.01)) if kind == "slow" else \
                    lambda i: (kind, 500000) if i < n + 2 else None
                h.works("pull", "org/repo")
                pulled(h, data)
                most = 2 if kind == "flip" else 1.25  # what the kernel holds is lost
                check(wire.sent < most * len(data), f"{kind}: {wire.sent} bytes sent")
                forget(h)


def test_broken_handshakes(h):
    """Connections that break while TLS is set up."""
    data = bytes_of(MIB)
    with wired(h, data) as (_, wire):
        for at in (0, 100, 1500):
            n = wire.n
            wire.fault = lambda i: (("cut", "reset")[i % 2], at) if i < n + 2 else None
            h.works("pull", "org/repo")
            pulled(h, data)
            forget(h)


def test_statuses(h):
    data = bytes_of(3 * MIB)
    for faults in ({"503": 8, "429": 4, "500": 4}, {"etag": 100}):
        with served(h, data, faults=faults) as hub:
            h.works("pull", "org/repo")
            pulled(h, data)
        if "etag" in faults:
            equal(sum(r[0] for r in hub.sent), len(data), "bytes sent")
        forget(h)


def test_ipv6_hole(h):
    """An address that never answers does not keep the other one from being used."""
    data = bytes_of(MIB)
    with served(h, data) as hub, contextlib.ExitStack() as full:
        try:
            hole = full.enter_context(socket.socket(socket.AF_INET6))
            hole.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            hole.bind(("::1", hub.hub_port))
        except OSError:
            skip("no IPv6 on loopback")
        hole.listen(0)
        for _ in range(4):  # a queue that is full answers nobody
            s = full.enter_context(socket.socket(socket.AF_INET6))
            s.setblocking(False)
            s.connect_ex(("::1", hub.hub_port))
        hosts = h.file("hosts", "::1 localhost\n127.0.0.1 localhost\n")
        own_hosts = ["unshare", "-m", "sh", "-c", "mount --bind \"$0\" /etc/hosts && \"$@\"", hosts]
        if os.geteuid() != 0 or subprocess.run([*own_hosts, "true"], capture_output=True).returncode:
            skip("/etc/hosts of our own needs root")
        p = subprocess.run([*own_hosts, HADAL, "pull", "org/repo"], env=h.env,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=100)
        equal(p.returncode, 0, p.stderr)
        pulled(h, data)


# ---- proxies ----

class Proxy:
    """A proxy that knows CONNECT."""
    def __init__(self, status="200 OK"):
        self.status, self.asked = status, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.tunnel, args=(client,), daemon=True).start()

    def tunnel(self, client):
        head = b""
        with client:
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            self.asked.append(head.decode())
            client.sendall(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
            if not self.status.startswith("200"):
                return
            host, port = head.split()[1].decode().rsplit(":", 1)
            with socket.create_connection((host, int(port))) as server:
                line = Wire(0)
                threading.Thread(target=line.upstream, args=(client, server),
                                 daemon=True).start()
                with contextlib.suppress(OSError):
                    line.downstream(client, server, None, 0)
                line.listener.close()


def test_proxy(h):
    data = bytes_of(MIB)
    with served(h, data) as hub:
        proxy = Proxy()
        del h.env["no_proxy"]
        h.env["https_proxy"] = f"http://user:PROXYSECRET@{proxy.address}"
        h.works("pull", "org/repo")
        pulled(h, data)
        check(any(f"CONNECT localhost:{hub.hub_port} " in a for a in proxy.asked), proxy.asked)
        check(any(f"CONNECT 127.0.0.1:{hub.cdn_port} " in a for a in proxy.asked), proxy.asked)
        forget(h)
        n = len(proxy.asked)
        h.works("pull", "org/repo", env={"no_proxy": "localhost,127.0.0.1"})
        equal(len(proxy.asked), n, "asked in spite of no_proxy")
        forget(h)


def test_nowhere(h):
    """No such name, a proxy that refuses: retried, then said, without the password."""
    closed = Proxy("407 Proxy Authentication Required")
    started = {}
    h.env["HF_ENDPOINT"] = "https://hub.invalid"
    started["hub.invalid"] = h.start("pull", "org/repo")
    h.env["https_proxy"] = f"http://user:PROXYSECRET@{closed.address}"
    started["407"] = h.start("pull", "org/repo")
    for name, p in started.items():
        r = finish(p)
        equal((r.code, len(r.lines)), (4, 1), r)
        check(name in r.lines[0] and "PROXYSECRET" not in r.lines[0], r)


# ---- the disk ----

def test_full_disk(h):
    """A disk that fills up while the file comes: the part stays, and goes on."""
    data = bytes_of(12 * MIB)
    disk = os.path.join(h.path, "disk")
    os.mkdir(disk)
    if os.geteuid() != 0 or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", disk],
            capture_output=True).returncode:
        skip("a small disk needs root")
    try:
        with wired(h, data) as (_, wire):
            h.env["HF_HUB_CACHE"] = os.path.join(disk, "hub")
            wire.fault = lambda i: ("slow", 0.01)
            p = h.start("pull", "org/repo")
            while wire.sent < 2 * MIB:
                time.sleep(0.01)
            filler = os.path.join(disk, "filler")
            with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as f:
                while f.write(bytes(65536)):
                    pass
            r = finish(p)
            equal((r.code, len(r.lines)), (1, 1), r)
            check("No space left" in r.lines[0] and "pull again" in r.lines[0], r)
            r = h.fails(1, "pull", "org/repo", names="too full")
            os.unlink(filler)
            wire.fault, wire.sent = None, 0
            h.works("pull", "org/repo")
            check(wire.sent < 11 * MIB, f"{wire.sent} bytes sent again")
            h.works("verify", "org/repo")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


# ---- many faults ----

KINDS = ("cut", "stall", "flip", "etag", "429", "500", "503", "slow", "length")


class Worker:
    """Transfers, one after the other, from servers of this worker's own."""
    def __init__(self, files):
        self.files, self.stack, self.servers = files, contextlib.ExitStack(), {}

    def server(self, fault, http2):
        """nginx behind a line, with this fault of its own."""
        key = fault, http2
        if key not in self.servers:
            home = Home()
            faults = {fault: 100 if fault == "etag" else 25} if fault else None
            repos = {f"org/r{i}": {"m.gguf": path} for i, path in enumerate(self.files)}
            hub, wire = self.stack.enter_context(wired(home, repos, http2, faults=faults))
            home.close()
            self.servers[key] = hub, wire
        return self.servers[key]

    def transfer(self, home, i):
        """One transfer: (kind, size, bytes sent, pulls that ended early)."""
        rng = random.Random(f"{SEED} {i}")
        kind, http2 = KINDS[i % len(KINDS)], rng.random() < 0.5
        if kind == "flip":
            kind += ("", " at the origin", " with digests")[i // len(KINDS) % 3]
        at = rng.randrange(len(self.files))
        with open(self.files[at], "rb") as f:
            data = f.read()
        n_faults = rng.randint(1, 3)
        if kind == "length" or kind.startswith("flip "):
            sent, failed = self.from_origin(home, rng, data, kind, n_faults)
        else:
            hub, wire = self.server(kind if kind not in ("cut", "stall", "flip", "slow")
                                    else None, http2)
            home.env.update(hub.env())
            n, wire.sent = wire.n, 0
            places = [rng.randrange(5000, len(data) // 2) for _ in range(n_faults)]
            if kind == "slow":
                wire.fault = lambda c: ("slow", 0.01)
            elif kind in ("cut", "stall", "flip"):
                wire.fault = lambda c: (kind, places[c - n]) if c - n < n_faults else None
            failed = pull_until_done(home, f"org/r{at}", data)
            sent, wire.fault = wire.sent, None
        return kind, len(data), sent, failed

    def from_origin(self, home, rng, data, kind, n_faults):
        """Faults inside TLS: one byte, or wrong lengths of some answers."""
        origin = Hub(CA)
        origin.add("org/repo", {"m.gguf": data})
        wrong = ("length-small", "length-large", "other-total", "oversize")
        of = {rng.randrange(8): rng.choice(wrong) for _ in range(n_faults)}
        if kind.startswith("flip"):
            of = {rng.randrange(8): "flip"}
        if kind == "flip with digests":
            origin.content_digest = digest_header
        origin.fault = lambda r: of.get(r.n) if r.kind == "cdn" else None
        home.env.update(origin.env())
        failed = pull_until_done(home, "org/repo", data)
        origin.close()
        return origin.sent, failed


def run_worker(files, left, lock, rows, errors):
    worker = Worker(files)
    with worker.stack:
        while not errors:
            with lock:
                if not left:
                    return
                i = left.pop()
            home = Home()
            home.env["HF_HUB_DOWNLOAD_TIMEOUT"] = "1"
            try:
                rows.append(worker.transfer(home, i))
            except Exception as e:  # noqa: BLE001
                errors.append(AssertionError(f"transfer {i} ({KINDS[i % len(KINDS)]}): {e}"))
            finally:
                home.close()


def tell(what, rows):
    size, sent = sum(r[1] for r in rows), sum(r[2] for r in rows)
    print(f"{what:>20}: {len(rows):4} transfers, {size / len(rows) / MIB:5.1f} MiB each, "
          f"{sum(r[3] for r in rows):3} ended early, surplus {100 * (sent / size - 1):6.2f}%",
          flush=True)
    return sent / size - 1


def test_faults(h):
    """Equal shares of each kind of fault, 1 to 3 of one kind in a transfer.

    What is sent is counted behind the server where the fault is inside TLS, else on the
    line, where TLS, HTTP and handshakes count too. Of the flipped bytes a third is flipped
    on the line, the others by the server. One that the server flips is found by the digest
    of the whole alone, so half the file is fetched again on average: it is told apart; less
    where the server says the digests of its answers.
    """
    n = int(os.environ.get("HADAL_TRANSFERS", "2000" if TORTURE else str(3 * len(KINDS))))
    rng = random.Random(SEED)
    files = []
    for i in range(12):
        size = rng.randint(4, 40 if TORTURE else 5) * MIB + rng.randrange(100000)
        files.append(h.file(f"files/{i}.gguf", bytes_of(size, i)))
    with served(h, {}):
        pass
    rows, errors, left, lock = [], [], list(range(n)), threading.Lock()
    threads = [threading.Thread(target=run_worker, args=(files, left, lock, rows, errors))
               for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    for kind in sorted({r[0] for r in rows}):
        tell(kind, [r for r in rows if r[0] == kind])
    tell("all", rows)
    surplus = tell("but the origin's", [r for r in rows if r[0] != "flip at the origin"])
    if TORTURE:
        check(surplus < 0.02, f"surplus {surplus}")


main()
