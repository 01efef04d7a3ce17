"""quantize: every type loads and answers; what fails says so and leaves nothing behind."""
import os
import resource
import signal
import time

from hadal_cli import check, equal, finish, fixture, main, tiny

TYPES = ["F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M",
         "Q4_K_S", "IQ4_XS", "IQ4_NL", "Q4_1", "Q4_0", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K",
         "Q2_K_S"]
IDS = "1,17,5,88,200,3,42"


def logits(h, path):
    return h.works("logits", "-m", path, "--tokens", IDS).json()["logits"]


def distance(a, b):
    return (sum((x - y) ** 2 for x, y in zip(a, b)) / sum(x * x for x in a)) ** 0.5


def left(h):
    return sorted(f for f in os.listdir(h.path) if f.endswith((".gguf", ".hadal-part")))


def test_every_type(h):
    for model in ("v2-lite/model-f16.gguf", "dense-gqa/model-f32.gguf"):
        truth = logits(h, fixture(model))
        for name in TYPES:
            r = h.works("quantize", fixture(model), "out.gguf", "--type", name)
            equal((r.out, len(r.lines)), (b"", 1), name)
            check("out.gguf" in r.lines[0] and name in r.lines[0], r.lines)
            off = distance(truth, logits(h, "out.gguf"))
            limit = {"F": 0.01, "B": 0.05, "Q8": 0.1, "Q6": 0.2, "Q5": 0.4}
            most = min([limit[k] for k in limit if name.startswith(k)] + [1.5])
            check(off <= most, f"{model} as {name}: logits are off by {off}")


def test_as_the_reference(h):
    """The types of single tensors and so the size: as in llama.cpp's own file."""
    for name in ("Q8_0", "Q4_K_M", "Q6_K", "IQ4_XS", "Q4_0"):
        reference = fixture(f"v2-lite/model-{name}.gguf")
        h.works("quantize", tiny(), "out.gguf", "--type", name.lower())
        a, b = (h.works("show", x, "--json").json() for x in ("out.gguf", reference))
        equal((a["type"], a["parameters"]), (b["type"], b["parameters"]), name)
        size = os.path.getsize(os.path.join(h.path, "out.gguf"))
        check(abs(size - os.path.getsize(reference)) < 256, name)


def test_threads(h):
    """The bytes do not depend on them."""
    made = []
    for threads in ("1", "3"):
        h.works("quantize", tiny(), "out.gguf", "--type", "Q4_K_M", "-t", threads)
        with open(os.path.join(h.path, "out.gguf"), "rb") as f:
            made.append(f.read())
    equal(made[0] == made[1], True)


def test_again(h):
    """From a quantised file, with a warning; the same type again is a copy."""
    source = fixture("v2-lite/model-Q8_0.gguf")
    r = h.works("quantize", source, "a.gguf", "--type", "Q4_0")
    check("quantised already" in r.lines[0], r.lines)
    r = h.works("quantize", source, "b.gguf", "--type", "Q8_0")
    equal(len(r.lines), 1, "no warning")
    equal(distance(logits(h, source), logits(h, "b.gguf")), 0.0)


def test_notes(h):
    r = h.works("quantize", tiny(), "out.gguf", "--type", "Q8_0", "-q")
    equal((r.out, r.err), (b"", b""))
    r = h.works("quantize", tiny(), "out.gguf", "--type", "Q8_0", "--verbose")
    check("hadal: output.weight: F16 to Q8_0" in r.lines, r.lines)


def test_usage(h):
    h.fails(2, "quantize", tiny(), "out.gguf", names="--type")
    h.fails(2, "quantize", tiny(), "out.gguf", "--type", "Q4_K_X", names="Q4_K_X")
    h.fails(2, "quantize", tiny(), "out.gguf", "--type", "", names="--type")
    h.fails(2, "quantize", tiny(), "--type", "Q8_0", names="OUT")
    h.fails(2, "quantize", "--type", "Q8_0")
    h.fails(2, "quantize", tiny(), "out.gguf", "more", "--type", "Q8_0")
    equal(left(h), [])


def test_input(h):
    h.fails(3, "quantize", "missing.gguf", "out.gguf", "--type", "Q8_0", names="missing.gguf")
    h.fails(3, "quantize", h.file("bad.gguf", b"GGUF"), "out.gguf", "--type", "Q8_0",
            names="bad.gguf")
    with open(tiny(), "rb") as f:
        whole = f.read()
    h.fails(3, "quantize", h.file("cut.gguf", whole[:-5000]), "out.gguf", "--type", "Q8_0",
            names="cut.gguf")
    os.mkdir(os.path.join(h.path, "folder"))
    h.fails(3, "quantize", "folder", "out.gguf", "--type", "Q8_0", names="folder")
    equal(left(h), ["bad.gguf", "cut.gguf"])


def test_output(h):
    args = ("--type", "Q8_0")
    h.fails(1, "quantize", tiny(), "no/such/folder/x.gguf", *args, names="no/such/folder")
    os.mkdir(os.path.join(h.path, "folder"))
    h.fails(1, "quantize", tiny(), "folder", *args, names="folder")
    h.fails(1, "quantize", tiny(), "/dev/full", *args, names="No space left")
    check(os.path.exists("/dev/full"), "/dev/full is gone")


def test_same_file(h):
    with open(tiny(), "rb") as f:
        whole = f.read()
    path = h.file("in.gguf", whole)
    os.symlink(path, os.path.join(h.path, "link.gguf"))
    for out in ("in.gguf", "./in.gguf", "link.gguf"):
        h.fails(2, "quantize", path, out, "--type", "Q8_0", names="input")
    with open(path, "rb") as f:
        equal(f.read() == whole, True)


def test_replaces_when_complete(h):
    """What was at OUT stays until the new file is whole; a link's target is replaced."""
    old = h.file("out.gguf", b"old")
    os.chmod(old, 0o640)
    os.symlink("out.gguf", os.path.join(h.path, "link.gguf"))

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    h.fails(1, "quantize", tiny(), "link.gguf", "--type", "Q8_0", names="too large",
            preexec_fn=small_files)
    with open(old, "rb") as f:
        equal(f.read(), b"old")
    equal(left(h), ["link.gguf", "out.gguf"])
    h.works("quantize", tiny(), "link.gguf", "--type", "Q8_0")
    check(os.path.islink(os.path.join(h.path, "link.gguf")), "the link is gone")
    equal(os.stat(old).st_mode & 0o777, 0o640)
    equal(len(logits(h, "out.gguf")) > 0, True)
    equal(left(h), ["link.gguf", "out.gguf"])


def test_left_over_part(h):
    """A part of a process that was killed is no hindrance."""
    h.file("out.gguf.hadal-part", b"x" * 5_000_000)
    h.works("quantize", tiny(), "out.gguf", "--type", "Q8_0")
    equal(left(h), ["out.gguf"])
    check(len(logits(h, "out.gguf")) > 0, "no logits")


def test_pipe(h):
    """Into a pipe: the same bytes; its reader may go away."""
    h.works("quantize", tiny(), "out.gguf", "--type", "Q8_0")
    with open(os.path.join(h.path, "out.gguf"), "rb") as f:
        whole = f.read()
    r = h.works("quantize", tiny(), "/dev/stdout", "--type", "Q8_0")
    equal(r.out == whole, True)
    p = h.start("quantize", tiny(), "/dev/stdout", "--type", "F32")
    p.stdout.read(10)
    p.stdout.close()
    p.stdout = None
    r = finish(p)
    equal((r.code, r.err), (141, b""))


def test_signal(h):
    for number in (signal.SIGINT, signal.SIGTERM):
        fifo = os.path.join(h.path, f"fifo-{number}")
        os.mkfifo(fifo)
        p = h.start("quantize", tiny(), fifo, "--type", "F32")
        fd = os.open(fifo, os.O_RDONLY)  # it is at work now, and the pipe is full soon
        os.read(fd, 1)
        time.sleep(0.05)
        p.send_signal(number)
        os.close(fd)
        r = finish(p)
        equal((r.code, r.out, r.err), (128 + number, b"", b""))


main()
