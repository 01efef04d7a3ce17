/* SPDX-License-Identifier: MIT
 *
 * Which chat format a model has (spec/chat-templates.md 4): by marks in the text of its
 * template, which is searched and never run; without a template, by architecture,
 * pre-tokenizer, tokens and name, and then it is a guess.
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "model/chat.h"
#include "model/chat_priv.h"

static bool has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static enum chat_format detect_kimi(const char *text)
{
    if (has(text, CHAT_THINK))
        return CHAT_KIMI_K2_THINKING;
    return has(text, "tool_declare") ? CHAT_KIMI_K2 : CHAT_MOONLIGHT;
}

/* Templates with DeepSeek's role tokens, from V2.5 to V3.1. */
static enum chat_format detect_v3(const char *text)
{
    if (has(text, "not thinking"))
        return CHAT_DEEPSEEK_V31;
    if (has(text, CHAT_THINK))
        return CHAT_DEEPSEEK_R1;
    return has(text, CHAT_THINK_END) ? CHAT_DEEPSEEK_R1_OPEN : CHAT_DEEPSEEK_V3;
}

static enum chat_format detect_dsml(const char *text)
{
    if (has(text, CHAT_SYSTEM))
        return CHAT_DEEPSEEK_V41;
    return has(text, "function_calls>") ? CHAT_DEEPSEEK_V32 : CHAT_DEEPSEEK_V4;
}

enum chat_format chat_detect_template(const char *text)
{
    if (has(text, "<|im_middle|>"))
        return detect_kimi(text);
    if (has(text, "[gMASK]<sop>") && has(text, CHAT_THINK_END))
        return CHAT_GLM_47;
    if (has(text, "### Instruction:") && has(text, CHAT_EOT))
        return CHAT_DEEPSEEK_CODER;
    if (has(text, "'Assistant: ' + message['content'] + eos_token"))
        return CHAT_DEEPSEEK_V2;
    if (has(text, "｜DSML｜"))
        return detect_dsml(text);
    if (has(text, CHAT_ASSISTANT) && has(text, CHAT_USER))
        return detect_v3(text);
    /* ChatML in its plain form only: others add tools, thinking or texts of their own.
     */
    if (has(text, "'<|im_start|>' + message['role'] + '") &&
        has(text, "message['content'] + '<|im_end|>'") && !has(text, CHAT_THINK))
        return CHAT_CHATML;
    return CHAT_NONE;
}

/* ---- without a template ---- */

static bool is(const char *text, const char *word)
{
    return text != NULL && strcmp(text, word) == 0;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whether name holds the word, in any case, not inside another word or number. */
static bool named(const char *name, const char *word)
{
    size_t len = strlen(word);
    size_t n = name == NULL ? 0 : strlen(name);

    for (size_t i = 0; i + len <= n; i++)
        if (strncasecmp(name + i, word, len) == 0 &&
            (i == 0 || !is_alnum(name[i - 1])) && !is_alnum(name[i + len]))
            return true;
    return false;
}

static bool token(const struct chat_facts *f, const char *text)
{
    return f->has_token(f->ctx, text);
}

static enum chat_format guess_moonshot(const struct chat_facts *f)
{
    if (!token(f, "<|im_middle|>"))
        return CHAT_NONE;
    if (named(f->name, "Thinking") && token(f, CHAT_THINK))
        return CHAT_KIMI_K2_THINKING;
    if (named(f->name, "Moonlight") || !token(f, "<|tool_calls_section_begin|>"))
        return CHAT_MOONLIGHT;
    return CHAT_KIMI_K2;
}

/* A vocabulary with DeepSeek's role tokens. */
static enum chat_format guess_v3(const struct chat_facts *f)
{
    if (named(f->name, "V3.2"))
        return CHAT_DEEPSEEK_V32;
    if (named(f->name, "V3.1"))
        return CHAT_DEEPSEEK_V31;
    if (named(f->name, "R1"))
        return named(f->name, "0528") ? CHAT_DEEPSEEK_R1_OPEN : CHAT_DEEPSEEK_R1;
    return CHAT_DEEPSEEK_V3;
}

enum chat_format chat_detect_facts(const struct chat_facts *f)
{
    if (is(f->pre, "kimi-k2"))
        return guess_moonshot(f);
    if (is(f->pre, "glm4"))
        return token(f, "<|user|>") && token(f, CHAT_THINK_END) ? CHAT_GLM_47
                                                                : CHAT_NONE;
    if (is(f->pre, "deepseek-coder"))
        return token(f, CHAT_EOT) ? CHAT_DEEPSEEK_CODER : CHAT_NONE;
    if (is(f->arch, "deepseek4"))
        return token(f, CHAT_SYSTEM) ? CHAT_DEEPSEEK_V41 : CHAT_DEEPSEEK_V4;
    if (is(f->arch, "deepseek32"))
        return CHAT_DEEPSEEK_V32;
    if (token(f, CHAT_USER))
        return guess_v3(f);
    return is(f->pre, "deepseek-llm") ? CHAT_DEEPSEEK_V2 : CHAT_NONE;
}

static bool vocabulary_has(const void *ctx, const char *text)
{
    return tokenizer_find(ctx, text) >= 0;
}

enum chat_format chat_detect(const char *template_text, const char *arch,
                             const char *name, const struct tokenizer *t, bool *guessed)
{
    struct chat_facts facts = {arch, tokenizer_pre(t), name, vocabulary_has, t};

    *guessed = template_text == NULL;
    if (template_text != NULL)
        return chat_detect_template(template_text);
    return chat_detect_facts(&facts);
}
