"""What control groups leave of the machine, of both versions: hadal doctor, hadal pull.

The groups are files of our own, mounted where the kernel's would be.
"""
import os
import shutil
import signal
import subprocess
import tempfile

from hadal_cli import HADAL, Result, check, equal, main, skip
from pulling import bytes_of
from hub import Hub  # pulling says where

MOUNT = ("mount --bind \"$0\" /sys/fs/cgroup && mount --bind \"$1\" /proc/$$/cgroup && "
         "shift && exec \"$@\"")


def inside(h, lines, files, *args):
    """Runs hadal in groups: the lines of /proc/self/cgroup, and files by their names."""
    root = tempfile.mkdtemp(dir=h.path)
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), "w") as f:
            f.write(text + "\n")
    own = h.file("cgroup", "\n".join(lines) + "\n")
    start = ["unshare", "-m", "sh", "-c", MOUNT, root, own]
    if os.geteuid() != 0 or subprocess.run([*start, "true"], capture_output=True).returncode:
        skip("groups of our own need root")
    p = subprocess.run([*start, HADAL, *args], env=h.env, cwd=h.path, timeout=120,
                       stdin=subprocess.DEVNULL, capture_output=True)
    return Result(p.returncode, p.stdout, p.stderr)


def found(h, lines, files):
    """(threads, bytes of memory, by whose limit)"""
    r = inside(h, lines, files, "doctor", "--json").json()
    return r["cpu"]["cores"], r["memory"]["available_bytes"], r["memory"]["limit"]


def memory_v2(limit, used=100_000_000, inactive=20_000_000):
    return {"memory.max": limit, "memory.current": str(used),
            "memory.stat": f"anon 5\ninactive_file {inactive}\nactive_file 7"}


def test_version_2(h):
    cpus, free, _ = found(h, ["0::/"], {})
    cases = {"50000 100000": 1, "100000 100000": 1, "100001 100000": 2, "max 100000": cpus,
             "900000000 100000": cpus, "": cpus, "nonsense": cpus, "100": cpus}
    for text, n in cases.items():
        equal(found(h, ["0::/"], {"cpu.max": text})[0], min(n, cpus), text)
    equal(found(h, ["0::/"], memory_v2("150000000"))[1:], (70_000_000, "memory cgroup"))
    equal(found(h, ["0::/"], memory_v2("150000000", 400_000_000))[1], 0)
    check(found(h, ["0::/"], memory_v2("max"))[1] > free // 2, "a limit where there is none")
    above = {"a/" + k: v for k, v in memory_v2("150000000").items()}
    equal(found(h, ["0::/a/b"], {**above, "a/cpu.max": "1000 100000"})[:2], (1, 70_000_000))
    equal(found(h, ["0::/none/here"], {"cpu.max": "1000 100000"})[0], 1)


def test_version_1(h):
    lines = ["5:cpuset:/x", "4:memory:/m/n", "3:cpu,cpuacct:/c", "1:name=systemd:/", "0::/"]
    cpus = found(h, lines, {})[0]
    for quota, n in (("100000", 1), ("-1", cpus), ("50000", 1)):
        equal(found(h, lines, {"cpu/c/cpu.cfs_quota_us": quota,
                               "cpu/c/cpu.cfs_period_us": "100000"})[0], n, quota)
    memory = {"memory/m/memory.limit_in_bytes": "200000000",
              "memory/m/memory.usage_in_bytes": "150000000",
              "memory/m/memory.stat": "inactive_file 1\ntotal_inactive_file 30000000"}
    equal(found(h, lines, memory)[1:], (80_000_000, "memory cgroup"))
    memory["memory/m/memory.limit_in_bytes"] = "9223372036854771712"
    check(found(h, lines, memory)[2] != "memory cgroup", "a limit where there is none")


def test_pull(h):
    """What fits is what the group leaves; the speed is what its quota leaves."""
    if shutil.which("openssl") is None:
        skip("openssl is not here")
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    hub = Hub(h.path)
    h.env.update(hub.env())
    hub.add("org/repo", {"m.Q4_K_M.gguf": bytes_of(400000), "m.Q2_K.gguf": bytes_of(1000)})

    def plan(files):
        r = inside(h, ["0::/"], files, "pull", "org/repo", "--dry-run", "--json")
        equal(r.code, 0, r)
        return r.json()
    roomy = plan({"cpu.max": "max 100000"})
    tight = plan({"cpu.max": "1000 100000", **memory_v2("336300000")})
    hub.close()
    equal((tight["memory_free_bytes"], tight["fits_memory"]), (256_300_000, True))
    equal([f["name"] for f in tight["files"]], ["m.Q2_K.gguf"], tight["why"])
    equal(tight["estimated_tokens_per_s"], 0, "measured where memory is short")
    if roomy["memory_free_bytes"] < 2_000_000_000:
        skip("the machine has little memory")
    equal([f["name"] for f in roomy["files"]], ["m.Q4_K_M.gguf"], roomy["why"])
    check(roomy["estimated_tokens_per_s"] > 0, roomy)


main()
