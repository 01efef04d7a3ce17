# SPDX-License-Identifier: MIT
"""The tokenizer of hadal-mini: byte-level BPE with DeepSeek-V3's pre-tokenizer.

Owns the vocabulary: ids 0, 1, 2 as in V3, then bytes and merges, then V3's
added tokens.  Text of people never yields an added token (encode_text); only
`chat` writes them.
"""
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
ADDED = ["<think>", "</think>", "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>", USER, ASSISTANT, "<|EOT|>",
         "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>",
         "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>", "<｜tool▁sep｜>"]
STEPS = [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
         "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]
# The form chat-templates.md calls deepseek-v3.
TEMPLATE = ("{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}{% endif %}{% endfor %}"
            "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<｜User｜>' + message['content'] }}"
            "{% elif message['role'] == 'assistant' %}{{ '<｜Assistant｜>' + message['content'] + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %}")


def with_steps(t):
    """Gives a bare BPE the pre-tokenizer and the decoder."""
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(s), "isolated") for s in STEPS] + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    return t


def train(texts, size, path):
    """BPE over the texts; size counts all ids, the added ones too."""
    t = with_steps(Tokenizer(models.BPE()))
    t.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=size - len(ADDED), special_tokens=[BOS, EOS, PAD], min_frequency=3, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    assert t.get_vocab_size() == size - len(ADDED), t.get_vocab_size()
    t.save(str(path))


class Vocabulary:
    def __init__(self, source):
        """source: a tokenizer.json, or a Tokenizer."""
        self.bpe = source if isinstance(source, Tokenizer) else Tokenizer.from_file(str(Path(source)))
        self.bpe.encode_special_tokens = True
        base = self.bpe.get_vocab_size()
        self.added = {a: base + i for i, a in enumerate(ADDED)}
        self.size = base + len(ADDED)
        self.bos, self.eos, self.pad = 0, 1, 2
        self.user, self.assistant = self.added[USER], self.added[ASSISTANT]

    def special(self):
        """The tokens that are no text."""
        return [self.bos, self.eos, self.pad, *self.added.values()]

    def encode_text(self, text):
        return self.bpe.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        return self.bpe.decode([i for i in ids if i < self.bpe.get_vocab_size()], skip_special_tokens=True)

    def chat(self, turns, answer=False):
        """(role, text) pairs -> ids and, for each, whether the assistant says it."""
        ids, said = [self.bos], [False]
        for role, text in turns:
            body = self.encode_text(text)
            if role == "system":
                ids += body
            elif role == "user":
                ids += [self.user] + body
            else:
                ids += [self.assistant] + body + [self.eos]
            said += [False] * (len(ids) - len(said))
            if role == "assistant":
                said[-len(body) - 1:] = [True] * (len(body) + 1)
        if answer:
            ids.append(self.assistant)
            said.append(False)
        return ids, said
