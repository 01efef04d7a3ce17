"""What pull.py and pull_nginx.py share: sizes and seeds, many transfers at once."""
import concurrent.futures
import os
import random
import sys

sys.path.insert(0, os.path.join(os.environ.get("top_srcdir", "."), "tests", "hub"))
from hadal_cli import check, equal  # noqa: E402

TORTURE = os.environ.get("HADAL_TORTURE") == "1"
SEED = int(os.environ.get("HADAL_SEED", "1"))
MIB = 1 << 20


def bytes_of(n, seed=0):
    return random.Random(f"{SEED} {seed} {n}").randbytes(n)


def at_once(n, work, jobs):
    """The results of work(job), n jobs at a time; the first that fails ends all."""
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(work, jobs))


def pull_until_done(home, name, data):
    """Pulls until the one file of the repository is there; how often it ended early."""
    for failed in range(20):
        r = home.run("pull", "-q", name)
        if r.code == 0:
            break
        check(r.code == 4 and len(r.lines) == 1, r)
    equal(r.code, 0, r)
    folder = os.path.join(home.path, ".cache/huggingface/hub",
                          "models--" + name.replace("/", "--"), "blobs")
    names = os.listdir(folder)
    equal(len(names), 1, str(names))
    with open(os.path.join(folder, names[0]), "rb") as f:
        check(f.read() == data, "other bytes")
    return failed
