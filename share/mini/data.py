# SPDX-License-Identifier: MIT
"""Conversations for hadal-mini, made from the guide files.

Owns the reading of guide.*.txt, offtopic.en.txt, phrases.*.txt and follows.en.txt, the making of
questions (templates, synonyms, slips of the keyboard, courtesies) and of whole
conversations with things to be remembered (facts.py).  The same seed gives the same
conversations.  No question of eval/ of more than three words comes out of here:
`Maker` is given those and throws such a draw away.

    python data.py 5          print five conversations
"""
import random
import re
import sys
from pathlib import Path

from facts import Facts

HERE = Path(__file__).resolve().parent
GUIDES = ("guide.en.txt", "offtopic.en.txt", "guide.zh.txt")
PHRASES = ("phrases.en.txt", "follows.en.txt", "phrases.zh.txt")

# ---------------------------------------------------------------- templates

def split_top(text, sep="|"):
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if c == sep and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return parts + [text[start:]]


class Grammar:
    """Templates as trees: a list of str, ('ref', name) and ('alt', [trees])."""

    def __init__(self):
        self.lists, self.cache = {}, {}

    def tree(self, text):
        if text in self.cache:
            return self.cache[text]
        out, i = [], 0
        if re.fullmatch(r"@[a-z]+", text):
            text = "{" + text + "}"
        for m in re.finditer(r"@@([a-z]+)", text):
            text = text.replace(m.group(0), "{@%s}" % m.group(1), 1)
        while i < len(text):
            if text[i] == "{":
                depth, j = 1, i + 1
                while depth and j < len(text):
                    depth += (text[j] == "{") - (text[j] == "}")
                    j += 1
                assert depth == 0, text
                inner = text[i + 1:j - 1]
                if re.fullmatch(r"@[a-z]+ *", inner):
                    out.append(("ref", inner[1:].strip()))
                else:
                    out.append(("alt", [self.tree(p) for p in split_top(inner)]))
                i = j
            else:
                j = text.find("{", i)
                j = len(text) if j < 0 else j
                out.append(text[i:j])
                i = j
        self.cache[text] = out
        return out

    def count(self, tree):
        n = 1
        for part in tree:
            if isinstance(part, str):
                continue
            alts = [self.tree(t) for t in self.lists[part[1]]] if part[0] == "ref" else part[1]
            n *= sum(self.count(a) for a in alts)
        return n

    def draw(self, rng, tree):
        out = []
        for part in tree:
            if isinstance(part, str):
                out.append(part)
            elif part[0] == "ref":
                out.append(self.draw(rng, self.tree(rng.choice(self.lists[part[1]]))))
            else:
                alts = part[1]
                if len(alts) > 1:          # a part with parts of its own is drawn more often
                    w = [min(self.count(a), 400) ** 0.5 for a in alts]
                    out.append(self.draw(rng, rng.choices(alts, w)[0]))
                else:
                    out.append(self.draw(rng, alts[0]))
        return "".join(out)


OPTION = """{what does|what will} $ do | what does $ mean | {what is|what's|explain|tell me about|describe|how about|what about} $ | $ | {the |}$ {option|flag} | what {is|does} {the|} {option|flag} $ {for|do|mean} | how {do I|to|can I|should I} use $ | what is $ {for|good for|used for} | {when|why} {would|should|do} I use $ | what happens {with|if I give} $ | hadal run $ | explain {the|} {option|flag} $ | is there {a|an} {option|flag} $ | {what|which} value does $ take | example of $ | meaning of $ | usage of $ | how does $ work | can you explain $ | I saw $ in the help, what is it"""
COMMAND = """hadal $ | what does {hadal $|the command hadal $|the $ command|hadal's $} do | {what is|what's|explain|tell me about|describe|what about} {hadal $|the $ command|the command $} | how {do I|to|can I|should I} use {hadal $|the $ command} | what is {hadal $|the $ command} {for|good for|used for} | {help on|usage of|meaning of|purpose of|example of|help for} {hadal $|$} | the {command $|$ command} | how does {hadal $|the $ command|the command $} work | when {do|would} I use hadal $ | hadal help $ | can you explain hadal $ | is there a {hadal $|command $|$ command} | $ command | hadal $ --help | what happens if I run hadal $ | what can {hadal $|the $ command} do"""
KEY = """what does {|the }$ {|key }do | $ | {what is|what's} {|the }$ {|key }for | {what happens|what will happen} {if|when} I {press|hit|type|use} $ | the $ key | {explain|tell me about|what about|describe} $ | {what if I|can I} {press|hit} $ | key $ | what is {the|} key $ | what does pressing $ do | does $ {work|do anything} | function of $ | $ in the chat | what is $ {good|used} for | I pressed $ | meaning of $ | effect of $"""
VARIABLE = """{what is|what's|explain|tell me about|what about} {|the variable |the environment variable }$ | $ | what {does|is} $ {do|mean|for} | how {do I|to} {use|set} $ | what is {|the variable }$ {for|good for} | {when|why} {would|should} I set $ | the variable $ | does hadal {read|use|know} $ | meaning of $"""
EXIT = """{what does|what is|what's|explain|why|meaning of|what about} {exit|return|error|status} {code|status} $ {|mean} | exit code $ | {exit|return|error} code $ | {it|hadal|the program|hadal run|my script|the command} {exited|ended|returned|failed|finished|stopped|quit} with {|code |status |exit code }$ | error $ | code $ | exit status $ | why {did|do} I get {exit code|code|error} $ | {I got|I get|got} {exit code|error|code|status} $ | the exit code {was|is} $ | what does {an exit code of|code|status} $ mean | {and|what about} $ as exit code | exit $ | what does it mean when it exits with $"""
MEMORY = """I have $ {GB|gb|gigabytes|gigs|GB of RAM|GB of memory|gb ram|GB RAM|gigabytes of memory|G|gb of ram} | {which|what} model {fits|for|suits|can I run with|should I take with|runs in|do you suggest for|is good for|runs well with} $ {GB|gb|gigabytes|GB of RAM|GB of memory|gb ram|gigs of RAM} | {my|this|the} {machine|computer|laptop|pc|server|notebook} has $ {GB|gb|gigabytes|GB of RAM|GB of memory|gb ram|gigs} {|of memory} | $ {GB|gb|gigabytes|gigs|GB of RAM|gb ram|GB memory} | {it|I} has $ GB | {recommend|suggest|find me|I need} a model for $ {GB|gb|gigabytes} {|of memory|of RAM} | I've got $ {gigs|GB|gb} of {RAM|memory} | with $ {GB|gb}, {which model|what should I take|what can I run} | {$|only $|about $} {GB|gb} {|of memory|of RAM}, {which model|what fits|what do you suggest|what can I run} | a model for {a machine with|} $ GB {|of memory} | {$ GB|$ gb} machine | best model for $ GB | what can I run {with|on} $ {GB|gb|gigabytes} | is $ GB enough"""
MEMORY_ZH = """我有 $ GB 内存 | 我的{电脑|机器|笔记本|服务器}有 $ {GB|G|gb|个G}{| 内存| 的内存} | $ {GB|G|gb}{| 内存}{能跑什么模型|用哪个模型|用什么模型好|可以运行什么|该选哪个|推荐什么模型|} | {内存|电脑内存|我的内存}是 $ {GB|G|gb} | {只有|大概|大约|一共} $ {GB|G}{| 内存}{|，用哪个模型|，能用什么模型} | {推荐|给我推荐|找}一个适合 $ {GB|G} {内存|}的模型 | 内存 $ {GB|G}{|，选哪个|，推荐一下} | $G内存{够吗|够不够|跑得动吗|怎么选} | {我这台|这台}{电脑|机器} $ {G|GB} 内存"""
FAKE_COMMANDS = """serve chat start install update upgrade train config login logout init delete open talk ask ps stop cp push create download get models history sessions keys version embed finetune watch sync status info edit convert build server api web gui plugin theme backup restore clean dedupe replay stats tag rename fork diff tree undo frobnicate pause resume translate summarize describe image voice speak agent connect tune merge split shell exec repl eval prompt complete sleep remember forget find grep cat copy move remove fetch add drop kill reload reset setup self-update register whoami models-list reindex vacuum grade score benchmarking launch enable disable doctor2 cache""".split()
FAKE_OPTIONS = """--fast --gpu --model-path --port --host --api-key --interactive --config --language --no-cache --cache --batch-size --max-len --beam --prompt --history --save --load --name --user --token --safe --force --recursive --yes --debug --log-level --rope --lora --mlock --numa --ngl --gpu-layers --typical --mirostat --presence-penalty --frequency-penalty --echo --template --persona --speed --turbo --cores --memory --retry --proxy --no-color --markdown --html --web --plugin --image --voice --translate --quant --download --update --silent --pretty --lang --tools --agent --best-of --logprobs --n-predict --keep --draft --flash-attn --offline --online --cpu-only --half --fp16 --gpus --vram --warm --cold --greedy --sample --chat --title --rename --delete --mirror --offload""".split()

FILLERS = """ right now| on my laptop| for my work| again| quickly|, actually| somehow| by the way| today| here| then| exactly| on linux| please, I am new| from the terminal| easily| properly| for a friend| in my case| at all| on this computer| in general| myself| if possible| in short| step by step""".split("|")
BEFORE = """please |hey, |hi, |hello! |ok, |so |excuse me, |quick question: |can you tell me |could you tell me |I have a question: |tell me, |sorry, |hadal, |hi mini, |question: |well, |hmm, |one question: |I wonder, |please tell me |do you know |hello, |good morning, |just curious: |may I ask, |yo, |listen, |help: |dear guide, |let me ask: """.split("|")
AFTER = """ please| thanks|, thanks|, please| in hadal| with hadal|, mini|, thank you|, do you know| pls| plz|, can you tell me|, any idea| :)| in this program|... """.split("|")
LINKS = """and |ok, |thanks. |great. |also |another question: |now |one more: |next: |good. |and now |alright, |thank you. |ok thanks, |then |one more thing: |cool, |I see. |understood. |fine, """.split("|")
SYNONYM = {}
for line in """conversation|chat|dialogue|session|discussion
conversations|chats|dialogues|sessions|discussions
program|tool|application|software|app|thing
find|locate|discover|track down|look up|spot
use|utilise|employ|work with|apply|make use of|try
see|view|look at|check|inspect|watch|read
change|alter|modify|adjust|switch|edit
get|obtain|receive|have|get hold of|acquire|fetch|bring in
start|launch|begin|open|fire up|run|kick off
answer|reply|response|output|text
answers|replies|responses|outputs
message|text|note|line|post
show|display|list|print|give|present|reveal|bring up
delete|remove|erase|wipe|drop|get rid of|throw out|discard
remove|delete|erase|drop|get rid of|take away
download|get|fetch|grab|load|pull down|retrieve
stop|halt|end|cancel|interrupt|cut off|break off
old|earlier|past|previous|former|older
big|large|huge|great
bigger|larger|greater|better|stronger
make|create|let|have|cause
want|would like|wish|need|would love|intend
machine|computer|pc|box|system|laptop|notebook|device|hardware
print|output|show|write|emit
folder|directory|place|location
file|document|text file
several|many|multiple|a few|some
explain|describe|clarify|spell out|go over
set|choose|define|specify|give|put
model|LLM|language model|network
continue|resume|go on with|carry on with|pick up|proceed with
save|store|keep|record|write down|write
saved|stored|kept|recorded|written
history|log|archive|past chats|record
search|look|hunt|scan|query
quit|exit|leave|close|get out of|end
key|button|shortcut|keystroke
keys|buttons|shortcuts|keystrokes|key bindings
option|flag|switch|parameter|setting
options|flags|switches|parameters
command|subcommand|instruction
commands|subcommands|instructions
question|query|request|prompt
prompt|question|text|request
limit|restrict|cap|bound
send|submit|post|fire off|dispatch
script|shell script|program|cron job|job
fast|quick|speedy
slow|sluggish|laggy
error|failure|problem|fault
memory|RAM|main memory
mean|signify|stand for|say|tell me
best|most suitable|finest|right
need|require|have to have|must have
choose|pick|select|decide on|specify
list|overview|table|enumeration|show
screen|display|terminal|window
convert|turn|transform|change
hide|suppress|leave out|not show
attach|add|include|append|hand over
export|write out|dump|save
write|compose|draft|put together
tell|show|inform
possible|feasible|allowed
where|in which place|at what place
quickly|fast
without|lacking|with no
again|once more|anew|afresh
currently|now|at present
only|just|merely|solely
also|too|as well""".splitlines():
    word, *others = line.split("|")
    SYNONYM[word] = others
OPENERS = set("how what which where can could would should does there way tell show want need like please possible trying know explain".split())
STOPWORDS = {"the", "a", "an", "i", "do", "to", "is", "of", "my", "me", "it"}
SYSTEM = ["You are a helpful assistant.", "Answer briefly.", "You are hadal-mini.", "Be concise.",
          "Answer in one sentence.", "You are a friendly guide to hadal.", "Respond politely.",
          "You are a helpful, honest assistant.", "Help the user.", "Use plain English."]

SYLL = "ba be bi bo bu da de di do fa fe fi ga go ka ke ki ko la le li lo lu ma me mi mo na ne ni no pa pe po ra re ri ro ru sa se si so ta te ti to va ve vi za ze zi zo sha chi tha wen lor mar tin dan bel kor zan xi qu yo ja jo hu ha".split()
WORDS = "time year people way day man thing woman life child world school state family student group country problem hand part place case week company system question work government number night point home water room mother area money story fact month lot right study book eye job word business issue side kind head house service friend father power hour game line end member law car city community name president team minute idea kid body information back parent face others level office door health person art war history party result change morning reason research girl guy moment air teacher force education".split()


def normal(text):
    """What two questions share that differ in case, punctuation and spaces only."""
    return " ".join(re.sub(r"[^\w\-$/#+*]+", " ", text.lower()).split())


class Topic:
    def __init__(self, name, zh):
        self.name, self.zh = name, zh
        self.questions, self.answers, self.follows, self.special = [], [], {}, None
        self.plain = []
        self.human = []             # whole phrasings, written out one by one
        self.numbers = None


class Guide:
    """All topics of the guide files, with their templates compiled."""

    def __init__(self):
        self.grammar = Grammar()
        self.topics = {}
        for name in GUIDES:
            self.read(HERE / name)
        for name in PHRASES:
            self.read_phrases(HERE / name)
        g = self.grammar
        for t in self.topics.values():
            t.weights = [min(g.count(g.tree(q)), 3000) ** 0.5 for q in t.questions]

    def templates(self, text, thing):
        return [q.strip().replace("$", thing) for q in split_top(text)]

    def read(self, path):
        g, topic = self.grammar, None
        zh = ".zh." in path.name
        for line in path.read_text("utf-8").splitlines():
            if topic and topic.answers and line and line[:2] in ("- ",):
                topic.answers[-1] += "\n" + line
                continue
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("@"):
                key, rest = line[1:].split(" ", 1)
                g.lists[key] = [p.strip() for p in split_top(rest)]
            elif line.startswith("== "):
                topic = Topic(line[3:].strip(), zh)
                self.topics[topic.name] = topic
            else:
                self.entry(topic, line[0], line[2:])

    def read_phrases(self, path):
        """`== topic`, then a phrasing a line, each as likely as another, or a follow-up (f)."""
        topic = None
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("== "):
                topic = self.topics[line[3:].strip()]
            elif line.startswith("f "):
                self.entry(topic, "f", line[2:])
            elif line.strip() and not line.startswith("#"):
                topic.human.append(line.strip())

    def entry(self, topic, kind, rest):
        g = self.grammar
        things = [x.strip() for x in rest.split(";")]
        if kind == "q" and rest.startswith("{@mem "):
            topic.numbers = rest[6:-1].split()
            topic.questions += self.templates(MEMORY_ZH if topic.zh else MEMORY, "$gb")
        elif kind == "q":
            topic.questions.append(rest)
        elif kind == "Q":
            topic.plain = things
        elif kind == "a":
            topic.answers.append(rest)
        elif kind == "A":
            topic.answers.append(g.tree(rest))
        elif kind == "f":
            names, text = rest.split(": ", 1)
            for n in names.split():
                topic.follows.setdefault(n, []).append(text)
        elif kind == "o":
            for o in things:
                names = "{%s|%s|%s|`%s`}" % (o, o, o, o)
                topic.questions += self.templates(OPTION, names)
                if o.startswith("--"):
                    bare = o[2:] + "{ | }{option|flag|parameter}"
                    topic.questions += ["{what is|explain|what does|tell me about|describe} the %s{| do| mean| for}" % bare,
                                        "{the |}" + bare, "how {do I|to} use the " + bare]
        elif kind in "ckex":
            form = {"c": COMMAND, "k": KEY, "e": VARIABLE, "x": EXIT}[kind]
            for x in things:
                x = "{%s|$%s}" % (x, x) if kind == "e" else x
                topic.questions += self.templates(form, x)
        elif kind in "uvpn":
            topic.special = kind
        else:
            raise ValueError(kind + " " + rest)


class Maker:
    """Draws conversations: lists of (role, text), the user's first."""

    def __init__(self, seed, banned=(), core=False):
        """core: only the questions that a newcomer asks first, with which training begins."""
        self.guide = Guide()
        self.rng = random.Random(seed)
        self.banned = {normal(b) for b in banned}
        t = self.guide.topics
        self.en = [n for n in t if not t[n].zh]
        self.zh = [n for n in t if t[n].zh]
        heavy = {"greet": 2, "can": 1.6, "help": 1.6, "pull.how": 2, "pull.fit": 2, "search": 1.6, "resume": 1.8,
                 "who": 2, "key.quit": 1.6, "key.stop": 1.4, "keys": 1.5, "commands": 1.5, "pipe": 1.4, "run": 1.4,
                 "off.noise": 0.8, "joke": 0.7, "sorry": 0.7, "namehadal": 0.7, "unknown.command": 1.6,
                 "unknown.option": 1.6, "key.unknown": 1.5, "unknown.feature": 1.5, "exit.unknown": 0.8, "off.paste": 1.2,
                 "history.delete": 1.3, "key.scroll": 1.2, "model.choose": 1.4, "whathadal": 1.6}
        self.weight = {n: heavy.get(n, 3.0 if n.startswith("off.fact") else 2.0 if n.startswith("off.")
                                    else 0.5 if n.startswith("exit.") else 1.0) for n in t}
        if core:
            self.en = [n for n in self.en if n in CORE or n.startswith(("off.", "fit."))]
            self.zh = [n for n in self.zh if n in CORE]
        self.facts = Facts(self.rng, self.guide.grammar)
        self.followers = {}
        for n in self.en:
            for before in t[n].follows:
                self.followers.setdefault(before, []).append(n)
        self.real = set(re.findall(r"--[a-z-]+", " ".join(names()["options"])))
        self.real_commands = set(names()["commands"])

    # ---- questions

    def syllables(self, lo=2, hi=3):
        return "".join(self.rng.choice(SYLL) for _ in range(self.rng.randint(lo, hi)))

    def number(self):
        return str(self.rng.choice([self.rng.randint(1, 20), self.rng.randint(1, 100), self.rng.randint(100, 5000)]))

    def paste(self):
        r = self.rng
        ask = r.choice(["summarise this", "summarize this text", "write the commit message", "what does this code do?",
                        "explain this", "fix the bug", "translate this to french", "review this diff", "what is wrong here?",
                        "make this shorter", "correct my text", "list the main points", "explain this error", "why does this fail",
                        "describe this file", "find the typo", "what does this log say", "answer this mail", "Summarise:", "explain the log"])
        def words(n):
            return " ".join(r.choice(WORDS) for _ in range(n))
        kind, lines = r.randrange(5), []
        for _ in range(r.randint(1, 7)):
            v, w = self.syllables(), self.syllables()
            lines.append([f"{words(r.randint(4, 10)).capitalize()}.",
                          r.choice([f"    {v} = {w}({self.number()});", f"int {v}(char *{w}) {{", f"    return {v} + {w};", "}", f"#include <{v}.h>"]),
                          r.choice([f"+    {v}({w});", f"-    {v}();", f"@@ -{self.number()},7 +{self.number()},9 @@", f"diff --git a/{v}.c b/{w}.c", f" {words(3)}"]),
                          f"2026-0{r.randint(1, 9)}-{r.randint(10, 28)} {r.choice(['ERROR', 'INFO', 'WARN'])} {v}: {words(4)}",
                          r.choice([f"def {v}({w}):", f"    print({v})", f"    for {v} in {w}:", f"import {v}", f"    return {w}"])][kind])
        text = "\n".join(lines)
        form = r.randrange(4)
        if form == 0:
            return f"{ask}\n\n{self.syllables()}.{r.choice(['c', 'py', 'txt', 'md', 'log'])}\n```\n{text}\n```"
        return text if form == 1 and len(lines) > 2 else f"{ask}\n\n{text}"

    def fake(self, kind):
        r = self.rng
        while True:
            word = r.choice(FAKE_COMMANDS if kind == "u" else FAKE_OPTIONS) if r.random() < 0.6 else \
                self.syllables() if kind == "u" else "--" + self.syllables()
            if word not in self.real and word not in self.real_commands:
                break
        if kind == "u":
            t = self.guide.templates(COMMAND, word)
        else:
            t = self.guide.templates(OPTION, word)
        return self.guide.grammar.draw(r, self.guide.grammar.tree(r.choice(t)))

    def mash(self):
        r = self.rng
        kind = r.randrange(4)
        if kind == 0:
            return "".join(r.choice("asdfghjklqwertyuiop") for _ in range(r.randint(4, 14)))
        if kind == 1:
            return " ".join("".join(r.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(r.randint(2, 8))) for _ in range(r.randint(2, 5)))
        if kind == 2:
            return "".join(r.choice("!?.,;:#*+-&%$=") for _ in range(r.randint(2, 8)))
        return " ".join(self.syllables() for _ in range(r.randint(2, 4)))

    def question(self, topic, text=None):
        """-> (text, the slots it fills); text: a follow-up's template."""
        while True:                                  # some templates may come out empty
            q, gb = self.draw_question(topic, text)
            if q:
                return q, gb

    def draw_question(self, topic, text):
        r, g, gb = self.rng, self.guide.grammar, None
        human = text is None and topic.human and r.random() < 0.8
        if human:
            q = g.draw(r, g.tree(r.choice(topic.human)))
        elif text is None and topic.plain and r.random() < 0.2:
            q = r.choice(topic.plain)
            q = q if r.random() < 0.6 else q.rstrip("?!") or q
            return (q if r.random() < 0.6 else self.case(q)), None
        elif text is None and topic.special:
            if topic.special == "p":
                return self.paste(), None
            if topic.special == "n":
                return self.mash(), None
            q = self.fake(topic.special)
        else:
            q = g.draw(r, g.tree(text or r.choices(topic.questions, topic.weights)[0]))
        if "$gb" in q:
            gb = r.choice(topic.numbers)
            q = q.replace("{$gb}", gb).replace("$gb", gb)
        while "#" in q and topic.name.endswith(("math", "now", "play", ".off")):
            q = q.replace("#", self.number(), 1)
        q = re.sub(r"\s+", " ", q).strip()
        if not q or normal(q) in self.banned:        # before slips and courtesies, too
            return "", None
        return (self.dirty_zh(q) if topic.zh else self.dirty(q, topic, text is not None, human)), gb

    def dirty_zh(self, q):
        r, x = self.rng, self.rng.random()
        if len(q) > 4:
            if x < 0.1:
                q = r.choice(["请问", "请问一下，", "你好，", "那", "那么", "想问一下，", "问一下，", "麻烦问下，", "对了，", "另外，", "再问一下，", "好的，"]) + q
            elif x < 0.14 and "\u4e00" <= q[-1] <= "\u9fff":
                q += r.choice(["，谢谢", "啊", "呀", "，请告诉我", "呢"])
            elif x < 0.18:
                i = r.randrange(len(q) - 1)
                q = q[:i] + q[i + 1:]
        if q[-1] in "？?。！" and len(q) > 1:
            if r.random() < 0.3:
                q = q[:-1]
        elif r.random() < 0.25:
            q += r.choice("？?。")
        return q

    def dirty(self, q, topic, follow, human=False):
        r = self.rng
        social = topic.name in SOCIAL
        if r.random() < (0.1 if human else 0.4) and topic.special is None:
            fixed = self.real_commands if re.search(r"hadal|command|help|usage|purpose|meaning", q) else ()
            q = " ".join(r.choice(SYNONYM[w.lower()]) if w.lower() in SYNONYM and w.lower() not in fixed and r.random() < 0.25 else w
                         for w in q.split(" "))
        words = q.split(" ")
        if not social and not follow and topic.special is None and len(words) > 3 and (not human or r.random() < 0.15):
            q = " ".join(self.shake(words))
        if not social and not follow and len(q) > 8 and r.random() < 0.12 and q[-1].isalnum():
            q += r.choice(FILLERS)
        x = r.random()
        if not social and not follow and len(q) > 6:
            if x < 0.14:
                b = r.choice(BEFORE)
                q = b + (q if q[:2] == "I " or q[:1].isupper() and q[1:2].isupper() else q[0].lower() + q[1:])
            elif x < 0.22 and q[-1].isalnum():
                q += r.choice(AFTER)
        if r.random() < 0.3:
            for a, b in (("what is", "what's"), ("I am", "I'm"), ("do not", "don't"), ("does not", "doesn't"), ("how is", "how's")):
                q = q.replace(a, b) if r.random() < 0.6 else q
        x = r.random()
        if x < 0.42:
            q = q[0].upper() + q[1:]
        elif x < 0.75:
            keep = re.findall(r"[A-Z]*[_$][A-Z_]+|F\d+|-[A-Za-z-]+", q)
            low = q.lower()
            for k in keep:
                low = low.replace(k.lower(), k)
            q = low
        elif x < 0.775 and "-" not in q:
            q = q.upper()
        if r.random() < 0.11:
            q = self.typo(q)
        if q[-1].isalnum() or q[-1] == "`":
            x = r.random()
            asks = re.match(r"(what|how|which|where|who|why|can|is|are|do|does|when|could)\b", q, re.I)
            if asks:
                q += "?" if x < 0.6 else "" if x < 0.93 else r.choice([" ?", "??", ".", "?!", "..."])
            else:
                q += "" if x < 0.6 else r.choice(["?", ".", "!", "?", "."])
        return q.strip()

    def shake(self, words):
        """Words left out, moved, or strange ones put in: the rest must do."""
        r, x = self.rng, self.rng.random()
        if x < 0.22:
            weak = [w.lower() in STOPWORDS or w.lower() in OPENERS for w in words]
            kept = [w for w, k in zip(words, weak) if re.search(r"[\d`$_^/-]", w) or r.random() > (0.4 if k else 0.1)]
            words = kept if len(kept) > 1 else words
        elif x < 0.36:
            for _ in range(r.randint(1, 3)):
                words.insert(r.randint(0, len(words)), r.choice(WORDS) if r.random() < 0.7 else self.syllables(1, 2))
        elif x < 0.44:
            i = r.randrange(1, len(words))
            words = words[i:] + words[:i]
        return words

    def typo(self, q):
        r = self.rng
        spots = [m for m in re.finditer(r"(?<![-$`A-Z\w])[a-z]{4,}(?![-`\w])", q)]
        if not spots:
            return q
        m = r.choice(spots)
        w, i = m.group(0), r.randrange(1, len(m.group(0)) - 1)
        kind = r.randrange(4)
        if kind == 0:
            w = w[:i] + w[i + 1] + w[i] + w[i + 2:]
        elif kind == 1:
            w = w[:i] + w[i + 1:]
        elif kind == 2:
            w = w[:i] + w[i] + w[i:]
        else:
            w = w[:i] + r.choice("abcdefghiklmnoprstuvwy") + w[i + 1:]
        return q[:m.start()] + w + q[m.end():]

    def answer(self, topic, gb, q=""):
        """One of the topic's answers; one that names what the question names, if there is such."""
        named = re.findall(r"--[a-z-]+|-[a-zA-Z]\b|[A-Z]+_[A-Z_]+", q)
        fit = [a for a in topic.answers if named and isinstance(a, str) and all(x in a for x in named)]
        known = fit or topic.answers
        # the first is the commonest: were all alike, a doubtful question would go to the topic with the fewest
        a = self.rng.choices(known, [4] + [1] * (len(known) - 1))[0]
        if isinstance(a, list):
            a = self.guide.grammar.draw(self.rng, a)
            a = re.sub(r"(^|[.:;!?] )([a-z])", lambda m: m.group(1) + (m.group(2).upper() if m.group(1) in ("", ". ", "! ", "? ") else m.group(2)), a)
        return a.replace("{$gb}", gb or "")

    # ---- what the user tells, to be remembered

    def tell(self, told):
        """-> (question, answer, label): something about the user, at times with a question."""
        r = self.rng
        if r.random() < 0.8:
            return *self.facts.tell(told), "told"
        t = self.topic(self.en, lambda x: x != "off.paste" and x not in SOCIAL)
        q, gb = self.question(t)
        if gb:
            told["gb"] = gb
        name, hello = self.facts.tell_name(told)
        joined = name + r.choice([". ", ", ", "! ", " and ", ". ", ": ", "\n"]) + q
        return self.case(joined), f"{hello} {self.answer(t, gb, q)}", t.name

    def case(self, q):
        return q[:1].upper() + q[1:] if self.rng.random() < 0.5 else q

    # ---- conversations

    def topic(self, names_, keep=lambda n: True):
        pool = [n for n in names_ if keep(n)]
        return self.guide.topics[self.rng.choices(pool, [self.weight[n] for n in pool])[0]]

    def zh_turn(self, told):
        x = self.rng.random()
        if x < (0.06 if "name" in told else 0.12):
            self.label = "told"
            return self.facts.tell_zh(told)
        if x < (0.3 if told else 0.15):
            self.label = "recalled"
            return self.facts.recall_zh(told)
        t = self.topic(self.zh)
        self.label = t.name
        q, gb = self.question(t)
        return q, self.answer(t, gb, q)

    def repeat(self, n):
        """-> (question, answer): n words and numbers to be said again."""
        r = self.rng
        text = " ".join(r.choice([lambda: r.choice(WORDS), self.syllables, self.facts.name, self.number])() for _ in range(n))
        frame = r.choice(["repeat after me: ", "repeat: ", "please repeat: ", "say after me: ", "echo ", "repeat this: ", "repeat the words "])
        return self.case(frame + text), f'"{text}"'

    def turn(self, state):
        r, t = self.rng, self.guide.topics
        facts, last = state["facts"], state["last"]
        x = r.random()
        plan = state["plan"].pop(0) if state["plan"] else None
        if plan == "tell" or plan is None and x < (0.04 if "name" in facts else 0.09):
            q, a, state["last"] = self.tell(facts)
            self.label = state["last"]
            return q, a
        if plan in ("recall", "once") or plan is None and x < (0.18 if facts else 0.11):
            state["last"] = self.label = "recalled"
            return self.facts.at_once() if plan == "once" else self.facts.recall(facts)
        if plan is None and state["asked"] and x > 0.94 and len(state["asked"]) < 70 and "\n" not in state["asked"]:
            state["last"], self.label = "recalled", "asked"
            return self.case(r.choice(["what did I just ask", "what was my last question", "what did I ask you", "repeat my question", "what was my question",
                                       "which question did I just ask", "do you remember my last question"])) + r.choice(["?", ""]), f'You asked: "{state["asked"]}"'
        if plan is None and r.random() < 0.08:
            state["last"] = self.label = "asked"
            return self.repeat(r.randint(1, 5))
        if plan == "greet":
            n = r.choice(["greet", "greet", "howareyou", "bye", "thanks"])
            q, gb = self.question(t[n])
        elif last in self.followers and r.random() < 0.45:
            n = r.choice(self.followers[last])
            q, gb = self.question(t[n], r.choice(t[n].follows[last]))
        elif last in ("pull.fit", "pull.how") and r.random() < 0.5:
            n = r.choice(["fit.tiny", "fit.small", "fit.medium", "fit.large"])
            q, gb = self.question(t[n])
        else:
            n = self.topic(self.en).name
            q, gb = self.question(t[n])
            if last and n not in SOCIAL and not t[n].special and r.random() < 0.22:
                q = r.choice(LINKS) + (q[0].lower() + q[1:] if not q[:2].isupper() else q)
                q = self.case(q)
        if gb:
            facts["gb"] = gb
        state["last"] = self.label = n
        a = self.answer(t[n], gb, q)
        if n == "bye" and "name" in facts:
            a = re.sub(r"^(Goodbye|See you)!", lambda m: f"{m.group(1)}, {facts['name']}!", a)
        if n == "greet" and "name" in facts:
            a = f"Hello again, {facts['name']}! What would you like to know about hadal?"
        return q, a

    def plan(self):
        """The turns of a conversation in which something is told and asked for later."""
        r = self.rng
        if r.random() < 0.14:
            return ["once"]
        out = [x for x, p in (("greet", 0.2), ("recall", 0.1)) if r.random() < p] + ["tell"]
        for _ in range(r.choices([1, 2, 3], [75, 20, 5])[0]):
            out += ["ask"] * r.choices([0, 1, 2, 3], [45, 30, 18, 7])[0] + ["recall"]
            if r.random() < 0.25:
                out += [r.choice(["tell", "greet", "recall"]), "recall"]
        return out

    def single(self):
        """-> (turns, the topic of each answer), of one question that stands alone."""
        names = self.zh if self.rng.random() < 0.15 else self.en
        while True:
            t = self.topic(names)
            q, gb = self.question(t)
            if normal(q) not in self.banned:
                return [("user", q), ("assistant", self.answer(t, gb, q))], [t.name]

    def conversation(self):
        return self.labelled()[0]

    def labelled(self):
        """-> (turns, the topic of each answer)"""
        while True:
            turns, labels = self.draw_conversation()
            if labels:
                return turns, labels

    def draw_conversation(self):
        r, labels = self.rng, []
        zh = r.random() < 0.15
        n = r.choices([1, 2, 3, 4, 5, 6, 8, 12], [48, 17, 19, 6, 4, 3, 2, 1])[0]
        plan = [] if zh or r.random() > MEMORY_SHARE else self.plan()
        n = len(plan) or n
        state = {"facts": {}, "last": None, "asked": None, "plan": plan}
        turns = [("system", r.choice(SYSTEM))] if r.random() < 0.05 else []
        while n:
            q, a = self.zh_turn(state["facts"]) if zh else self.turn(state)
            if normal(q) in self.banned:
                if plan:
                    break                                # what is told next may hang on it
                continue
            state["asked"] = q
            turns += [("user", q), ("assistant", a)]
            labels.append(self.label)
            n -= 1
        return turns, labels


LABELS = ("told", "recalled", "asked")      # of answers about the user; those of all others are topics
MEMORY_SHARE = 0.17          # of the English conversations follow a plan of telling and recalling
CORE = set("""greet howareyou thanks praise ok bye who human notother can help whathadal commands keys key.quit key.stop key.enter
key.newline pull.how pull.fit list search resume run pipe history.where offline export settings exit.all doctor unknown.command
zh.greet zh.who zh.can zh.quit zh.pull zh.thanks zh.off zh.keys zh.commands""".split())
SOCIAL = {"greet", "howareyou", "fine", "sad", "thanks", "praise", "ok", "bye", "insult", "sorry", "off.noise"}


def names():
    """names.txt: what may be named, by kind."""
    out, kind = {}, None
    for line in (HERE / "names.txt").read_text("utf-8").splitlines():
        if line.startswith("== "):
            kind = line[3:].strip()
            out[kind] = []
        elif line.strip() and not line.startswith("#"):
            out[kind] += line.split()
    return out


def banned_questions():
    """The questions set aside for the evaluation, but for greetings and the like of up to three words."""
    out = []
    for f in sorted((HERE / "eval").glob("*.txt")):
        out += [line.split(" => ")[0] for line in f.read_text("utf-8").splitlines() if " => " in line]
    return [q for q in out if len(q.split()) > 3 or any(c > "\u3000" for c in q) and len(q) > 4]


if __name__ == "__main__":
    m = Maker(int(sys.argv[2]) if len(sys.argv) > 2 else 1, banned_questions())
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5):
        for role, text in m.conversation():
            print(f"{role:>9}: {text}")
        print()
