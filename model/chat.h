/* SPDX-License-Identifier: MIT
 *
 * Chat formats: how a conversation becomes the token ids that the model was trained on,
 * which ids end an answer, and where reasoning stops (spec/chat-templates.md).
 *
 * A table of formats, not an interpreter: nothing in a model's file is executed, and
 * content never becomes a special token.
 */
#ifndef HADAL_MODEL_CHAT_H
#define HADAL_MODEL_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/tokenizer.h"
#include "model/tokens.h"
#include "src/base/buf.h"
#include "src/base/err.h"
#include "src/base/message.h"

enum chat_format {
    CHAT_NONE, /* base model or unknown: raw completion only */
    CHAT_DEEPSEEK_V2,
    CHAT_DEEPSEEK_CODER,
    CHAT_DEEPSEEK_V3,
    CHAT_DEEPSEEK_R1,
    CHAT_DEEPSEEK_R1_OPEN,
    CHAT_DEEPSEEK_V31,
    CHAT_DEEPSEEK_V32,
    CHAT_DEEPSEEK_V4,
    CHAT_DEEPSEEK_V41,
    CHAT_KIMI_K2,
    CHAT_KIMI_K2_THINKING,
    CHAT_MOONLIGHT,
    CHAT_GLM_47,
    CHAT_CHATML, /* SmolLM2's, with its default system text */
};

const char *chat_format_name(enum chat_format format); /* "deepseek-v3" */
bool chat_format_find(const char *name, enum chat_format *out);

/* From the template's text; without one, from architecture, pre-tokenizer, the tokens
 * that exist and words of the name. Any argument but t may be NULL. *guessed: no
 * template decided it. */
enum chat_format chat_detect(const char *template_text, const char *arch,
                             const char *name, const struct tokenizer *t, bool *guessed);

/* False with err (ERR_MODEL) naming the first special token of the format that the
 * vocabulary lacks. */
bool chat_check(enum chat_format format, const struct tokenizer *t,
                struct err *err) MUST_USE;

enum think_mode { THINK_DEFAULT, THINK_OFF, THINK_ON };

struct chat_request {
    const struct message *msg;
    size_t n;
    bool add_generation_prompt;
    enum think_mode think;
};

/* Appends the prompt's ids to out, and (text not NULL) the same as text. BOS included
 * where the format has one. ERR_USAGE for an unusable conversation (none of the formats
 * takes zero messages). */
bool chat_render(enum chat_format format, const struct tokenizer *t,
                 const struct chat_request *req, struct tokens *out, struct buf *text,
                 struct err *err) MUST_USE;

/* Ends the answer: EOS set and the format's own end tokens. */
bool chat_is_end(enum chat_format format, const struct tokenizer *t, int32_t id);

/* Splits a stream of sampled ids into reasoning and answer, by TOKENS <think> and
 * </think>, not by text; drops the newlines after </think> and v2's leading space. */
struct chat_splitter {
    enum chat_format format;
    bool in_thinking;
    bool strip_newlines; /* at the answer's beginning */
    bool strip_space;
    int32_t think_open, think_close; /* -1: none */
    long n_seen;
};
enum chat_part { CHAT_PART_TEXT, CHAT_PART_THINKING, CHAT_PART_NOTHING };

void chat_splitter_init(struct chat_splitter *s, enum chat_format format,
                        const struct tokenizer *t, enum think_mode think);
/* What id contributes: its part, and its bytes (borrowed; may be shortened). */
enum chat_part chat_splitter_next(struct chat_splitter *s, const struct tokenizer *t,
                                  int32_t id, const char **bytes, size_t *len);

/* Whether --think / --no-think means something for this format. */
bool chat_can_switch_thinking(enum chat_format format);

#endif
