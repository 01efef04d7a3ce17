/* SPDX-License-Identifier: MIT
 *
 * The table of options: see options.h. Order is the order of help; where a name occurs
 * twice, the row of the narrower group stands first.
 */
#include "config.h"

#include <limits.h>
#include <stddef.h>

#include "model/chat.h"
#include "src/options.h"

#define FIELD(name) offsetof(struct options, name)

/* clang-format off */
static const struct option table[] = {
    /* run, and the sessions and sampling of bare hadal */
    {"system", 0, OPTIONS_CONFIG, OPTION_TEXT, FIELD(system_default), 0, 0, 0,
     "TEXT", "system prompt of new sessions"},
    {"system", 's', OPTIONS_CHAT, OPTION_TEXT, FIELD(system), 0, 0, 0,
     "TEXT", "system prompt"},
    {"file", 'f', OPTIONS_RUN, OPTION_TEXTS, FIELD(files), 0, 0, 0,
     "FILE", "attach a text file (repeatable)"},
    {"continue", 'c', OPTIONS_CHAT, OPTION_FLAG, FIELD(go_on), 1, 0, 0,
     NULL, "go on with the session of the newest message"},
    {"session", 0, OPTIONS_CHAT, OPTION_TEXT, FIELD(session), 0, 0, 0,
     "ID", "go on with this session (an id, or its unique beginning)"},
    {"no-history", 0, OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_FLAG, FIELD(no_history), 1, 0, 0,
     NULL, "write nothing to the history"},
    {"decode", 'n', OPTIONS_BENCH, OPTION_INTEGER, FIELD(bench_decode), 0, 0, 1 << 20,
     "N", "tokens to decode (default 128; 0: none)"},
    {"max-tokens", 'n', OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_INTEGER, FIELD(max_tokens), 0, 0, INT_MAX,
     "N", "stop after N tokens (0: only read the prompt)"},
    {"temp", 0, OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_NUMBER, FIELD(temp), 0, 0, 100,
     "T", "temperature (default 0.6; 0: greedy)"},
    {"top-k", 0, OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_INTEGER, FIELD(top_k), 0, 0, INT_MAX,
     "K", "sample among the K likeliest (default 0: off)"},
    {"top-p", 0, OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_NUMBER, FIELD(top_p), 0, 0, 1,
     "P", "sample from the top of probability P (default 0.95; 1: off)"},
    {"min-p", 0, OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_NUMBER, FIELD(min_p), 0, 0, 1,
     "P", "drop what is below P times the likeliest (default 0: off)"},
    {"repeat-penalty", 0, OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_NUMBER, FIELD(repeat_penalty), 0, 0.01, 100,
     "R", "penalty on tokens of the last 64 (default 1: off)"},
    {"seed", 0, OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_SEED, FIELD(seed), 0, 0, 0,
     "N", "seed of the sampler (default: drawn, and reported)"},
    {"stop", 0, OPTIONS_CHAT, OPTION_TEXTS, FIELD(stop), 0, 0, 0,
     "TEXT", "end the answer before TEXT (repeatable)"},
    {"think", 0, OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_FLAG, FIELD(think), THINK_ON, 0, 0,
     NULL, "let the model think first"},
    {"no-think", 0, OPTIONS_CHAT, OPTION_FLAG, FIELD(think), THINK_OFF, 0, 0,
     NULL, "answer without thinking"},
    {"hide-thinking", 0, OPTIONS_CHAT | OPTIONS_CONFIG, OPTION_FLAG, FIELD(hide_thinking), 1, 0, 0,
     NULL, "do not show the thinking"},
    {"raw", 0, OPTIONS_RUN, OPTION_FLAG, FIELD(raw), 1, 0, 0,
     NULL, "plain completion of the prompt, no chat template"},
    {"tokens", 0, OPTIONS_RUN, OPTION_TEXT, FIELD(tokens), 0, 0, 0,
     "IDS", "with --raw: the prompt as exactly these ids (1,2,3)"},
    {"timeout", 0, OPTIONS_RUN, OPTION_NUMBER, FIELD(timeout_s), 0, 1e-9, 1e9,
     "SECONDS", "give up after SECONDS since the start of the program"},
    {"stream-json", 0, OPTIONS_RUN, OPTION_FLAG, FIELD(stream_json), 1, 0, 0,
     NULL, "print the answer as events, a JSON object a line"},
    {"json-schema", 0, OPTIONS_RUN, OPTION_LATER, 0, 0, 0, 0, "FILE", NULL},
    {"grammar", 0, OPTIONS_RUN, OPTION_LATER, 0, 0, 0, 0, "FILE", NULL},
    {"batch", 0, OPTIONS_RUN, OPTION_LATER, 0, 0, 0, 0, "FILE", NULL},

    {"bos", 0, OPTIONS_TOKENIZE, OPTION_FLAG, FIELD(bos), 1, 0, 0,
     NULL, "put the beginning-of-sequence token first, if the model has one"},
    {"special", 0, OPTIONS_TOKENIZE, OPTION_FLAG, FIELD(special), 1, 0, 0,
     NULL, "recognise special tokens in the text"},
    {"tokens", 0, OPTIONS_LOGITS, OPTION_TEXT, FIELD(tokens), 0, 0, 0,
     "IDS", "the prompt (1,2,3)"},
    {"all", 0, OPTIONS_LOGITS, OPTION_FLAG, FIELD(all), 1, 0, 0,
     NULL, "logits of every position, not only the last"},
    {"output", 'o', OPTIONS_LOGITS, OPTION_TEXT, FIELD(output), 0, 0, 0,
     "FILE", "write float32, little-endian, to FILE"},
    {"tokens-file", 0, OPTIONS_PERPLEXITY, OPTION_TEXT, FIELD(tokens_file), 0, 0, 0,
     "FILE", "read ids, separated by white space or commas, instead of text"},
    {"prefill", 'p', OPTIONS_BENCH, OPTION_INTEGER, FIELD(bench_prefill), 0, 0, 1 << 20,
     "N", "tokens to prefill (default 512; 0: none)"},
    {"depth", 'd', OPTIONS_BENCH, OPTION_INTEGER, FIELD(bench_depth), 0, 0, 1 << 24,
     "N", "tokens in the cache beforehand (default 0)"},
    {"repeat", 'r', OPTIONS_BENCH, OPTION_INTEGER, FIELD(bench_repeat), 0, 1, 10000,
     "N", "how often (default 3)"},

    {"type", 0, OPTIONS_QUANTIZE, OPTION_TEXT, FIELD(quantize_type), 0, 0, 0,
     "TYPE", "the type of most weights (Q4_K_M, Q8_0, BF16...)"},

    {"limit", 0, OPTIONS_SEARCH, OPTION_INTEGER, FIELD(limit), 0, 1, INT_MAX,
     "N", "at most N hits (default 50)"},
    {"model", 'm', OPTIONS_SEARCH, OPTION_TEXT, FIELD(search_model), 0, 0, 0,
     "MODEL", "only answers of this model, and the questions to them"},
    {"since", 0, OPTIONS_SEARCH, OPTION_TEXT, FIELD(since), 0, 0, 0,
     "DATE", "only messages since 2026-11-24, or of the last 7d, 24h"},
    {"role", 0, OPTIONS_SEARCH, OPTION_TEXT, FIELD(role), 0, 0, 0,
     "ROLE", "only messages of system, user or assistant"},
    {"best", 0, OPTIONS_SEARCH, OPTION_FLAG, FIELD(best), 1, 0, 0,
     NULL, "most relevant first"},
    {"format", 0, OPTIONS_EXPORT, OPTION_CHOICE, FIELD(export_format), 0, 0, 0,
     "md|json|html|jsonl", "how to write them (default md)"},
    {"revision", 0, OPTIONS_PULL, OPTION_TEXT, FIELD(revision), 0, 0, 0,
     "R", "a branch, tag or commit (default main)"},
    {"include", 0, OPTIONS_PULL, OPTION_TEXT, FIELD(include), 0, 0, 0,
     "GLOB", "fetch the files whose names match GLOB"},
    {"repair", 0, OPTIONS_DOCTOR, OPTION_FLAG, FIELD(repair), 1, 0, 0,
     NULL, "write what can be read of a damaged history to a copy"},
    {"dry-run", 0, OPTIONS_PULL, OPTION_FLAG, FIELD(dry_run), 1, 0, 0,
     NULL, "say what would be fetched, and stop"},
    {"dry-run", 0, OPTIONS_GC, OPTION_FLAG, FIELD(dry_run), 1, 0, 0,
     NULL, "say how much would be removed, and stop"},
    {"limit-rate", 0, OPTIONS_PULL, OPTION_TEXT, FIELD(limit_rate), 0, 0, 0,
     "RATE", "bytes a second at most (500k, 10M)"},
    {"insecure-http", 0, OPTIONS_PULL, OPTION_FLAG, FIELD(insecure_http), 1, 0, 0,
     NULL, "allow addresses that are not encrypted"},
    {"json", 0, OPTIONS_JSON, OPTION_FLAG, FIELD(json), 1, 0, 0,
     NULL, "print JSON"},

    /* common */
    {"model", 0, OPTIONS_CONFIG, OPTION_TEXT, FIELD(model_default), 0, 0, 0,
     "MODEL", "model where neither -m nor $HADAL_MODEL names one"},
    {"model", 'm', OPTIONS_COMMON, OPTION_TEXT, FIELD(model), 0, 0, 0,
     "MODEL", "a .gguf file, org/repo[:QUANT], or a name of 'hadal list'"},
    {"threads", 't', OPTIONS_COMMON | OPTIONS_CONFIG, OPTION_INTEGER, FIELD(threads), 0, 1, 4096,
     "N", "threads of the CPU (default: one a core)"},
    {"device", 0, OPTIONS_COMMON | OPTIONS_CONFIG, OPTION_CHOICE, FIELD(device), 0, 0, 0,
     "auto|cpu|cuda|ref", "where to compute (ref: slow plain C, to compare with)"},
    {"ctx", 0, OPTIONS_COMMON | OPTIONS_CONFIG, OPTION_INTEGER, FIELD(ctx), 0, 1, INT_MAX,
     "N", "tokens that the context holds"},
    {"cache-type", 0, OPTIONS_COMMON | OPTIONS_CONFIG, OPTION_CHOICE, FIELD(cache_type), 0, 0, 0,
     "f16|f32|q8_0", "how the cache keeps the context (q8_0: half of f16's memory)"},
    {"chat-format", 0, OPTIONS_COMMON | OPTIONS_CONFIG, OPTION_TEXT, FIELD(chat_format), 0, 0, 0,
     "NAME", "use this chat format instead of the detected one"},
    {"color", 0, OPTIONS_COMMON | OPTIONS_CONFIG, OPTION_CHOICE, FIELD(color), 0, 0, 0,
     "auto|always|never", "when to use colours"},
    {"quiet", 'q', OPTIONS_COMMON, OPTION_FLAG, FIELD(quiet), 1, 0, 0,
     NULL, "no notices on standard error"},
    {"verbose", 'v', OPTIONS_COMMON, OPTION_FLAG, FIELD(verbose), 1, 0, 0,
     NULL, "say on standard error what is done"},
    {"version", 'V', OPTIONS_VERSION, OPTION_FLAG, FIELD(version), 1, 0, 0,
     NULL, "print the version"},
    {"help", 'h', OPTIONS_HELP, OPTION_FLAG, FIELD(help), 1, 0, 0,
     NULL, "print this help"},
};
/* clang-format on */

const struct option *options_table(size_t *n)
{
    *n = sizeof(table) / sizeof(table[0]);
    return table;
}
