"""Names of models, the Hugging Face cache, list, show, doctor, the configuration."""
import hashlib
import json
import os
import shutil

from hadal_cli import check, equal, fixture, main, tiny

ASK = ["run", "--raw", "--temp", "0", "-n", "1", "--json", "--no-history", "hi"]


def hub(h, repo, names, cache=".cache/huggingface/hub", ref="main"):
    """A repository in the cache: {file name: source}; links to blobs, as others do."""
    root = os.path.join(h.path, cache, "models--" + repo.replace("/", "--"))
    os.makedirs(os.path.join(root, "blobs"), exist_ok=True)
    snapshot = os.path.join(root, "snapshots", "0123abc")
    for i, (name, source) in enumerate(names.items()):
        blob = os.path.join(root, "blobs", f"{i:064x}")
        shutil.copyfile(source, blob)
        path = os.path.join(snapshot, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(os.path.relpath(blob, os.path.dirname(path)), path)
    os.makedirs(os.path.join(root, "refs"), exist_ok=True)
    with open(os.path.join(root, "refs", ref), "w") as f:
        f.write("0123abc")
    return root


def test_missing(h):
    for name in ("missing.gguf", "./x", "/no/where.gguf", "org/repo", "org/repo:Q8_0",
                 "org/repo/file.gguf", "nosuchalias", "~/x.gguf", "a/../b", ""):
        r = h.fails(3, *ASK, "-m", name)
        check(name in r.lines[0], r)
    h.fails(3, "show", "missing.gguf", names="hadal list")
    h.fails(3, "tokenize", "-m", "missing.gguf")
    h.fails(3, "run", "hi", names="/no/mini.gguf", env={"HADAL_MINI": "/no/mini.gguf"})
    for url in ("http://localhost:1/v1", "https://example.com/v1#m"):
        h.fails(3, *ASK, "-m", url, names="not available in this version")


def test_not_a_file(h):
    """A named pipe without a writer is refused, not waited for."""
    fifo = os.path.join(h.path, "pipe.gguf")
    os.mkfifo(fifo)
    for name in (fifo, "/dev/zero", "/dev/null"):
        h.fails(3, *ASK, "-m", name, names=name)


def test_pipes_within(h):
    """Nor is one in a model's folder, in the cache, or among another program's models."""
    folder = os.path.join(h.path, "model")
    manifests = os.path.join(h.path, ".ollama/models/manifests/registry.ollama.ai/library/x")
    os.makedirs(manifests)
    os.mkfifo(os.path.join(manifests, "1b"))
    root = hub(h, "Org/Repo-GGUF", {"x.Q8_0.gguf": tiny()})
    os.unlink(os.path.join(root, "refs", "main"))
    os.mkfifo(os.path.join(root, "refs", "main"))
    check("x.Q8_0" in h.works("list").text, "the list")
    h.works("show", "Org/Repo-GGUF")
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        os.makedirs(folder)
        for other in ("tokenizer.json", "config.json"):
            shutil.copyfile(fixture("v2-lite/" + other), os.path.join(folder, other))
        if os.path.exists(os.path.join(folder, name)):
            os.unlink(os.path.join(folder, name))
        os.mkfifo(os.path.join(folder, name))
        h.fails(3, "tokenize", "-m", folder, stdin=b"x", names=name)
        shutil.rmtree(folder)


def test_hub(h):
    hub(h, "Org/Repo-GGUF", {"x.Q8_0.gguf": tiny(), "x.Q4_K_M.gguf":
                             fixture("v2-lite/model-Q4_K_M.gguf"),
                             "sub/x-F16.gguf": fixture("moe-v1/model-f16.gguf")})

    def arch(name):
        return h.works("show", name, "--json").json()

    equal(arch("Org/Repo-GGUF")["path"].split("/")[-1], "x.Q4_K_M.gguf")
    equal(arch("Org/Repo-GGUF:q8_0")["path"].split("/")[-1], "x.Q8_0.gguf")
    equal(arch("Org/Repo-GGUF:F16")["path"].split("/")[-1], "x-F16.gguf")
    equal(arch("Org/Repo-GGUF/sub/x-F16.gguf")["architecture"], "deepseek")
    h.fails(3, "show", "Org/Repo-GGUF:Q4_K")
    h.fails(3, "show", "Org/Repo-GGUF/none.gguf")
    h.fails(3, "show", "Org/Repo-GGUF/../../x.gguf")
    equal(h.works(*ASK, "-m", "Org/Repo-GGUF:Q8_0").json()["model"], "Org/Repo-GGUF:Q8_0")
    names = [m["name"] for m in h.works("list", "--json").json()]
    equal([n for n in names if n != "hadal-mini"], ["x-F16", "x.Q4_K_M", "x.Q8_0"])
    for name in names:
        equal(h.works("show", name, "--json").json()["name"], name)


def test_hub_places(h):
    hub(h, "a/b", {"m.gguf": tiny()}, cache="one/hub")
    hub(h, "c/d", {"n.gguf": tiny()}, cache="two")
    h.works(*ASK, "-m", "a/b", env={"HF_HOME": os.path.join(h.path, "one")})
    h.works(*ASK, "-m", "c/d", env={"HF_HUB_CACHE": os.path.join(h.path, "two"),
                                    "HF_HOME": os.path.join(h.path, "one")})
    h.fails(3, *ASK, "-m", "a/b")


def test_hub_names_twice(h):
    """Two files of one name have long names in the list; split sets count once."""
    hub(h, "a/b", {"m.gguf": tiny(), "mmproj-m.gguf": tiny()})
    hub(h, "c/d", {"m.gguf": tiny(), "p-00001-of-00002.gguf": tiny(),
                   "p-00002-of-00002.gguf": tiny()})
    names = [m["name"] for m in h.works("list", "--json").json()]
    equal([n for n in names if n != "hadal-mini"], ["a/b/m.gguf", "c/d/m.gguf", "p"])


def test_usual(h):
    """A name without a quantisation means the file that pull would choose."""
    hub(h, "a/b", {"x.Q2_K.gguf": tiny(), "y.Q5_K_M.gguf": tiny(), "z.Q8_0.gguf": tiny()})
    path = h.works("show", "a/b", "--json").json()["path"]
    equal(os.path.basename(path), "y.Q5_K_M.gguf")


def test_other_stores(h):
    """Models of ollama and LM Studio are found and opened in place."""
    digest = "a" * 64
    root = ".ollama/models/"
    layers = [{"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:x"},
              {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + digest}]
    with open(tiny(), "rb") as f:
        data = f.read()
    blob = h.file(root + "blobs/sha256-" + digest, data)
    h.file(root + "manifests/registry.ollama.ai/library/tiny/1b",
           json.dumps({"schemaVersion": 2, "layers": layers}))
    for i, bad in enumerate(("sha256:../../../../x", "sha256:" + "b" * 64, "md5:1", 7)):
        layers[1]["digest"] = bad
        h.file(root + f"manifests/registry.ollama.ai/library/bad/{i}",
               json.dumps({"layers": layers}))
    h.file(root + "manifests/registry.ollama.ai/library/bad/x", "[" * 2000)
    h.file(".lmstudio/models/pub/repo/lm.Q8_0.gguf", data)
    h.file(".lmstudio/models/pub/repo/mmproj-lm.gguf", data)
    rows = {m["name"]: m for m in h.works("list", "--json").json()}
    equal(set(rows) - {"hadal-mini"}, {"tiny:1b", "lm.Q8_0"})
    equal(rows["tiny:1b"]["path"], blob)
    for name in ("tiny:1b", "lm.Q8_0"):
        h.works(*ASK, "-m", name)
        h.fails(3, "rm", name, names="not hadal's")
    check("nothing to compare with" in h.works("verify", "lm.Q8_0").text, "lm")
    r = h.run("verify", "tiny:1b")  # its blob's name is the digest of other bytes
    equal((r.code, r.text.endswith(": damaged\n")), (3, True), r)
    digest = hashlib.sha256(data).hexdigest()
    os.rename(blob, os.path.join(os.path.dirname(blob), "sha256-" + digest))
    layers[1]["digest"] = "sha256:" + digest
    h.file(root + "manifests/registry.ollama.ai/library/tiny/1b",
           json.dumps({"schemaVersion": 2, "layers": layers}))
    check(h.works("verify", "tiny:1b").text.endswith(": right\n"), "not right")


def test_list(h):
    hub(h, "a/b", {"m.gguf": tiny(), "bad.gguf": __file__})
    h.env["HADAL_MINI"] = tiny()
    rows = {m["name"]: m for m in h.works("list", "--json").json()}
    equal(set(rows), {"m", "bad", "hadal-mini"})
    equal(list(rows["m"]), ["name", "path", "architecture", "type", "size_bytes",
                            "parameters", "runnable", "last_used", "shared_with"])
    equal(rows["m"]["architecture"], "deepseek2")
    equal([rows["m"][k] for k in ("runnable", "last_used", "shared_with")],
          [True, None, ["huggingface"]])
    equal([rows["bad"]["runnable"], rows["hadal-mini"]["shared_with"]], [False, []])
    equal(rows["m"]["type"], "F16")
    equal(rows["m"]["size_bytes"], os.path.getsize(tiny()))
    check(rows["m"]["parameters"] > 1000, rows)
    equal(rows["bad"]["architecture"], None)
    equal(len(h.works("list").text.splitlines()), 3)


def test_list_use(h):
    """When a model was last used, under whatever name; who else sees the file."""
    root = hub(h, "a/b", {"m.Q8_0.gguf": tiny()})
    blob = os.path.join(root, "blobs", os.listdir(os.path.join(root, "blobs"))[0])
    os.makedirs(os.path.join(h.path, ".lmstudio/models/pub/repo"))
    os.link(blob, os.path.join(h.path, ".lmstudio/models/pub/repo/lm.gguf"))
    h.works("run", "-m", "a/b:Q8_0", "-n", "1", "hi")
    time = h.messages()[-1]["time"]
    rows = {m["name"]: m for m in h.works("list", "--json").json()}
    equal(rows["m.Q8_0"]["last_used"], time)
    equal(rows["lm"]["last_used"], None)
    for name in ("m.Q8_0", "lm"):
        equal(rows[name]["shared_with"], ["huggingface", "lmstudio"])
    text = h.works("list").text
    check(time[:10] in text and "never used" in text, text)
    check("huggingface, lmstudio" in text, text)


def test_list_folders(h):
    """Safetensors are shown, and not said to run."""
    config, weights = h.file("c", b"{}"), h.file("w", b"x" * 1000)
    hub(h, "a/b", {"config.json": config, "model-00001-of-00001.safetensors": weights})
    hub(h, "c/d", {"model.safetensors": weights})
    row, = [m for m in h.works("list", "--json").json() if m["name"] == "a/b"]
    equal((row["runnable"], row["type"], row["size_bytes"]), (False, None, 1002))
    check(os.path.isdir(row["path"]), row)
    check("safetensors: not run by this version" in h.works("list").text, "the list")
    h.fails(3, *ASK, "-m", "a/b")


def test_show(h):
    j = h.works("show", tiny(), "--json").json()
    for key in ("name", "path", "architecture", "type", "size_bytes", "parameters",
                "context", "layers", "chat_format"):
        check(key in j, key)
    equal(j["chat_format"], "deepseek-v2")
    check("deepseek2" in h.works("show", tiny()).text, "text")
    equal(h.works("show", "-m", tiny(), "--json").json(), j)


def test_doctor(h):
    j = h.works("doctor", "--json").json()
    for key in ("version", "cpu", "gpu", "memory", "paths", "database"):
        check(key in j, key)
    check(j["cpu"]["available"], j)
    equal(j["paths"]["database"], os.path.join(h.path, ".local/share/hadal/history.db"))
    h.works("doctor")
    check(not os.path.exists(os.path.join(h.path, ".local")), "doctor wrote something")
    db = h.file("bad.db", b"no database" * 1000)
    r = h.run("doctor", "--json", env={"HADAL_DB": db})
    equal((r.code, len(r.lines)), (5, 1))
    equal(r.json()["database"]["ok"], False)
    h.file(".config/hadal/config", "nonsense\n")
    equal(h.works("doctor", "--json").json()["configuration"]["ok"], False)


def test_paths(h):
    """XDG variables; a relative one is ignored."""
    h.env["XDG_DATA_HOME"] = os.path.join(h.path, "data")
    h.env["XDG_CONFIG_HOME"] = "relative"
    j = h.works("doctor", "--json").json()["paths"]
    equal(j["database"], os.path.join(h.path, "data/hadal/history.db"))
    equal(j["config"], os.path.join(h.path, ".config/hadal/config"))


def config(h, text):
    return h.file(".config/hadal/config", text)


def test_config(h):
    config(h, f"# a comment\n\n  model = {tiny()}  \r\ntemp=0\nseed = 11\n"
              "top-p = 0.5\nmax-tokens = 3\nno-history = yes\n"
              'system = "Two\\nlines \\"quoted\\""\n')
    j = h.works("run", "--json", "hi").json()
    equal((j["seed"], len(j["token_ids"]), j["session"]), (11, 3, None))
    equal(h.works("run", "--json", "hi", "--seed", "5", "-n", "2").json()["seed"], 5)
    config(h, f"model = {tiny()}\nno-history = no\nsystem = Be brief.\nthink = off\n")
    h.works("run", "hi", "-n", "1")
    equal(h.messages()[0]["content"], "Be brief.")
    h.works("run", "hi", "-n", "1", "-s", "Be long.")
    equal(h.messages()[0]["content"], "Be long.")


def test_config_errors(h):
    for line, word in (("nonsense", "key = value"), ("colour = red", "colour"),
                       ("temp = hot", "temp"), ("temp = -1", "temp"), ("ctx = 0", "ctx"),
                       ("color = blue", "color"), ("json = yes", "json"),
                       ("hide-thinking = maybe", "maybe"), ('system = "open', "quotes"),
                       ("threads =", "threads"), (b"system = \xff", "UTF-8"),
                       (b"system = a\0b", "UTF-8")):
        line = line if isinstance(line, bytes) else line.encode()
        path = config(h, b"temp = 0.5\n# comment\n" + line + b"\n")
        r = h.fails(2, "run", "hi", "-m", tiny(), names=path + ":3")
        check(word in r.lines[0], (word, r))
        h.works("help")
        h.works("--version")
        h.works("run", "--help")


def test_config_missing(h):
    h.works(*ASK, "-m", tiny(), env={"XDG_CONFIG_HOME": "/nonexistent"})
    os.makedirs(os.path.join(h.path, ".config/hadal/config"))
    h.fails(1, *ASK, "-m", tiny())


def test_folder(h):
    """A folder in Hugging Face layout serves the commands about its vocabulary."""
    folder = os.path.dirname(fixture("v2-lite/tokenizer.json"))
    if not os.path.exists(os.path.join(folder, "config.json")):
        return
    ids = h.works("tokenize", "-m", folder, stdin=b"hello").text
    equal(h.works("detokenize", "-m", folder, stdin=ids.encode()).text, "hello")
    h.works("render", "-m", folder, stdin=json.dumps(
        {"messages": [{"role": "user", "content": "Hi"}]}).encode())


main()
