/* SPDX-License-Identifier: MIT
 *
 * Pre-tokenizers: how text is cut into pieces before the merges (spec/tokenizer.md 2).
 *
 * Each is a list of steps; a step cuts every piece that the steps before it left. The
 * regular expressions that define them are scanners here: iterative, and linear in the
 * length of the text. Text must be valid UTF-8 and is never copied.
 */
#ifndef HADAL_MODEL_PRETOK_H
#define HADAL_MODEL_PRETOK_H

#include <stdbool.h>
#include <stddef.h>

#define PRETOK_MAX_STEPS 6

/* A pre-tokenizer, and what follows from its name where files do not say it. */
struct pretok;

/* By the name in GGUF's tokenizer.ggml.pre; NULL when it is not known here. */
const struct pretok *pretok_find(const char *name);

/* By the steps of tokenizer.json: their regular expressions, in order ("digits" for
 * the step that isolates digits). NULL when no pre-tokenizer has these. */
const struct pretok *pretok_find_steps(const char *const *regex, size_t n);

const char *pretok_name(const struct pretok *p);

bool pretok_uses_nfc(const struct pretok *p); /* text is brought to NFC first */
bool pretok_ignores_merges(
    const struct pretok *p);                   /* a piece that is a token is taken */
bool pretok_wants_bos(const struct pretok *p); /* where the file has no add_bos */

/* GPT-2's own expression, which tokenizer.json does not write out (ByteLevel with
 * use_regex). */
const char *pretok_gpt2_regex(void);

/* A scan over one text. One level per step: [at, end) is the rest of the piece that
 * the step above handed down, [match, match_end) the next match in it. */
struct pretok_scan {
    const struct pretok *pretok;
    int depth;
    struct {
        const char *at, *end;
        const char *match, *match_end;
        bool have_match;
    } level[PRETOK_MAX_STEPS];
};

void pretok_start(struct pretok_scan *s, const struct pretok *p, const char *text,
                  size_t len);
/* The next piece, never empty; false at the end. */
bool pretok_next(struct pretok_scan *s, const char **piece, size_t *len);

#endif
