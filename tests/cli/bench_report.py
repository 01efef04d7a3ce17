"""bench/report.py: ratios of the same rounds, shares of the memory's limit, a picture."""
import sys

sys.path.append(sys.path.pop(0))  # so that Python's own numbers.py comes first
sys.dont_write_bytecode = True

from xml.dom import minidom  # noqa: E402

from hadal_cli import TOP, check, main  # noqa: E402

sys.path.insert(0, str(TOP / "bench"))
import report  # noqa: E402

FACTS = {"kind": "facts", "cpu": "A <CPU> & more", "cores": 2, "date": "2026-11-24",
         "versions": {"hadal": "0.1.0"}}


def rate(program, number, value, **more):
    row = {"kind": "rate", "file": "m.gguf", "threads": 2, "test": "decode", "tokens": 32,
           "depth": 0, "round": number, "program": program, "rate": value, "memory": 20.0}
    return {**row, **more}


def rows():
    out = [FACTS]
    for i, (ours, theirs) in enumerate(((10.0, 5.0), (12.0, 4.0), (11.0, 11.0))):
        out.append(rate("hadal", i, ours, bytes=1e9))
        out.append(rate("llama.cpp", i, theirs))
    out.append(rate("hadal", 0, 7.0, bytes=1e9, depth=4096))
    return out


def test_table(h):
    text = report.markdown(rows())
    check("| m.gguf | 2 | decode at 0 | 11.0 | 5.0 | 2.00 (1.00-3.00) | 55% (50%-60%) |" in text, text)
    check("| m.gguf | 2 | decode at 4096 | 7.0 | - | - |  |" in text, text)
    check("ik_llama.cpp" not in text, text)


def test_last_counts(h):
    again = rows() + [rate("hadal", 1, 4.0, bytes=1e9)]
    check("| 10.0 | 5.0 | 1.00 (1.00-2.00) |" in report.markdown(again), report.markdown(again))


def test_perplexity(h):
    made = [{"kind": "perplexity", "kernel": k, "activations": a, "perplexity": p}
            for k, a, p in (("scalar", "float", 20.0), ("avx2", "8", 20.1))]
    check("| avx2 | 8 bits | 20.1000 | +0.500% |" in report.markdown(rows() + made), "no such row")


def test_picture(h):
    minidom.parseString(report.picture(rows()))


main()
