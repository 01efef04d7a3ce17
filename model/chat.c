/* SPDX-License-Identifier: MIT
 *
 * Chat formats: the table, what a format needs of a vocabulary, what ends an answer,
 * and the splitting of an answer into reasoning and text. See chat.h; rendering is in
 * chat_render.c, detection in chat_detect.c.
 *
 * Tokens are looked up by text: their ids differ inside one family.
 */
#include "config.h"

#include "model/chat.h"

#include <string.h>

#include "model/chat_priv.h"

#define V3_TOKENS CHAT_BOS, CHAT_EOS, CHAT_USER, CHAT_ASSISTANT
#define V31_TOKENS V3_TOKENS, CHAT_THINK, CHAT_THINK_END
#define KIMI_TOKENS                                                                    \
    "<|im_system|>", "<|im_user|>", "<|im_assistant|>", "<|im_middle|>", "<|im_end|>"
#define KIMI_ENDS "<|im_end|>", "[EOS]"

/* clang-format off */
static const struct chat_row rows[] = {
    [CHAT_DEEPSEEK_V2] = {
        "deepseek-v2", chat_render_v2, CHAT_THINKING_NEVER,
        {CHAT_BOS, CHAT_EOS}, {CHAT_EOS}},
    [CHAT_DEEPSEEK_CODER] = {
        "deepseek-coder", chat_render_coder, CHAT_THINKING_NEVER,
        {CHAT_BOS, CHAT_EOT}, {CHAT_EOT, CHAT_EOS}},
    [CHAT_DEEPSEEK_V3] = {
        "deepseek-v3", chat_render_v3, CHAT_THINKING_NEVER,
        {V3_TOKENS}, {CHAT_EOS}},
    [CHAT_DEEPSEEK_R1] = {
        "deepseek-r1", chat_render_r1, CHAT_THINKING_PROMPT,
        {V3_TOKENS, CHAT_THINK}, {CHAT_EOS}},
    [CHAT_DEEPSEEK_R1_OPEN] = {
        "deepseek-r1-open", chat_render_r1, CHAT_THINKING_MODEL,
        {V3_TOKENS}, {CHAT_EOS}},
    [CHAT_DEEPSEEK_V31] = {
        "deepseek-v3.1", chat_render_v31, CHAT_THINKING_SWITCH_OFF,
        {V31_TOKENS}, {CHAT_EOS}},
    [CHAT_DEEPSEEK_V32] = {
        "deepseek-v3.2", chat_render_v32, CHAT_THINKING_SWITCH_OFF,
        {V31_TOKENS}, {CHAT_EOS}},
    [CHAT_DEEPSEEK_V4] = {
        "deepseek-v4", chat_render_v4, CHAT_THINKING_SWITCH_OFF,
        {V31_TOKENS}, {CHAT_EOS}},
    [CHAT_DEEPSEEK_V41] = {
        "deepseek-v4.1", chat_render_v4, CHAT_THINKING_SWITCH_OFF,
        {V31_TOKENS, CHAT_SYSTEM}, {CHAT_EOS}},
    [CHAT_KIMI_K2] = {
        "kimi-k2", chat_render_kimi, CHAT_THINKING_NEVER,
        {KIMI_TOKENS}, {KIMI_ENDS}},
    [CHAT_KIMI_K2_THINKING] = {
        "kimi-k2-thinking", chat_render_kimi, CHAT_THINKING_MODEL,
        {KIMI_TOKENS, CHAT_THINK, CHAT_THINK_END}, {KIMI_ENDS}},
    [CHAT_MOONLIGHT] = {
        "moonlight", chat_render_kimi, CHAT_THINKING_NEVER,
        {KIMI_TOKENS}, {KIMI_ENDS}},
    [CHAT_GLM_47] = {
        "glm-4.7", chat_render_glm, CHAT_THINKING_SWITCH_ON,
        {"[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", CHAT_THINK,
         CHAT_THINK_END},
        {"<|endoftext|>", "<|user|>", "<|observation|>"}},
    [CHAT_CHATML] = {
        "chatml", chat_render_chatml, CHAT_THINKING_NEVER,
        {"<|im_start|>", "<|im_end|>"}, {"<|im_end|>"}},
};
/* clang-format on */
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))
#define N_ENDS (sizeof(rows[0].end) / sizeof(rows[0].end[0]))

const struct chat_row *chat_row(enum chat_format format)
{
    return format == CHAT_NONE || (size_t)format >= N_ROWS ? NULL : &rows[format];
}

const char *chat_format_name(enum chat_format format)
{
    const struct chat_row *row = chat_row(format);

    return row == NULL ? "none" : row->name;
}

bool chat_format_find(const char *name, enum chat_format *out)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (strcmp(chat_format_name((enum chat_format)i), name) == 0) {
            *out = (enum chat_format)i;
            return true;
        }
    }
    return false;
}

bool chat_check(enum chat_format format, const struct tokenizer *t, struct err *err)
{
    const struct chat_row *row = chat_row(format);

    for (size_t i = 0; row != NULL && i < CHAT_MAX_TOKENS && row->token[i] != NULL; i++)
        if (tokenizer_find(t, row->token[i]) < 0)
            return err_set(err, ERR_MODEL,
                           "chat format \"%s\" needs the token '%s', which the "
                           "vocabulary lacks",
                           row->name, row->token[i]);
    return true;
}

bool chat_is_end(enum chat_format format, const struct tokenizer *t, int32_t id)
{
    const struct chat_row *row = chat_row(format);

    if (tokenizer_is_end(t, id))
        return true;
    for (size_t i = 0; row != NULL && i < N_ENDS && row->end[i] != NULL; i++)
        if (id >= 0 && tokenizer_find(t, row->end[i]) == id)
            return true;
    return false;
}

bool chat_can_switch_thinking(enum chat_format format)
{
    const struct chat_row *row = chat_row(format);

    return row != NULL && (row->thinking == CHAT_THINKING_SWITCH_OFF ||
                           row->thinking == CHAT_THINKING_SWITCH_ON);
}

bool chat_opens_thinking(const struct chat_row *row, enum think_mode think)
{
    switch (row->thinking) {
    case CHAT_THINKING_PROMPT:
        return true;
    case CHAT_THINKING_SWITCH_OFF:
        return think == THINK_ON;
    case CHAT_THINKING_SWITCH_ON:
        return think != THINK_OFF;
    case CHAT_THINKING_NEVER:
    case CHAT_THINKING_MODEL:
        break;
    }
    return false;
}

/* ---- splitting an answer ---- */

void chat_splitter_init(struct chat_splitter *s, enum chat_format format,
                        const struct tokenizer *t, enum think_mode think)
{
    const struct chat_row *row = chat_row(format);

    memset(s, 0, sizeof(*s));
    s->format = format;
    s->think_open = -1;
    s->think_close = -1;
    s->strip_space = format == CHAT_DEEPSEEK_V2;
    if (row == NULL || row->thinking == CHAT_THINKING_NEVER)
        return;
    s->think_open = tokenizer_find(t, CHAT_THINK);
    s->think_close = tokenizer_find(t, CHAT_THINK_END);
    s->in_thinking = chat_opens_thinking(row, think);
    s->strip_newlines = s->in_thinking;
}

/* Drops what must not begin a part; false when nothing is left. */
static bool strip(struct chat_splitter *s, const char **bytes, size_t *len)
{
    if (s->strip_space && *len > 0 && **bytes == ' ') {
        (*bytes)++;
        (*len)--;
    }
    s->strip_space = false;
    while (s->strip_newlines && *len > 0 && **bytes == '\n') {
        (*bytes)++;
        (*len)--;
    }
    if (*len == 0)
        return false;
    s->strip_newlines = false;
    return true;
}

enum chat_part chat_splitter_next(struct chat_splitter *s, const struct tokenizer *t,
                                  int32_t id, const char **bytes, size_t *len)
{
    bool first = s->n_seen++ == 0;

    *bytes = "";
    *len = 0;
    if (id >= 0 && id == s->think_open) {
        s->in_thinking = s->in_thinking || first;
        s->strip_newlines = s->strip_newlines || first;
        return CHAT_PART_NOTHING;
    }
    if (id >= 0 && id == s->think_close) {
        s->strip_newlines = s->strip_newlines || s->in_thinking;
        s->in_thinking = false;
        return CHAT_PART_NOTHING;
    }
    if (!tokenizer_is_normal(t, id))
        return CHAT_PART_NOTHING;
    *bytes = tokenizer_bytes(t, id, len);
    if (!strip(s, bytes, len))
        return CHAT_PART_NOTHING;
    return s->in_thinking ? CHAT_PART_THINKING : CHAT_PART_TEXT;
}
