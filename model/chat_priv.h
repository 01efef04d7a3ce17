/* SPDX-License-Identifier: MIT
 *
 * Inside of chat formats: the table of them (chat.c), rendering (chat_render.c) and
 * detection (chat_detect.c).
 */
#ifndef HADAL_MODEL_CHAT_PRIV_H
#define HADAL_MODEL_CHAT_PRIV_H

#include "model/chat.h"

#define CHAT_BOS "<｜begin▁of▁sentence｜>"
#define CHAT_EOS "<｜end▁of▁sentence｜>"
#define CHAT_USER "<｜User｜>"
#define CHAT_ASSISTANT "<｜Assistant｜>"
#define CHAT_SYSTEM "<｜System｜>"
#define CHAT_EOT "<|EOT|>"
#define CHAT_THINK "<think>"
#define CHAT_THINK_END "</think>"

/* Who opens the reasoning of an answer. */
enum chat_thinking {
    CHAT_THINKING_NEVER,
    CHAT_THINKING_PROMPT,     /* the prompt, always */
    CHAT_THINKING_MODEL,      /* the model, where it wants to */
    CHAT_THINKING_SWITCH_OFF, /* the prompt, when asked to */
    CHAT_THINKING_SWITCH_ON,  /* the prompt, unless asked not to */
};

struct chat_render;

/* Renders all messages, and the beginning of an answer where req asks for it. */
typedef void (*chat_render_fn)(struct chat_render *r, const struct chat_request *req);

#define CHAT_MAX_TOKENS 8

struct chat_row {
    const char *name;
    chat_render_fn render;
    enum chat_thinking thinking;
    const char *token[CHAT_MAX_TOKENS]; /* that the format needs; NULL after the last */
    const char *end[3];                 /* that end an answer, beside the file's own */
};

/* NULL for CHAT_NONE. */
const struct chat_row *chat_row(enum chat_format format);

/* Whether the prompt opens the reasoning. */
bool chat_opens_thinking(const struct chat_row *row, enum think_mode think);

void chat_render_v2(struct chat_render *r, const struct chat_request *req);
void chat_render_coder(struct chat_render *r, const struct chat_request *req);
void chat_render_v3(struct chat_render *r, const struct chat_request *req);
void chat_render_r1(struct chat_render *r, const struct chat_request *req);
void chat_render_v31(struct chat_render *r, const struct chat_request *req);
void chat_render_v32(struct chat_render *r, const struct chat_request *req);
void chat_render_v4(struct chat_render *r, const struct chat_request *req);
void chat_render_kimi(struct chat_render *r, const struct chat_request *req);
void chat_render_glm(struct chat_render *r, const struct chat_request *req);
void chat_render_chatml(struct chat_render *r, const struct chat_request *req);

/* What is known of a model that has no template. Any text may be NULL. */
struct chat_facts {
    const char *arch, *pre, *name;
    bool (*has_token)(const void *ctx, const char *text);
    const void *ctx;
};

enum chat_format chat_detect_template(const char *text);
enum chat_format chat_detect_facts(const struct chat_facts *facts);

#endif
