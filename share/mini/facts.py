# SPDX-License-Identifier: MIT
"""What a user of hadal-mini tells about herself, and how she asks for it later.

Owns the names (people.txt, and made-up ones), the other facts, the ways to tell
and to ask.  The answers have few fixed forms on purpose: only the word that was
told differs, so that copying it is all there is to learn.
"""
from pathlib import Path

PEOPLE, PEOPLE_ZH = [], []
for _line in (Path(__file__).resolve().parent / "people.txt").read_text("utf-8").splitlines():
    if _line and not _line.startswith("#"):
        _kind, _, _names = _line.partition(": ")
        (PEOPLE_ZH if _kind == "zh" else PEOPLE).extend(_names.split())
COMMON = PEOPLE[:150]         # short in tokens, for they are frequent: copying is learnt on them first

ONSET = """b b c c d d f g h j k k l l m m n n p r r s s t t v z b c d f g h j k l m n p r s t v w z br bl ch cl cr dr fl fr gl gr kh kl kr ph pl pr qu rh sh sk sl sm sn sp st str sv
sw th thr tr ts tw v vl vr wh x y zh""".split()
VOWEL = "a a a e e e i i i o o o u u ai au ea ee ei eo ia ie io oa oo ou ua y".split()
CODA = [""] * 14 + "n n n r r l l s s t m k d ng nd rt st x z th sh ck ll nn ss ph b g p v lm rn ns".split()

TELL_NAME = """my name is $
my name is $
my name is $
{I'm|I am|im|i am} $
{I'm|I am|im|i am} $
{I'm|I am} $, {by the way|nice to meet you|pleased to meet you|a new user|good to meet you|btw}
{my name's|name's|the name's|the name is|my name:|name:|name is} $
call me $
{please|just|you can|you may|feel free to|simply} call me $
$ here
$ here, {hi|hello|good evening|nice to meet you|I am new|a beginner}
$ {speaking|talking|on the keyboard|typing|is here}
it's $
it's me, $
this is $
{you are|you're} {talking|speaking|chatting|writing} {to|with} $
{people|friends|my friends|they|everyone|my colleagues|most people|my family} {call|calls} me $
I go by {|the name of |the name }$
{I am|I'm} {called|named|known as} $
my {first|given|full|real|last} name is $
my {nickname|handle|username|nick} is $
{remember|please remember|note|keep in mind|don't forget} {that |}my name is $
remember {my name|me}: $
{the user is|your user is|the person typing is} $
{I was|I got} named $
my {parents|mother|mum|father} {named|call|calls} me $
{let me|allow me to|may I} introduce myself{: |, }{I'm|my name is|I am} $
$ is my name
$ is {what|how} {people|they|my friends} call me
$, {that's me|that is me|that's my name|pleased to meet you}
{my friends know me as|I am known to all as|most people know me as} $
{I'd|I would} like {you to call me|to be called} $
{address|know|greet} me as $
{for the record|by the way|btw|fyi|so you know|just so you know}, {I'm|my name is|I am} $
{you should|you might want to} know my name is $
the one {writing|asking} {here |}is $
{good to meet you|nice to meet you|pleased to meet you}, {I'm|I am|my name is} $
save my name: $
in case you wonder, {I'm|my name is} $
hadal, {I'm|I am|meet} $
$
{I'm|I am} $ and {I am new here|I just started|I am new to this|this is my first time|I have a question|I need help}""".splitlines()
AGAIN_NAME = """{actually|no|sorry|wait|oops|correction|hm}, {my name is|I'm|I am|it's|call me} $
{actually|no|sorry|wait}, I meant $
I am not @, I'm $
{my name is|it's|I'm} not @ but $
not @, {$|I'm $|it is $|but $}
{call|please call} me $ {instead|from now on|now|rather}
I changed my name{ to|, it's|, I am} $
{wrong|not quite|that was wrong}, {it's|my name is|I am} $
{I lied|I was joking}, my name is {really |}$
my name is {really|actually|in fact|now} $
{make that|better:|rather} $
from now on {I am|call me|my name is} $
@ was wrong, {it's|my name is} $
{sorry, |}{I mistyped|a typo}{: |, }{my name is|I am|it's} $
forget @, {I'm|call me|my name is} $""".splitlines()
ASK_NAME = """what's my name
what is my name
what is my name
what's my name again
whats my name
what was my name{| again}
do you {|still }{remember|know|recall|have} my name
{who am I|who am i|who am I again|and who am I}
what am I called
{say|tell me|repeat|give me|type|write|spell|print} my name{| please| once more}
what did I say my name {was|is}
{what|which} name did I {give|tell} you
how am I called
{can|could|would|will} you {tell me|say|repeat|recall|write} my name
my name
{have I told|did I tell|did I give|did I mention to} you my name
{remember|recall} my name
what do you call me
who {are you talking to|is talking to you|is asking|do you think I am|is this user|am I to you}
{do you remember|do you know|can you remember|can you say|can you tell|remember} who I am
{by|under} {what|which} name do you know me
{how|what} {would you|do you|should you} {call|address} me
who did I say I {was|am}
{what|which} name do I {go by|have|use}
{I forgot|remind me of} my {|own }name
did you {catch|get|note|forget|keep|save} my name
{and |}my name {is|was}
name of the user
{what's|what is} the user called
{so you know my name|you know my name}, {don't you|right|do you}
what name have I got
{what|which} name did I {mention|type|enter|write|say}{| earlier| before| at the start}
{address|greet} me by my name
{test|memory test}: my name
your user's name
complete this: my name is
I told you my name, {what is it|what was it|do you recall it}
{do you know|any idea} what I am called""".splitlines()
RECALL_START = """so |and |now |ok, |okay, |tell me, |quick test: |hey, |by the way, |before I go, |thanks. |one thing: |good. |well, |hm, |a question: |let's see: |cool. |great, |please, |but """.split("|")
HELLO = ["", "", "", "", "", "hi, ", "hello, ", "hey, ", "hi! ", "hello! ", "good morning, ", "hi there, ", "oh, ", "hey there, ",
         "good evening, ", "hi ", "hello ", "hey ", "yo, ", "ok, ", "hey! ", "hello there! ", "greetings, ", "good day, ", "hi. "]

CITIES = """Berlin Paris London Rome Madrid Vienna Oslo Prague Lisbon Warsaw Athens Tokyo Beijing Delhi Cairo Lagos Lima Boston Chicago
Toronto Sydney Hamburg Milan Lyon Porto Krakow Dublin Zurich Geneva Munich Naples Seville Kyoto Osaka Shanghai Mumbai Nairobi Accra
Quito Bogota Dallas Seattle Denver Helsinki Riga Tallinn Vilnius Budapest Sofia Tirana Ankara Izmir Tunis Leeds Bristol Turin Ghent
Brazil France Norway Japan Kenya Peru Iceland Texas Bavaria Scotland Vietnam Chile Poland Canada Egypt Ireland Cork Bergen Basel Graz
Malaga Nantes Lille Antwerp Utrecht Aarhus Malmo Tampere Gdansk Brno Split Zagreb Belgrade Skopje Odessa Tbilisi Baku Almaty Pune
Jakarta Manila Hanoi Seoul Busan Taipei Perth Hobart Auckland Montreal Havana Caracas Dakar Kigali""".split()
JOBS = """teacher nurse driver baker engineer lawyer farmer painter student programmer doctor gardener musician plumber writer
carpenter pilot designer chemist translator librarian cook dentist plumber physicist biologist historian tailor sailor judge
mechanic electrician architect journalist photographer waiter manager scientist accountant barber butcher florist vet surgeon""".split()
FAVOURITE = {
    "colour": "red blue green yellow black white orange purple pink brown grey violet turquoise beige gold silver teal crimson".split(),
    "food": "pizza pasta rice soup curry sushi bread cheese apples mangoes pancakes tacos noodles salad chocolate dumplings falafel".split(),
    "drink": "coffee tea water cola beer wine juice milk cocoa lemonade mate".split(),
    "animal": "dog cat rabbit horse turtle fox wolf owl otter whale tiger panda penguin bear crow dolphin".split(),
    "number": [str(n) for n in (3, 7, 8, 9, 11, 12, 13, 17, 19, 21, 23, 27, 33, 42, 64, 77, 99, 101, 128, 256, 314, 512, 777)],
    "season": "spring summer autumn winter".split(),
    "sport": "football tennis chess rowing hockey judo cricket running cycling swimming golf rugby skiing boxing climbing".split(),
    "language": "python rust c lisp haskell go java perl french german spanish latin italian japanese".split(),
    "editor": "vim emacs nano kate helix ed micro".split(),
    "city": CITIES,
    "day": "monday tuesday wednesday thursday friday saturday sunday".split(),
    "fruit": "apple mango banana cherry peach pear plum kiwi grape lemon fig melon".split(),
    "instrument": "piano violin guitar flute drums cello harp oboe trumpet".split(),
}
PETS = "dog cat rabbit hamster parrot horse turtle bird goldfish snake pony mouse kitten puppy".split()
KIN = """brother sister wife husband friend boss son daughter neighbour mother father cousin uncle aunt teacher partner colleague
girlfriend boyfriend project company team band boat car computer server laptop robot street school baby""".split()
SECRET = ["word", "number", "code", "password", "code word", "secret word", "pin"]


def article(word):
    return ("an " if word[0].lower() in "aeiou" else "a ") + word


class Facts:
    """Draws what is told and asked.  `told` maps a fact's key to its value."""

    def __init__(self, rng, grammar):
        self.rng, self.grammar = rng, grammar

    def pick(self, lines):
        return self.grammar.draw(self.rng, self.grammar.tree(self.rng.choice(lines)))

    def made_up(self):
        r = self.rng
        n = r.choices([1, 2, 3, 4], [30, 52, 16, 2])[0]
        parts = []
        for i in range(n):
            onset = r.choice(ONSET) if i or r.random() < 0.85 else ""
            parts.append(onset + r.choice(VOWEL) + (r.choice(CODA) if i == n - 1 or r.random() < 0.15 else ""))
        word = "".join(parts)
        return word if len(word) > 1 else word + r.choice("nrlst")

    def name(self):
        r, x = self.rng, self.rng.random()
        if x < 0.28:
            return r.choice(COMMON)
        if x < 0.58:
            return r.choice(PEOPLE)
        if x < 0.67:
            return r.choice(PEOPLE).lower()
        if x < 0.93:
            return self.made_up().capitalize()
        if x < 0.96:
            return self.made_up()
        if x < 0.98:
            return r.choice(COMMON) + " " + r.choice([r.choice(PEOPLE), self.made_up().capitalize()])
        if x < 0.99:
            return r.choice(["Dr. ", "Mr. ", "Mrs. ", "Ms. ", "Professor ", "Captain "]) + r.choice([r.choice(COMMON), self.made_up().capitalize()])
        return r.choice(COMMON) + "-" + r.choice(COMMON)

    def finish(self, q):
        r = self.rng
        if r.random() < 0.5:
            q = q[0].upper() + q[1:]
        return q + (r.choice(["", "", "", ".", "!"]) if q[-1].isalnum() else "")

    def asked(self, q):
        r = self.rng
        if r.random() < 0.22:
            q = r.choice(RECALL_START) + q
        q = q[0].upper() + q[1:] if r.random() < 0.5 else q
        return q + r.choice(["?", "?", "?", "", "", " ?" if r.random() < 0.1 else "?"])

    # ---- the name

    def tell_name(self, told):
        """-> (what the user says, the beginning of the answer)"""
        r, n, old = self.rng, self.name(), told.get("name")
        told["name"] = n
        if old and old != n:
            q = self.pick(AGAIN_NAME).replace("$", n).replace("@", old)
            return q, f"All right, {n}."
        q = self.pick(TELL_NAME)
        if q == "$":                              # alone, only a name that is one
            n = told["name"] = r.choice(PEOPLE)
        hi = r.choice(HELLO) if q != "$" and not q.startswith(("hadal", "let me", "allow", "may I", "good", "nice")) else ""
        return hi + q.replace("$", n), f"Hello, {n}!"

    # ---- all other facts

    def fact(self):
        """-> (its key, what the user says, what is remembered)"""
        r = self.rng
        kind = r.choices(["city", "job", "age", "favourite", "called", "secret"], [5, 4, 2, 6, 6, 2])[0]
        if kind == "city":
            v = r.choice(CITIES) if r.random() < 0.6 else self.made_up().capitalize()
            return kind, self.pick([
                f"I live in {v}", f"I live in {v}", f"{{I'm|I am|i am}} from {v}", f"I come from {v}", f"my {{home|home town|city}} is {v}",
                f"I am {{living|staying|based}} in {v}", f"I moved to {v}", f"I was born in {v} and live there", f"greetings from {v}",
                f"I am writing from {v}", f"{v} is where I live", f"{v} is my home", f"my house is in {v}", f"I reside in {v}"]), f"you live in {v}"
        if kind == "job":
            v = r.choice(JOBS)
            a = article(v)
            return kind, self.pick([
                f"I work as {a}", f"{{I'm|I am|im}} {a}", f"{{I'm|I am}} {a} by {{trade|profession}}", f"my {{job|profession}} is {v}",
                f"by profession {{I am|I'm}} {a}", f"I earn my living as {a}", f"I have a job as {a}", f"they pay me as {a}"]), f"you work as {a}"
        if kind == "age":
            v = str(r.randint(7, 98))
            return kind, self.pick([f"{{I'm|I am|im}} {v}{{| years old}}", f"my age is {v}", f"I turned {v} {{today|last week|this year}}",
                                       f"I just turned {v}", f"{v} is my age"]), f"you are {v} years old"
        if kind == "favourite":
            k = r.choice(list(FAVOURITE))
            v = r.choice(FAVOURITE[k])
            us = {"colour": "{colour|color}"}.get(k, k)
            return "favourite " + k, self.pick([
                f"my {{favourite|favorite|favorite}} {us} is {v}", f"my {{favourite|favorite}} {us} is {v}",
                f"the {us} I like best is {v}", f"{v} is my {{favourite|favorite}} {us}", f"my preferred {us} is {v}",
                f"of all {us}s I like {v} best" if k not in ("city", "day") else f"the best {us} is {v}"]), f"your favourite {k} is {v}"
        if kind == "called":
            pet = r.random() < 0.5
            k, v = r.choice(PETS if pet else KIN), self.name()
            return "called " + k, self.pick([
                f"my {k} is {{called|named}} {v}", f"my {k}'s name is {v}", f"the name of my {k} is {v}", f"my {k} {v} says hello",
                f"I have {article(k)} {{called|named}} {v}", f"{v} is the name of my {k}", f"{v} is my {k}", f"I call my {k} {v}",
                f"we {{called|named}} our {k} {v}", f"I have {article(k)}, {{its|the}} name is {v}"]), f"your {k} is called {v}"
        k = r.choice(SECRET)
        v = str(r.randint(2, 9999)) if k in ("number", "pin", "code") else self.made_up()
        return "secret " + k, self.pick([
            f"{{please |}}remember {{the|this|my}} {k}: {v}", f"{{the|my}} {k} is {v}", f"{{the|my}} {k} is {v}, remember it",
            f"{{keep|note}} {{the|this}} {k}{{:|}} {v}", f"don't forget the {k} {v}", f"remember {v}, it is the {k}"]), f"the {k} is {v}"

    def ask(self, key):
        kind, _, k = key.partition(" ")
        lines = {
            "name": ASK_NAME,
            "city": ["where do I live", "where do I live", "where am I from", "{which|what} {city|town|place} do I live in",
                     "{do you remember|do you know|tell me|can you say} where I live", "what is my {city|home|home town}",
                     "where did I say I {live|was from|am from}", "where do I come from", "where am I {based|living|writing from}",
                     "which {place|city} am I from", "where is my home", "in {which|what} {city|place} do I live"],
            "job": ["what is my {job|profession|occupation}", "what's my {job|profession}", "what do I do for a living", "what do I work as",
                    "{do you remember|do you know|tell me} {my job|what I do|what I work as|my profession}", "what did I say {my job is|I do|I work as}",
                    "what is it I do for a living", "how do I earn my living", "what kind of work do I do"],
            "age": ["how old am I", "how old am I", "what is my age", "what's my age", "{do you remember|do you know|tell me} {my age|how old I am}",
                    "how old did I say I {am|was}", "my age"],
            "favourite": [f"what is my {{favourite|favorite}} {k}", f"what's my {{favourite|favorite}} {k}", f"{{which|what}} {k} do I {{like best|like most|prefer}}",
                          f"{{do you remember|do you know|tell me}} my {{favourite|favorite}} {k}", f"what did I say my favourite {k} {{is|was}}",
                          f"my favourite {k}", f"which {k} is my favourite"],
            "called": [f"what is my {k} called", f"what's my {k}'s name", f"what is my {k}'s name", f"how is my {k} called",
                       f"{{do you remember|do you know|tell me|say}} {{the name of my {k}|my {k}'s name|what my {k} is called}}",
                       f"what is the name of my {k}", f"what did I call my {k}", f"which name has my {k}", f"what did I say my {k} is called",
                       f"who is my {k}" if k in KIN[:19] else f"my {k}'s name"],
            "secret": [f"what is the {k}", f"what was the {k}", f"what's the {k}", f"{{tell me|say|repeat|give me}} the {k}",
                       f"{{do you remember|do you know|recall}} the {k}", f"which {k} did I {{give|tell}} you", f"what {k} did I {{tell|give}} you",
                       f"the {k} I told you"],
            "gb": ["how much {memory|RAM} do I have", "how much {memory|RAM} did I {say I have|tell you|say}", "do you remember {my memory size|how much memory I have}",
                   "how many {GB|gigabytes} did I say", "how many gigs do I have"],
        }[kind]
        return self.asked(self.pick(lines).replace("colour", self.rng.choice(["colour", "color"])))

    def remembered(self, key, told):
        if key == "name":
            return f"Your name is {told['name']}." if "name" in told else "You have not told me your name. What is it?"
        if key == "gb":
            return f"You said {told['gb']} GB."
        return told[key][0].upper() + told[key][1:] + "." if key in told else "You have not told me that."

    def tell(self, told):
        """-> (question, answer): the name, another fact, or both."""
        r, x = self.rng, self.rng.random()
        if x < 0.55:
            q, a = self.tell_name(told)
            more = " What would you like to know about hadal?" if a.startswith("Hello") else " I will remember that."
            return self.finish(q), a + more
        key, q, fact = self.fact()
        hi = r.choice(HELLO) if r.random() < 0.2 else ""
        if x < 0.72:
            name, a = self.tell_name(told)
            told[key] = fact
            q = name + r.choice([" and ", ", ", ". ", ", and "]) + q if r.random() < 0.75 or not a.startswith("Hello") else \
                q + r.choice([" and ", ", ", ". "]) + f"my name is {told['name']}"
            return self.finish(q), f"{a} Noted: {fact}."
        told[key] = fact
        if x < 0.8:
            key2, q2, fact2 = self.fact()
            if key2 != key:
                told[key2] = fact2
                return self.finish(hi + q + r.choice([" and ", ", ", ". ", ", and "]) + q2), f"Noted: {fact}, and {fact2}."
        return self.finish(hi + q), f"Noted: {fact}."

    def recall(self, told):
        """-> (question, answer): mostly what was told, sometimes what was not."""
        r = self.rng
        if told and r.random() < 0.87:
            key = "name" if "name" in told and r.random() < 0.5 else r.choice(list(told))
        else:
            key = r.choice(["name", "name", "name", "city", "job", "age", "favourite " + r.choice(list(FAVOURITE)),
                            "called " + r.choice(PETS + KIN), "secret " + r.choice(SECRET)])
        return self.ask(key), self.remembered(key, told)

    def at_once(self):
        """-> (question, answer): told and asked in one message."""
        told = {}
        if self.rng.random() < 0.5:
            q, _ = self.tell_name(told)
            key = "name"
        else:
            key, q, fact = self.fact()
            told[key] = fact
        ask = self.ask(key)
        return self.finish(q).rstrip(".!") + self.rng.choice([". ", ", ", "! ", ". ", " - "]) + ask, self.remembered(key, told)

    # ---- Chinese

    def name_zh(self):
        r = self.rng
        x = r.random()
        if x < 0.3:
            return r.choice(PEOPLE_ZH)
        if x < 0.75:
            return r.choice(ZH_FAMILY) + "".join(r.choice(ZH_GIVEN) for _ in range(r.choice([1, 2, 2])))
        if x < 0.85:
            return r.choice(["小", "老", "阿", "大"]) + r.choice(ZH_FAMILY + ZH_GIVEN)
        return self.name()

    def tell_zh(self, told):
        r = self.rng
        if r.random() < 0.68:
            n, old = self.name_zh(), told.get("name")
            told["name"] = n
            if old and old != n:
                q = r.choice(["不对，我叫$", "其实我叫$", "我不叫@，我叫$", "说错了，我是$", "改一下，我叫$", "以后叫我$吧", "不是@，是$", "请改叫我$"])
                return q.replace("$", n).replace("@", old) + r.choice(["", "", "。"]), f"好的，{n}，我记住了。"
            hi = r.choice(["", "", "", "", "你好，", "嗨，", "您好，", "大家好，", "你好！", "哈喽，", "早上好，", "晚上好，"])
            q = r.choice("我叫$|我叫$|我是$|我的名字是$|我的名字叫$|叫我$吧|叫我$就好|请叫我$|大家叫我$|大家都叫我$|可以叫我$|你可以叫我$|我姓名是$|这里是$|在下$|"
                         "本人$|我名叫$|朋友们叫我$|同事都叫我$|记住我叫$|请记住，我的名字是$|认识一下，我是$|自我介绍一下，我叫$|和你说话的是$|$是我的名字|我就是$|人们叫我$|名字：$".split("|"))
            return hi + q.replace("$", n) + r.choice(["", "", "。", "！"]), f"你好，{n}！想了解 hadal 的什么？"
        key, q, fact = self.fact_zh()
        told[key] = fact
        return q + r.choice(["", "", "。"]), f"记住了：{fact}。"

    def fact_zh(self):
        r = self.rng
        kind = r.choice(["city", "colour", "job", "pet", "age"])
        if kind == "city":
            v = r.choice(ZH_CITIES)
            return kind, r.choice(["我住在$", "我在$", "我来自$", "我家在$", "我是$人", "我现在住在$"]).replace("$", v), f"你住在{v}"
        if kind == "colour":
            v = r.choice("红色 蓝色 绿色 黄色 黑色 白色 紫色 粉色 橙色 灰色".split())
            return kind, r.choice(["我最喜欢的颜色是$", "我喜欢$", "我最爱$", "我最喜欢$"]).replace("$", v), f"你最喜欢的颜色是{v}"
        if kind == "job":
            v = r.choice("老师 医生 学生 程序员 工程师 律师 司机 护士 厨师 画家 作家 农民 会计 设计师".split())
            return kind, r.choice(["我是$", "我的工作是$", "我的职业是$", "我当$", "我是一名$", "我是个$"]).replace("$", v), f"你是{v}"
        if kind == "age":
            v = str(r.randint(7, 98))
            return kind, r.choice(["我$岁", "我今年$岁", "我今年$", "我刚满$岁"]).replace("$", v), f"你{v}岁"
        v, p = self.name_zh(), r.choice("狗 猫 兔子 鸟 乌龟 妹妹 弟弟 哥哥 姐姐 儿子 女儿".split())
        return "pet " + p, r.choice(["我的@叫$", "我家的@叫$", "我@名叫$", "我有@，叫$", "$是我的@"]).replace("$", v).replace("@", p), f"你的{p}叫{v}"

    def recall_zh(self, told):
        r = self.rng
        key = r.choice(list(told)) if told and r.random() < 0.88 else r.choice(["name", "name", "city", "colour", "job", "age"])
        if "name" in told and r.random() < 0.4:
            key = "name"
        kind, _, p = key.partition(" ")
        q = r.choice({
            "name": "我叫什么|我叫什么名字|我叫什么名字|你记得我的名字吗|我是谁|我的名字是什么|还记得我叫什么吗|说出我的名字|你知道我叫什么吗|我刚才说我叫什么|我的名字呢|你该怎么叫我|你叫我什么|"
                    "你知道我是谁吗|我告诉过你我的名字吗|重复一下我的名字|还记得我吗|我名字叫什么|请说我的名字|你忘了我的名字吗",
            "city": "我住在哪里|我住哪|我来自哪里|我是哪里人|我家在哪|还记得我住哪里吗|我在哪个城市|我刚才说我住在哪",
            "colour": "我最喜欢什么颜色|我喜欢什么颜色|我最喜欢的颜色是什么|记得我喜欢的颜色吗|我爱什么颜色",
            "job": "我做什么工作|我的职业是什么|我是做什么的|我的工作是什么|记得我的工作吗|我刚才说我是做什么的",
            "age": "我多大|我几岁|我多少岁|我今年几岁|我的年龄是多少|记得我的年龄吗",
            "pet": f"我的{p}叫什么|我{p}叫什么名字|我的{p}的名字是什么|还记得我{p}的名字吗",
            "gb": "我有多少内存|我说我有多少内存|我的内存是多少",
        }[kind].split("|"))
        q = r.choice(["", "", "", "", "", "那", "那么，", "请问", "现在，", "对了，"]) + q + r.choice(["？", "?", ""])
        if key == "name":
            return q, f"你叫{told['name']}。" if "name" in told else "你还没有告诉我你的名字。"
        if key == "gb":
            return q, f"你说过 {told['gb']} GB。"
        return q, told[key] + "。" if key in told else "这个你还没有告诉我。"


ZH_FAMILY = list("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段钱汤尹黎易常武乔贺赖龚文")
ZH_GIVEN = list("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂英华玉萍红娥玲芬燕彬凤洁梅琳素云莲真环雪荣爱妹香月莺媛瑞凡佳嘉琼勤珍贞莉晨雨欣怡子涵浩宇轩梓睿博文思远志鹏飞天佑安然诗语梦琪心悦若曦晓东海波建国春花秋实山川河林峰松柏")
ZH_CITIES = "北京 上海 广州 深圳 杭州 南京 武汉 成都 重庆 西安 天津 苏州 长沙 青岛 大连 厦门 昆明 哈尔滨 沈阳 济南 郑州 合肥 福州 台北 香港 东京 巴黎 伦敦 柏林 纽约".split()
