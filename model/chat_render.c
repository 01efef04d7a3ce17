/* SPDX-License-Identifier: MIT
 *
 * Conversations to prompts, a function a family (spec/chat-templates.md 1 and 2).
 *
 * A prompt is a row of special tokens with text between them. Text of the format and
 * content are joined and tokenized as one, since "User: " + "Hello" must give " Hello"
 * as one piece; special tokens are emitted by id, so that content never becomes one.
 */
#include "config.h"

#include <string.h>

#include "model/chat.h"
#include "model/chat_priv.h"
#include "model/unicode.h"
#include "src/base/utf8.h"

#define MAX_PROMPT_BYTES ((size_t)1 << 30)

struct chat_render {
    const struct tokenizer *t;
    const struct chat_row *row;
    enum chat_format format;
    struct buf pending; /* text since the last special token */
    struct tokens *out;
    struct buf *text; /* NULL: not wanted */
    struct err *err;
    bool failed;
};

/* ---- parts of a prompt ---- */

static void put(struct chat_render *r, const char *text, size_t len)
{
    if (r->failed)
        return;
    if (!buf_add(&r->pending, text, len) ||
        (r->text != NULL && !buf_add(r->text, text, len))) {
        err_set(r->err, ERR_FAILED, "the conversation is too long");
        r->failed = true;
    }
}

static void put_text(struct chat_render *r, const char *text)
{
    put(r, text, strlen(text));
}

static void put_content(struct chat_render *r, const struct message *m)
{
    put(r, m->text, m->len);
}

static void flush(struct chat_render *r)
{
    if (!r->failed && !tokenizer_encode(r->t, buf_text(&r->pending), r->pending.len,
                                        TOKENIZER_PLAIN, r->out, r->err))
        r->failed = true;
    buf_clear(&r->pending);
}

static void put_token(struct chat_render *r, const char *text)
{
    int32_t id = tokenizer_find(r->t, text);

    flush(r);
    if (r->failed)
        return;
    if (id < 0) {
        err_set(r->err, ERR_MODEL,
                "chat format \"%s\" needs the token '%s', which the vocabulary lacks",
                r->row->name, text);
        r->failed = true;
        return;
    }
    tokens_add(r->out, id);
    if (r->text != NULL && !buf_add_text(r->text, text))
        r->failed = !err_set(r->err, ERR_FAILED, "the conversation is too long");
}

/* Where needle begins in text[0..len) for the first (or last) time; NULL: nowhere. */
static const char *find_mark(const char *text, size_t len, const char *needle,
                             bool last)
{
    size_t n = strlen(needle);
    const char *found = NULL;

    for (size_t i = 0; i + n <= len; i++) {
        if (text[i] != needle[0] || memcmp(text + i, needle, n) != 0)
            continue;
        found = text + i;
        if (!last)
            break;
    }
    return found;
}

/* The assistant's text without reasoning that it still holds: what comes after the
 * first (or last) closing mark. */
static void put_answer(struct chat_render *r, const struct message *m, bool last)
{
    const char *mark = find_mark(m->text, m->len, CHAT_THINK_END, last);
    const char *from = mark == NULL ? m->text : mark + strlen(CHAT_THINK_END);

    put(r, from, (size_t)(m->text + m->len - from));
}

/* All system messages, joined at the front. */
static void put_systems(struct chat_render *r, const struct chat_request *req)
{
    bool first = true;

    for (size_t i = 0; i < req->n; i++) {
        if (req->msg[i].role != ROLE_SYSTEM)
            continue;
        if (!first)
            put_text(r, "\n\n");
        put_content(r, &req->msg[i]);
        first = false;
    }
}

static bool has_system(const struct chat_request *req)
{
    for (size_t i = 0; i < req->n; i++)
        if (req->msg[i].role == ROLE_SYSTEM)
            return true;
    return false;
}

static void put_thinking_mark(struct chat_render *r, const struct chat_request *req)
{
    bool open = chat_opens_thinking(r->row, req->think);

    put_token(r, open ? CHAT_THINK : CHAT_THINK_END);
}

/* ---- V2 and before; Coder ---- */

void chat_render_v2(struct chat_render *r, const struct chat_request *req)
{
    put_token(r, CHAT_BOS);
    for (size_t i = 0; i < req->n; i++) {
        const struct message *m = &req->msg[i];

        if (m->role == ROLE_USER)
            put_text(r, "User: ");
        if (m->role == ROLE_ASSISTANT)
            put_text(r, "Assistant: ");
        put_content(r, m);
        if (m->role == ROLE_ASSISTANT)
            put_token(r, CHAT_EOS);
        else
            put_text(r, "\n\n");
    }
    /* Without the space: the model begins its answer with it. */
    if (req->add_generation_prompt)
        put_text(r, "Assistant:");
}

void chat_render_coder(struct chat_render *r, const struct chat_request *req)
{
    put_token(r, CHAT_BOS);
    if (!has_system(req))
        put_text(r,
                 "You are an AI programming assistant, utilizing the Deepseek Coder "
                 "model, developed by Deepseek Company, and you only answer questions "
                 "related to computer science. For politically sensitive questions, "
                 "security and privacy issues, and other non-computer science "
                 "questions, you will refuse to answer\n");
    for (size_t i = 0; i < req->n; i++) {
        const struct message *m = &req->msg[i];

        if (m->role == ROLE_USER)
            put_text(r, "### Instruction:\n");
        if (m->role == ROLE_ASSISTANT)
            put_text(r, "### Response:\n");
        put_content(r, m);
        if (m->role != ROLE_SYSTEM)
            put_text(r, "\n");
        if (m->role == ROLE_ASSISTANT) {
            put_token(r, CHAT_EOT);
            put_text(r, "\n");
        }
    }
    if (req->add_generation_prompt)
        put_text(r, "### Response:\n");
}

/* ---- V2.5, V3, R1 ---- */

static void put_v3_turns(struct chat_render *r, const struct chat_request *req,
                         bool drop_reasoning)
{
    put_token(r, CHAT_BOS);
    put_systems(r, req);
    for (size_t i = 0; i < req->n; i++) {
        const struct message *m = &req->msg[i];

        if (m->role == ROLE_USER) {
            put_token(r, CHAT_USER);
            put_content(r, m);
        } else if (m->role == ROLE_ASSISTANT) {
            put_token(r, CHAT_ASSISTANT);
            if (drop_reasoning)
                put_answer(r, m, true);
            else
                put_content(r, m);
            put_token(r, CHAT_EOS);
        }
    }
    if (req->add_generation_prompt)
        put_token(r, CHAT_ASSISTANT);
}

void chat_render_v3(struct chat_render *r, const struct chat_request *req)
{
    put_v3_turns(r, req, false);
}

void chat_render_r1(struct chat_render *r, const struct chat_request *req)
{
    put_v3_turns(r, req, true);
    if (req->add_generation_prompt && chat_opens_thinking(r->row, req->think)) {
        put_token(r, CHAT_THINK);
        put_text(r, "\n");
    }
}

/* ---- V3.1 to V4.1 ---- */

void chat_render_v31(struct chat_render *r, const struct chat_request *req)
{
    bool after_user = false;

    put_token(r, CHAT_BOS);
    put_systems(r, req);
    for (size_t i = 0; i < req->n; i++) {
        const struct message *m = &req->msg[i];

        if (m->role == ROLE_USER) {
            put_token(r, CHAT_USER);
            put_content(r, m);
            after_user = true;
        } else if (m->role == ROLE_ASSISTANT) {
            if (after_user) {
                put_token(r, CHAT_ASSISTANT);
                put_token(r, CHAT_THINK_END);
            }
            put_answer(r, m, false);
            put_token(r, CHAT_EOS);
            after_user = false;
        }
    }
    if (req->add_generation_prompt && after_user) {
        put_token(r, CHAT_ASSISTANT);
        put_thinking_mark(r, req);
    }
}

/* Here the mark of the assistant belongs to the user's turn. */
void chat_render_v32(struct chat_render *r, const struct chat_request *req)
{
    put_token(r, CHAT_BOS);
    for (size_t i = 0; i < req->n; i++) {
        const struct message *m = &req->msg[i];

        if (m->role == ROLE_USER)
            put_token(r, CHAT_USER);
        put_content(r, m);
        if (m->role == ROLE_ASSISTANT)
            put_token(r, CHAT_EOS);
        if (m->role == ROLE_USER && i + 1 < req->n) {
            put_token(r, CHAT_ASSISTANT);
            put_token(r, CHAT_THINK_END);
        }
    }
    if (req->add_generation_prompt) {
        put_token(r, CHAT_ASSISTANT);
        put_thinking_mark(r, req);
    }
}

/* V4.1's effort is a line of its system part; 50 is the lowest it names. */
static void put_v41_effort(struct chat_render *r, const struct chat_request *req)
{
    if (!chat_opens_thinking(r->row, req->think))
        return;
    put_token(r, CHAT_SYSTEM);
    put_text(r, "Reasoning Effort: 50 (range 1-100, the higher the value, the more "
                "thorough the reasoning)\n\n");
}

static void put_v4_turn(struct chat_render *r, const struct chat_request *req, size_t i)
{
    const struct message *m = &req->msg[i];

    if (m->role == ROLE_ASSISTANT) {
        put_token(r, CHAT_ASSISTANT);
        put_token(r, CHAT_THINK_END);
        put_content(r, m);
        put_token(r, CHAT_EOS);
        return;
    }
    if (i > 0 && req->msg[i - 1].role == ROLE_USER)
        put_text(r, "\n\n"); /* two turns of the user become one */
    else
        put_token(r, CHAT_USER);
    put_content(r, m);
}

void chat_render_v4(struct chat_render *r, const struct chat_request *req)
{
    bool v41 = r->format == CHAT_DEEPSEEK_V41;
    bool effort = v41 && chat_opens_thinking(r->row, req->think);

    put_token(r, CHAT_BOS);
    if (v41)
        put_v41_effort(r, req);
    else
        put_systems(r, req);
    for (size_t i = 0; i < req->n; i++) {
        if (req->msg[i].role != ROLE_SYSTEM) {
            put_v4_turn(r, req, i);
        } else if (v41) {
            if (i > 0 || !effort)
                put_token(r, CHAT_SYSTEM);
            put_content(r, &req->msg[i]);
        }
    }
    if (req->add_generation_prompt) {
        put_token(r, CHAT_ASSISTANT);
        put_thinking_mark(r, req);
    }
}

/* ---- Kimi K2, Moonlight ---- */

static void put_kimi_role(struct chat_render *r, enum role role)
{
    static const char *const token[] = {
        [ROLE_SYSTEM] = "<|im_system|>",
        [ROLE_USER] = "<|im_user|>",
        [ROLE_ASSISTANT] = "<|im_assistant|>",
    };

    put_token(r, token[role]);
    put_text(r, role_name(role));
    put_token(r, "<|im_middle|>");
}

static void put_kimi_default(struct chat_render *r)
{
    put_kimi_role(r, ROLE_SYSTEM);
    put_text(r, r->format == CHAT_MOONLIGHT
                    ? "You are a helpful assistant provided by Moonshot-AI."
                    : "You are Kimi, an AI assistant created by Moonshot AI.");
    put_token(r, "<|im_end|>");
    if (r->format == CHAT_KIMI_K2)
        put_text(r, "\n");
}

void chat_render_kimi(struct chat_render *r, const struct chat_request *req)
{
    if (req->msg[0].role != ROLE_SYSTEM)
        put_kimi_default(r);
    for (size_t i = 0; i < req->n; i++) {
        put_kimi_role(r, req->msg[i].role);
        if (req->msg[i].role == ROLE_ASSISTANT && r->format == CHAT_KIMI_K2_THINKING) {
            put_token(r, CHAT_THINK);
            put_token(r, CHAT_THINK_END);
        }
        put_content(r, &req->msg[i]);
        put_token(r, "<|im_end|>");
    }
    if (req->add_generation_prompt)
        put_kimi_role(r, ROLE_ASSISTANT);
}

/* ---- GLM ---- */

struct part {
    const char *at;
    size_t len;
};

/* White space as Python's strip() has it. */
static bool is_strip_space(uint32_t c)
{
    return unicode_class_of(c) == UNICODE_SPACE || (c >= 0x1C && c <= 0x1F);
}

static struct part trim(struct part p)
{
    size_t end = 0; /* of the last character that stays */
    size_t at = 0;

    while (at < p.len) {
        uint32_t c;
        size_t n = utf8_decode(p.at + at, p.len - at, &c, NULL);

        at += n;
        if (!is_strip_space(c)) {
            end = at;
        } else if (end == 0) {
            p.at += n;
            p.len -= n;
            at = 0;
        }
    }
    p.len = end;
    return p;
}

/* An answer that holds its own reasoning, as `<think>...</think>text`. */
static void split_reasoning(const struct message *m, struct part *reasoning,
                            struct part *answer)
{
    const char *close = find_mark(m->text, m->len, CHAT_THINK_END, false);
    const char *last = find_mark(m->text, m->len, CHAT_THINK_END, true);
    const char *open;

    if (close == NULL)
        return;
    *reasoning = (struct part){m->text, (size_t)(close - m->text)};
    open = find_mark(m->text, reasoning->len, CHAT_THINK, true);
    if (open != NULL) {
        reasoning->at = open + strlen(CHAT_THINK);
        reasoning->len = (size_t)(close - reasoning->at);
    }
    answer->at = last + strlen(CHAT_THINK_END);
    answer->len = (size_t)(m->text + m->len - answer->at);
}

static void put_glm_answer(struct chat_render *r, const struct message *m,
                           bool after_last_user)
{
    struct part reasoning = {m->thinking, m->thinking_len};
    struct part answer = {m->text, m->len};

    if (m->thinking == NULL)
        split_reasoning(m, &reasoning, &answer);
    put_token(r, "<|assistant|>");
    if (after_last_user && reasoning.len > 0) {
        reasoning = trim(reasoning);
        put_token(r, CHAT_THINK);
        put(r, reasoning.at, reasoning.len);
    }
    put_token(r, CHAT_THINK_END);
    answer = trim(answer);
    put(r, answer.at, answer.len);
}

void chat_render_glm(struct chat_render *r, const struct chat_request *req)
{
    size_t after_last_user = 0;

    for (size_t i = 0; i < req->n; i++)
        if (req->msg[i].role == ROLE_USER)
            after_last_user = i + 1;
    put_token(r, "[gMASK]");
    put_token(r, "<sop>");
    for (size_t i = 0; i < req->n; i++) {
        const struct message *m = &req->msg[i];

        if (m->role == ROLE_ASSISTANT) {
            put_glm_answer(r, m, i >= after_last_user);
            continue;
        }
        put_token(r, m->role == ROLE_USER ? "<|user|>" : "<|system|>");
        put_content(r, m);
    }
    if (req->add_generation_prompt) {
        put_token(r, "<|assistant|>");
        put_thinking_mark(r, req);
    }
}

/* ---- ChatML ---- */

/* The system text that the template writes when there is none: what stands between the
 * marks in its text, where that is plain text. Line breaks may be spelled \n there. */
static struct part chatml_default(const struct tokenizer *t)
{
    const char *text = tokenizer_template(t);
    const char *at = text == NULL ? NULL : strstr(text, "<|im_start|>system");
    const char *end;

    if (at == NULL)
        return (struct part){NULL, 0};
    at += strlen("<|im_start|>system");
    if (at[0] == '\n')
        at += 1;
    else if (at[0] == '\\' && at[1] == 'n')
        at += 2;
    else
        return (struct part){NULL, 0};
    end = strstr(at, "<|im_end|>");
    if (end == NULL || strcspn(at, "'\"{}\\") < (size_t)(end - at))
        return (struct part){NULL, 0};
    return (struct part){at, (size_t)(end - at)};
}

static void put_chatml(struct chat_render *r, enum role role, struct part content)
{
    put_token(r, "<|im_start|>");
    put_text(r, role_name(role));
    put_text(r, "\n");
    put(r, content.at, content.len);
    put_token(r, "<|im_end|>");
    put_text(r, "\n");
}

void chat_render_chatml(struct chat_render *r, const struct chat_request *req)
{
    struct part def = chatml_default(r->t);

    if (req->msg[0].role != ROLE_SYSTEM && def.at != NULL)
        put_chatml(r, ROLE_SYSTEM, def);
    for (size_t i = 0; i < req->n; i++)
        put_chatml(r, req->msg[i].role,
                   (struct part){req->msg[i].text, req->msg[i].len});
    if (req->add_generation_prompt) {
        put_token(r, "<|im_start|>");
        put_text(r, "assistant\n");
    }
}

/* ---- all of them ---- */

bool chat_render(enum chat_format format, const struct tokenizer *t,
                 const struct chat_request *req, struct tokens *out, struct buf *text,
                 struct err *err)
{
    struct chat_render r = {.t = t,
                            .row = chat_row(format),
                            .format = format,
                            .out = out,
                            .text = text,
                            .err = err};
    size_t before = out->len;

    if (r.row == NULL)
        return err_set(err, ERR_MODEL,
                       "chat format: the model has none that hadal knows; use "
                       "--chat-format NAME, or --raw");
    if (req->n == 0)
        return err_set(err, ERR_USAGE, "messages: there are none");
    buf_init(&r.pending, MAX_PROMPT_BYTES);
    r.row->render(&r, req);
    flush(&r);
    buf_release(&r.pending);
    if (r.failed)
        out->len = before;
    return !r.failed;
}
