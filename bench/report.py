"""Tables and a picture of what bench/compare.py measured: results.md, results.svg.

A row of the measurements is {"kind": "rate", file, threads, test, tokens, depth, round,
program, rate, bytes, memory} (see compare.py); rates of one round are compared with each
other. Where a test was measured more than once, the last time counts.
"""
import os
import statistics
from xml.sax.saxutils import escape

PEERS = ["llama.cpp", "ik_llama.cpp"]
COLORS = {"hadal": "#2166ac", "ik_llama.cpp": "#b2abd2", "llama.cpp": "#c9c9c9"}
WIDTH, LEFT, BAR, GAP = 900, 330, 11, 14


def spread(x, form="%.2f"):
    low, mid, high = min(x), statistics.median(x), max(x)
    return form % mid if len(x) < 2 else (form + " (" + form + "-" + form + ")") % (mid, low, high)


def key_of(row):
    return (row["file"], row["threads"], row["test"], row["tokens"], row["depth"])


def rates_of(rows, key):
    """{program: {round: row}} of a test."""
    found = {}
    for r in rows:
        if r["kind"] == "rate" and key_of(r) == key:
            found.setdefault(r["program"], {})[r["round"]] = r
    return found


def keys_of(rows):
    return list(dict.fromkeys(key_of(r) for r in rows if r["kind"] == "rate"))


def name_of(key):
    file, threads, test, tokens, depth = key
    what = "prefill %d" % tokens if test == "prefill" else "decode at %d" % depth
    return "%s | %d | %s" % (file, threads, what)


def ratios(found, peer):
    common = sorted(set(found.get("hadal", {})) & set(found.get(peer, {})))
    return [found["hadal"][i]["rate"] / found[peer][i]["rate"] for i in common]


def limits(found):
    """(rate, rate at the memory's speed) of hadal's rounds, for the weights alone: at depth 0 they are
    nearly all."""
    return [(r["rate"], r["memory"] * 1e9 / r["bytes"]) for r in found.get("hadal", {}).values()
            if r.get("bytes") and r["memory"] and r["depth"] == 0]


def median_rate(found, program):
    x = [r["rate"] for r in found.get(program, {}).values()]
    return "%.1f" % statistics.median(x) if x else "-"


def head(programs):
    peers = [p for p in PEERS if p in programs]
    titles = ["file", "threads", "test", "hadal tok/s"] + [p + " tok/s" for p in peers]
    titles += ["hadal / " + p for p in peers] + ["of the memory limit"]
    return "| %s |\n|%s" % (" | ".join(titles), " --- |" * len(titles))


def row_of(rows, key, peers):
    found = rates_of(rows, key)
    cells = [name_of(key), median_rate(found, "hadal")] + [median_rate(found, p) for p in peers]
    for p in peers:
        x = ratios(found, p)
        cells.append(spread(x) if x else "-")
    x = [100 * rate / limit for rate, limit in limits(found)]
    cells.append(spread(x, "%.0f%%") if x else "")
    return "| %s |" % " | ".join(cells)


def start_table(rows):
    """The time to the first token but for the prefill."""
    out = ["| file | program | prefill of 256, s | before and after it, ms |", "| --- | --- | --- | --- |"]
    seen = {}
    for r in rows:
        if r["kind"] == "start":
            seen.setdefault((r["file"], r["program"]), {})[r["round"]] = r
    for (file, program), found in seen.items():
        rest = [1000 * (r["total_s"] - r["prefill_s"]) for r in found.values()]
        prefill = [r["prefill_s"] for r in found.values()]
        out.append("| %s | %s | %.2f | %s |" % (file, program, statistics.median(prefill), spread(rest, "%.0f")))
    return out if len(out) > 2 else []


def perplexity_table(rows):
    found = {(r["kernel"], r["activations"]): r for r in rows if r["kind"] == "perplexity"}
    exact = found.get(("scalar", "float"))
    if exact is None:
        return []
    out = ["| kernels | activations | perplexity | beside float |", "| --- | --- | --- | --- |"]
    for (kernel, bits), r in found.items():
        out.append("| %s | %s | %.4f | %+.3f%% |" % (kernel, bits if bits == "float" else bits + " bits",
                                                     r["perplexity"], 100 * (r["perplexity"] / exact["perplexity"] - 1)))
    return out


def section(title, text, lines):
    return ["", "## " + title, "", *text, "", *lines] if lines else []


def markdown(rows):
    facts = [r for r in rows if r["kind"] == "facts"][-1]
    speeds = {}
    for r in rows:
        if r["kind"] == "rate" and r["memory"]:
            speeds.setdefault(r["threads"], []).append(r["memory"])
    peers = [p for p in PEERS if p in {r.get("program") for r in rows}]
    out = ["# Speed", "", "Made by `bench/compare.py --report`; how it measures is told there.", "",
           "- %s, %d cores, %s" % (facts["cpu"], facts["cores"], facts["date"])]
    out += ["- %s: %s" % v for v in facts["versions"].items()]
    out += ["- memory read with %d threads: %s GB/s" % (t, spread(x, "%.1f")) for t, x in sorted(speeds.items())]
    out += ["", "![the same as a picture](results.svg)"]
    out += section("Tokens a second", [
        "Files: shape, type, layers; random weights but for SmolLM2. Ratios: median of the rounds, least and",
        "greatest. The last column: weights read for a token, times tokens a second, as a share of the memory's",
        "speed in the same round."],
        [head(["hadal", *peers])] + [row_of(rows, k, peers) for k in keys_of(rows)])
    out += section("Time to the first token", [
        "Warm page cache. hadal: the whole program, from its start to its end; llama.cpp: without the start of",
        "Python."], start_table(rows))
    out += section("Accuracy of the kernels", [
        "Perplexity of SmolLM2-135M (Q4_1) over the first 6,000 bytes of `share/mini/guide.en.txt`, beside float",
        "arithmetic on the same weights. Models below 10^9 parameters use 16 bits, larger ones 8."],
        perplexity_table(rows))
    return "\n".join(out) + "\n"


def bars(found, y):
    """The bars of one test: each as long as its rate is beside the fastest, or the memory's limit."""
    rate = {p: statistics.median(r["rate"] for r in x.values()) for p, x in found.items()}
    limit = statistics.median([x for _, x in limits(found)] or [0])
    most = max(*rate.values(), limit)
    out = []
    for program in COLORS:
        if program not in rate:
            continue
        w = (WIDTH - LEFT - 70) * rate[program] / most
        out.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (LEFT, y, w, BAR - 1, COLORS[program]))
        out.append('<text x="%.1f" y="%d">%.1f</text>' % (LEFT + w + 5, y + BAR - 2, rate[program]))
        y += BAR
    if limit:
        x = LEFT + (WIDTH - LEFT - 70) * limit / most
        out.append('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#d6604d" stroke-width="2"/>'
                   % (x, x, y - BAR * len(rate) - 2, y + 1))
    return out, y + GAP


def legend():
    out, x = [], LEFT
    for program, color in COLORS.items():
        out.append('<rect x="%d" y="34" width="12" height="10" fill="%s"/>' % (x, color))
        out.append('<text x="%d" y="43">%s</text>' % (x + 17, program))
        x += 120
    out.append('<line x1="%d" x2="%d" y1="33" y2="45" stroke="#d6604d" stroke-width="2"/>' % (x, x))
    out.append('<text x="%d" y="43">limit of memory</text>' % (x + 7))
    return out


def picture(rows):
    threads = max(r["threads"] for r in rows if r["kind"] == "rate")
    facts = [r for r in rows if r["kind"] == "facts"][-1]
    body, y = legend(), 62
    for key in keys_of(rows):
        if key[1] != threads:
            continue
        found = rates_of(rows, key)
        label = name_of(key).replace(" | %d | " % threads, ", ").replace(".gguf", "")
        body.append('<text x="%d" y="%d" text-anchor="end">%s</text>'
                    % (LEFT - 8, y + BAR * len(found) // 2 + 4, escape(label)))
        drawn, y = bars(found, y)
        body += drawn
    title = "Tokens a second, %d threads (%s, %s)" % (threads, facts["cpu"], facts["date"])
    return "\n".join([
        '<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">'
        % (WIDTH, y), '<rect width="100%" height="100%" fill="#ffffff"/>',
        '<text x="12" y="20" font-size="14">%s</text>' % escape(title), *body, "</svg>"]) + "\n"


def write(rows, folder):
    if not any(r["kind"] == "rate" for r in rows):
        raise SystemExit("nothing was measured: give --results or files")
    for name, text in (("results.md", markdown(rows)), ("results.svg", picture(rows))):
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
