"""The same hub served by nginx, a server of the real world: TLS, HTTP/2 and 1.1, ranges.

    with Nginx(folder, {"org/repo": {"x.gguf": bytes or path}}) as hub:
        hub.env()                  # what a client needs to find and trust it

The hub (localhost) answers the interface and redirects weights to the CDN (127.0.0.1,
another port). `via` is where the CDN is said to be: a proxy with faults (wire.py) may
stand in front of it. `faults`, a {name: percent} of "429", "500", "503" and "etag" (the
CDN's ETag is another one with each answer), is decided by nginx for each request.

By hand: python3 tests/hub/nginx.py FILE...
"""
import ctypes
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hub import make_ca  # noqa: E402

CONF = """
daemon off;
{user}
worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    log_format sent '$body_bytes_sent $status $server_protocol';
    default_type application/octet-stream;
    sendfile on;
    {temp}
    {split}
    map $cdn_fault $cdn_etag {{ etag "\\"$request_id\\""; default $sent_http_etag; }}
    ssl_certificate server.pem;
    ssl_certificate_key server.pem;
    ssl_session_cache shared:a:1m;
    server {{
        listen 127.0.0.1:{hub} ssl{h2};
        location /api/ {{ root {folder}; default_type application/json; }}
{resolve}
    }}
    server {{
        listen 127.0.0.1:{cdn} ssl{h2};
        access_log sent.log sent;
        root {folder}/cdn;
        {cdn_conf}
        if ($cdn_fault = 429) {{ return 429; }}
        if ($cdn_fault = 500) {{ return 500; }}
        if ($cdn_fault = 503) {{ return 503; }}
{etags}
    }}
}}
"""
REDIRECT = """        location = /{repo}/resolve/{rev}/{name} {{
            add_header X-Repo-Commit {commit} always;
            add_header X-Linked-Etag '"{sha256}"' always;
            add_header X-Linked-Size {size} always;
            return 302 {cdn}/{repo}/{name}?signature=SECRETSIG;
        }}"""
SMALL = """        location = /{repo}/resolve/{rev}/{name} {{
            add_header X-Repo-Commit {commit} always;
            etag off;
            add_header ETag '"{git}"';
            alias {folder}/cdn/{repo}/{name};
        }}"""
TEMPS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def found():
    """nginx's path, or None."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    return shutil.which(os.environ.get("HADAL_NGINX", "nginx"), path=path) or \
        shutil.which("nginx", path=path)


def end_with_parent():
    """In the child: SIGTERM comes when the thread that started it is gone."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    def __init__(self, folder, repos, http2=True, via=None, faults=None, cdn_conf=""):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        if not os.path.exists(os.path.join(self.folder, "server.pem")):
            make_ca(self.folder)
        self.hub_port, self.cdn_port = free_port(), free_port()
        self.url = f"https://localhost:{self.hub_port}"
        self.cdn_url = f"https://127.0.0.1:{self.cdn_port}"
        self.seen_cdn = via or self.cdn_url
        self.places = []
        for repo, files in repos.items():
            self.add(repo, files)
        self.write_conf(http2, faults or {}, cdn_conf)
        self.process = None
        self.sent = []  # at the end, of the CDN: (bytes of the body, status, protocol)

    def add(self, repo, files):
        commit = hashlib.sha1(repo.encode()).hexdigest()
        siblings = []
        for name, data in files.items():
            place = os.path.join(self.folder, "cdn", repo, name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if isinstance(data, bytes):
                with open(place, "wb") as f:
                    f.write(data)
            else:
                os.symlink(os.path.abspath(data), place)
            siblings.append(self.entry(repo, name, place, commit))
        where = os.path.join(self.folder, "api", "models", repo, "revision")
        os.makedirs(where, exist_ok=True)
        for rev in ("main", commit):
            with open(os.path.join(where, rev), "w") as f:
                json.dump({"id": repo, "sha": commit, "siblings": siblings}, f)

    def entry(self, repo, name, place, commit):
        """The file's row in the listing; its place in nginx's configuration."""
        sha256, size = hashlib.sha256(), os.path.getsize(place)
        git = hashlib.sha1(b"blob %d\0" % size)
        with open(place, "rb") as f:
            while piece := f.read(1 << 20):
                sha256.update(piece)
                git.update(piece)
        facts = {"repo": repo, "name": name, "commit": commit, "size": size,
                 "cdn": self.seen_cdn, "sha256": sha256.hexdigest(), "git": git.hexdigest(),
                 "folder": self.folder}
        entry = {"rfilename": name, "size": size, "blobId": facts["git"]}
        form = SMALL
        if name.endswith((".gguf", ".safetensors")):
            entry["lfs"] = {"sha256": facts["sha256"], "size": size, "pointerSize": 135}
            form = REDIRECT
        self.places += [form.format(rev=rev, **facts) for rev in ("main", commit)]
        return entry

    def write_conf(self, http2, faults, cdn_conf):
        rows = [f"{percent}% {name};" for name, percent in faults.items()]
        etags = ["        etag off;", "        add_header ETag $cdn_etag;"]
        with open(os.path.join(self.folder, "nginx.conf"), "w") as f:
            f.write(CONF.format(
                user="user root;" if os.geteuid() == 0 else "",
                temp=" ".join(f"{t}_temp_path {t};" for t in TEMPS),
                split="split_clients $request_id $cdn_fault {"
                      + " ".join(rows + ["* none;"]) + "}",
                hub=self.hub_port, cdn=self.cdn_port, h2=" http2" if http2 else "",
                folder=self.folder, resolve="\n".join(self.places), cdn_conf=cdn_conf,
                etags="\n".join(etags) if "etag" in faults else ""))

    def __enter__(self):
        self.process = subprocess.Popen(
            [found(), "-p", self.folder, "-c", "nginx.conf", "-e", "error.log"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=end_with_parent)
        for port in (self.hub_port, self.cdn_port):
            self.wait_for(port)
        return self

    def wait_for(self, port):
        for _ in range(1000):
            if self.process.poll() is not None:
                raise RuntimeError(self.process.stderr.read().decode())
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError("nginx does not answer")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGQUIT)
        self.process.communicate()
        with open(os.path.join(self.folder, "sent.log")) as f:
            rows = [line.split() for line in f]
        self.sent = [(int(n), int(status), protocol) for n, status, protocol in rows]

    def env(self):
        return {"HF_ENDPOINT": self.url, "no_proxy": "*",
                "CURL_CA_BUNDLE": os.path.join(self.folder, "ca.pem")}


if __name__ == "__main__":
    import tempfile
    import threading
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # nginx ends with us
    h1 = "--http1" in sys.argv
    paths = [a for a in sys.argv[1:] if a != "--http1"]
    repos = {"org/" + os.path.basename(p).rsplit(".", 1)[0]: {os.path.basename(p): p}
             for p in paths}
    with tempfile.TemporaryDirectory(prefix="hadal-nginx-") as temp, \
            Nginx(temp, repos, http2=not h1) as hub:
        print(f"export HF_ENDPOINT={hub.url} CURL_CA_BUNDLE={hub.folder}/ca.pem", flush=True)
        print(f"# CDN {hub.cdn_url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass
