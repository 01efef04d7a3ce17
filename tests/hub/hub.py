"""A hub in Hugging Face's shape for tests: HTTPS with a CA of its own, and faults.

    hub = Hub(folder)                       # makes the CA, starts the hub and its CDN
    hub.add("org/repo", {"x.gguf": bytes})  # LFS for weights, git blobs for texts
    hub.fault = fn                          # fn(request) -> name of a fault, or None
    hub.env()                               # what a client needs to find and trust it

Two servers: the hub (localhost) answers the interface and redirects files to the CDN
(127.0.0.1, another port), which serves ranges. Every byte of a body that is handed to
the socket is counted in hub.sent. Only the standard library and the openssl command.
"""
import base64
import gzip
import hashlib
import http.server
import json
import os
import random
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse


def make_ca(folder):
    """ca.pem, and for localhost and 127.0.0.1 server.pem (key and certificate)."""
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=folder, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650",
            "-subj", "/CN=hadal test CA", "-addext", "basicConstraints=critical,CA:TRUE")
    for name, days, names in (("server", "3650", "DNS:localhost,IP:127.0.0.1"),
                              ("wrong", "3650", "DNS:example.invalid"),
                              ("expired", "-1", "DNS:localhost,IP:127.0.0.1")):
        with open(os.path.join(folder, "ext"), "w") as f:
            f.write(f"subjectAltName={names}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.crt", "-days", days, "-extfile", "ext")
        with open(os.path.join(folder, f"{name}.pem"), "w") as out:
            for part in (f"{name}.key", f"{name}.crt"):
                with open(os.path.join(folder, part)) as f:
                    out.write(f.read())
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", "self.key", "-out", "self.crt", "-days", "3650",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    with open(os.path.join(folder, "self.pem"), "w") as out:
        for part in ("self.key", "self.crt"):
            with open(os.path.join(folder, part)) as f:
                out.write(f.read())


class File:
    def __init__(self, name, data):
        self.name, self.data = name, data
        self.lfs = name.endswith((".gguf", ".safetensors", ".bin"))
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        self.etag = self.sha256 if self.lfs else self.git


class Repo:
    def __init__(self, name, files, commit, gated=False):
        self.name, self.commit, self.gated = name, commit, gated
        self.files = {n: File(n, d) for n, d in files.items()}


class Request:
    """What a fault is decided by."""
    def __init__(self, kind, path, first, n, method):
        self.kind = kind      # "api", "tree", "resolve", "cdn"
        self.path = path
        self.first = first    # the first byte asked for; 0 without Range
        self.n = n            # how many requests of this kind came before
        self.method = method


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


class Hub:
    def __init__(self, folder, tls=True, certificate="server", small_buffers=True):
        self.folder, self.tls = str(folder), tls
        self.small_buffers = small_buffers
        self.repos, self.fault = {}, None
        self.lock = threading.Lock()
        self.sent = 0           # bytes of bodies of files
        self.log = []           # (server, method, path, authorization or None, range)
        self.counts = {}
        self.token = None       # what gated repositories ask for
        self.listing_sizes = True
        self.page = 0           # files a page of the tree; 0: one page
        self.etag = None        # of the CDN, in place of the digest
        self.no_ranges = False
        self.repr_digest = False  # the CDN says the digest of the whole file
        self.content_digest = None  # the CDN's digest of an answer: a function of its bytes
        self.held = lambda: False  # while true, bodies that have begun wait
        if tls and not os.path.exists(os.path.join(self.folder, "ca.pem")):
            make_ca(self.folder)
        self.hub = self.serve("hub", certificate)
        self.cdn = self.serve("cdn", "server")
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://localhost:{self.hub.server_address[1]}"
        self.cdn_url = f"{scheme}://127.0.0.1:{self.cdn.server_address[1]}"

    def serve(self, kind, certificate):
        hub = self

        class Handler(RequestHandler):
            pass
        Handler.hub, Handler.server_kind = hub, kind
        server = Server(("127.0.0.1", 0), Handler)
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(os.path.join(self.folder, certificate + ".pem"))
            server.socket = context.wrap_socket(server.socket, server_side=True,
                                                do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()
        return server

    def close(self):
        for server in (self.hub, self.cdn):
            server.shutdown()
            server.server_close()

    def add(self, name, files, commit=None, gated=False):
        commit = commit or hashlib.sha1(name.encode()).hexdigest()
        self.repos[name] = Repo(name, files, commit, gated)
        return self.repos[name]

    def env(self):
        env = {"HF_ENDPOINT": self.url, "no_proxy": "*"}
        if self.tls:
            env["CURL_CA_BUNDLE"] = os.path.join(self.folder, "ca.pem")
        return env

    def count(self, kind):
        with self.lock:
            n = self.counts.get(kind, 0)
            self.counts[kind] = n + 1
            return n


def digest_header(data):
    """As RFC 9530 has it."""
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    return f"sha-256=:{digest}:"


class Gone(Exception):
    """The connection is dropped."""


class RequestHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None
    server_kind = None

    def log_message(self, *args):
        pass

    def setup(self):
        if self.hub.small_buffers:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        super().setup()

    def do_GET(self):
        self.answer()

    def do_HEAD(self):
        self.answer()

    def answer(self):
        hub = self.hub
        with hub.lock:
            hub.log.append((self.server_kind, self.command, self.path,
                            self.headers.get("Authorization"), self.headers.get("Range")))
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        try:
            if self.server_kind == "cdn":
                self.cdn(path)
            elif path.startswith("/api/models/"):
                self.api(path[len("/api/models/"):])
            else:
                self.resolve(path[1:])
        except Gone:
            self.close_connection = True
        except (ConnectionError, ssl.SSLError, TimeoutError):
            self.close_connection = True

    # ---- answers ----

    def send(self, status, data=b"", kind="application/json", headers=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        names = {k.lower() for k, _ in headers}
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(data)))
        for k, v in headers:
            self.send_header(k, v)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def passing_fault(self, name):
        """Faults that any server may have. True when it was one."""
        if name is None:
            return False
        if name in ("429", "500", "502", "503", "404", "403", "401", "416"):
            self.send(int(name), b"{}")
        elif name.startswith("retry-after="):
            self.send(503, b"", headers=[("Retry-After", name.split("=", 1)[1])])
        elif name == "reset":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
            self.request.close()
            raise Gone
        elif name == "close":
            raise Gone
        elif name == "html":
            self.send(200, b"<html>please log in</html>" * 100, "text/html")
        elif name == "big-header":
            self.send(200, b"{}", headers=[("X-Big", "a" * 1000000)])
        elif name == "many-headers":
            self.send(200, b"{}", headers=[(f"X-{i}", "a") for i in range(10000)])
        elif name.startswith("location="):
            self.send(302, headers=[("Location", name.split("=", 1)[1])])
        elif name.startswith("body="):
            self.send(200, name.split("=", 1)[1].encode())
        else:
            return False
        return True

    def refused(self, repo):
        if not repo.gated:
            return False
        given = self.headers.get("Authorization")
        if given is None:
            self.send(401, b"{}", headers=[("X-Error-Code", "GatedRepo")])
            return True
        if given != f"Bearer {self.hub.token}":
            self.send(403, b"{}", headers=[("X-Error-Code", "GatedRepo"),
                                           ("X-Error-Message", "echo " + given)])
            return True
        return False

    def entry(self, f, sizes):
        e = {"rfilename": f.name}
        if sizes:
            e.update({"size": len(f.data), "blobId": f.git})
            if f.lfs:
                e["lfs"] = {"sha256": f.sha256, "size": len(f.data), "pointerSize": 135}
        return e

    def api(self, path):
        hub = self.hub
        parts = path.split("/")
        name = "/".join(parts[:2])
        repo = hub.repos.get(name)
        kind = "tree" if len(parts) > 2 and parts[2] == "tree" else "api"
        fault = hub.fault(Request(kind, path, 0, hub.count(kind), self.command)) \
            if hub.fault else None
        if fault == "bomb":
            data = gzip.compress(b" " * 200_000_000)
            self.send(200, data, headers=[("Content-Encoding", "gzip")])
            return
        if fault == "endless":
            self.send_response(200)
            self.send_header("Content-Length", str(4 << 30))
            self.end_headers()
            while True:
                self.wfile.write(b'[["' + b"x" * 65000 + b'"]],')
        if self.passing_fault(fault):
            return
        if repo is None:
            self.send(404 if hub.token is None else 401, b"{}",
                      headers=[("X-Error-Code", "RepoNotFound")])
            return
        if self.refused(repo):
            return
        revision = parts[3] if len(parts) > 3 else "main"
        if revision not in ("main", repo.commit, "v1"):
            self.send(404, b"{}", headers=[("X-Error-Code", "RevisionNotFound")])
        elif kind == "tree":
            self.tree(repo)
        else:
            files = [self.entry(f, hub.listing_sizes) for f in repo.files.values()]
            data = {"id": name, "sha": repo.commit, "gated": repo.gated,
                    "siblings": files}
            self.send(200, json.dumps(data).encode())

    def tree(self, repo):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        start = int(query.get("cursor", ["0"])[0])
        files = list(repo.files.values())
        page = self.hub.page or len(files)
        rows = []
        for f in files[start:start + page]:
            row = {"type": "file", "oid": f.git, "size": len(f.data), "path": f.name}
            if f.lfs:
                row["lfs"] = {"oid": f.sha256, "size": len(f.data), "pointerSize": 135}
            rows.append(row)
        headers = []
        if start + page < len(files):
            headers = [("Link", f'<{self.hub.url}/api/models/{repo.name}/tree/main'
                                f'?recursive=true&cursor={start + page}>; rel="next"')]
        self.send(200, json.dumps(rows).encode(), headers=headers)

    def resolve(self, path):
        hub = self.hub
        parts = path.split("/")
        repo = hub.repos.get("/".join(parts[:2]))
        fault = hub.fault(Request("resolve", path, 0, hub.count("resolve"), self.command)) \
            if hub.fault else None
        if self.passing_fault(fault):
            return
        name = "/".join(parts[4:])
        if repo is None or name not in repo.files:
            self.send(404, b"", headers=[("X-Error-Code", "EntryNotFound")])
            return
        if self.refused(repo):
            return
        f = repo.files[name]
        headers = [("X-Repo-Commit", repo.commit), ("Accept-Ranges", "bytes")]
        etag = f.etag
        if fault and fault.startswith("etag="):
            etag = fault.split("=", 1)[1]
        if f.lfs:
            headers += [("X-Linked-Etag", f'"{etag}"'), ("X-Linked-Size", str(len(f.data))),
                        ("Location", f"{hub.cdn_url}/{repo.name}/{urllib.parse.quote(name)}"
                                     "?signature=SECRETSIG")]
            self.send(302, headers=headers)
            return
        headers += [("ETag", f'"{etag}"')]
        self.bytes_of(f, headers, None)

    # ---- the CDN ----

    def cdn(self, path):
        hub = self.hub
        parts = path[1:].split("/")
        repo = hub.repos.get("/".join(parts[:2]))
        name = "/".join(parts[2:])
        first = 0
        if self.headers.get("Range"):
            first = int(self.headers["Range"].split("=")[1].split("-")[0])
        fault = hub.fault(Request("cdn", path, first, hub.count("cdn"), self.command)) \
            if hub.fault else None
        if repo is None or name not in repo.files:
            self.send(404)
            return
        if fault in ("lying200",):
            f = repo.files[name]
            self.stream(200, f.data, 0, len(f.data), [], None)
            return
        if self.passing_fault(fault):
            return
        f = repo.files[name]
        etag = hub.etag or f'"{f.sha256[:32]}"'
        if fault == "other-etag":
            etag = f'"{random.random()}"'
        headers = [("ETag", etag)]
        if hub.repr_digest and "sha-256" in self.headers.get("Want-Repr-Digest", ""):
            headers.append(("Repr-Digest", "md5=:AAAA:, " + digest_header(f.data)))
        self.bytes_of(f, headers, fault)

    def bytes_of(self, f, headers, fault):
        size = len(f.data)
        spec = self.headers.get("Range")
        if self.hub.no_ranges or spec is None:
            self.stream(200, f.data, 0, size, headers, fault)
            return
        a, b = spec.split("=")[1].split("-")
        a, b = int(a), min(int(b) if b else size - 1, size - 1)
        if a >= size:
            self.send(416, headers=[("Content-Range", f"bytes */{size}")])
            return
        total, said = size, a
        if fault == "other-total":
            total = size + 7
        if fault == "earlier":
            said = max(0, a - 100)
        ranged = [("Content-Range", f"bytes {said}-{b}/{total}")]
        if fault == "no-content-range":
            ranged = []
        self.stream(206, f.data, a, b + 1, headers + ranged, fault)

    def stream(self, status, data, a, b, headers, fault):
        """Sends data[a:b], with what the fault does to it."""
        data = data[a:b]
        if self.hub.content_digest and "sha-256" in self.headers.get("Want-Content-Digest", ""):
            headers = headers + [("Content-Digest", self.hub.content_digest(data))]
        length = len(data)
        cut = None
        if fault and fault.startswith("cut="):
            cut = int(fault.split("=")[1])
        if fault == "flip" and data:
            at = random.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1:]
        if fault == "length-small":
            length = length // 2
        if fault == "length-large":
            length += 1000
        if fault == "oversize":
            data += b"surplus" * 100
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream")
        if fault == "oversize":
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length))
        for k, v in headers:
            self.send_header(k, v)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.write_counted(data, cut, fault)
        if fault in ("length-large", "length-small"):
            raise Gone

    def write_counted(self, data, cut, fault):
        step = 16384 if self.hub.small_buffers else 1 << 20
        at = 0
        end = len(data) if cut is None else min(cut, len(data))
        while at < end:
            piece = data[at:min(at + step, end)]
            if fault == "slow":
                time.sleep(0.02)
            while at >= 4 * step and self.hub.held():
                time.sleep(0.05)
            if fault == "stall" and at >= step:
                time.sleep(6)
                raise Gone
            self.wfile.write(piece)
            at += len(piece)
            with self.hub.lock:
                self.hub.sent += len(piece)
        if cut is not None:
            try:
                if self.hub.tls:
                    self.request = self.connection = self.request.unwrap()
                self.request.shutdown(socket.SHUT_RDWR)
            except (OSError, ValueError):
                pass
            raise Gone


if __name__ == "__main__":
    import sys
    import tempfile
    hub = Hub(tempfile.mkdtemp(), small_buffers=False)
    for path in sys.argv[1:]:
        with open(path, "rb") as f:
            hub.add("org/" + os.path.basename(path).rsplit(".", 1)[0],
                    {os.path.basename(path): f.read()})
    print(f"export HF_ENDPOINT={hub.url} CURL_CA_BUNDLE={hub.folder}/ca.pem", flush=True)
    print(f"# CDN {hub.cdn_url}", flush=True)
    threading.Event().wait()
