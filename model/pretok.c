/* SPDX-License-Identifier: MIT
 *
 * Pre-tokenizers: see pretok.h. Every step is a function find_*: the leftmost match of
 * its regular expression in [at, end), which is a piece on its own (look-ahead and `$`
 * see its end only). None looks at a character more often than a constant number of
 * times over a whole scan; that is what keeps a megabyte of one letter harmless.
 */
#include "config.h"

#include "model/pretok.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/unicode.h"
#include "src/base/buf.h"
#include "src/base/utf8.h"

struct span {
    const char *at, *end;
};

struct step {
    const char *regex; /* as tokenizer.json writes it; NULL: letters_regex() */
    bool (*find)(const char *at, const char *end, struct span *match);
};

struct pretok {
    const char *name;
    const struct step *step;
    size_t n_steps; /* at most PRETOK_MAX_STEPS */
    bool nfc, ignore_merges, bos;
};

/* ---- characters ---- */

/* One character of valid UTF-8 at p; returns where the next one begins. */
static inline const char *next_char(const char *p, uint32_t *c)
{
    const unsigned char *u = (const unsigned char *)p;

    if (u[0] < 0x80) {
        *c = u[0];
        return p + 1;
    }
    if (u[0] < 0xE0) {
        *c = (u[0] & 0x1FU) << 6 | (u[1] & 0x3FU);
        return p + 2;
    }
    if (u[0] < 0xF0) {
        *c = (u[0] & 0x0FU) << 12 | (u[1] & 0x3FU) << 6 | (u[2] & 0x3FU);
        return p + 3;
    }
    *c = (u[0] & 0x07U) << 18 | (u[1] & 0x3FU) << 12 | (u[2] & 0x3FU) << 6 |
         (u[3] & 0x3FU);
    return p + 4;
}

typedef bool (*char_fn)(uint32_t c);

static inline bool is_class(uint32_t c, enum unicode_class class)
{
    return unicode_class_of(c) == class;
}

static inline bool is_space(uint32_t c)
{
    return is_class(c, UNICODE_SPACE);
}

static inline bool is_letter(uint32_t c)
{
    return is_class(c, UNICODE_LETTER);
}

static inline bool is_number(uint32_t c)
{
    return is_class(c, UNICODE_NUMBER);
}

static inline bool is_punctuation(uint32_t c)
{
    return is_class(c, UNICODE_PUNCTUATION);
}

static inline bool is_newline(uint32_t c)
{
    return c == '\n' || c == '\r';
}

static inline bool is_ascii_letter(uint32_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* [\p{L}\p{M}] */
static inline bool is_letter_or_mark(uint32_t c)
{
    enum unicode_class class = unicode_class_of(c);

    return class == UNICODE_LETTER || class == UNICODE_MARK;
}

/* [\p{P}\p{S}] */
static inline bool is_punctuation_or_symbol(uint32_t c)
{
    enum unicode_class class = unicode_class_of(c);

    return class == UNICODE_PUNCTUATION || class == UNICODE_SYMBOL;
}

/* [^\s\p{L}\p{N}] */
static inline bool is_rest(uint32_t c)
{
    enum unicode_class class = unicode_class_of(c);

    return class != UNICODE_SPACE && class != UNICODE_LETTER && class != UNICODE_NUMBER;
}

/* Han and kana of deepseek-v3's second step. */
static inline bool is_v3_cjk(uint32_t c)
{
    return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x309F) ||
           (c >= 0x30A0 && c <= 0x30FF);
}

/* deepseek-llm and -coder: the middle range takes in far more than Han. */
static inline bool is_llm_cjk(uint32_t c)
{
    return (c >= 0x0800 && c <= 0x9FA5) || (c >= 0xAC00 && c <= 0xD7FF);
}

/* deepseek-llm's third step. Holds the ASCII letters: its second range runs from the
 * colon to the tilde. */
static inline bool is_llm_mark(uint32_t c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '~') ||
           (c >= 0xFF01 && c <= 0xFF0F) || (c >= 0xFF1A && c <= 0xFF5E) ||
           (c >= 0x2018 && c <= 0x201F) || (c >= 0x3000 && c <= 0x3002);
}

/* deepseek-llm's second step: a fixed list of letters, not \p{L}. */
static const uint32_t llm_letters[][2] = {
    {0x0041, 0x005A},   {0x0061, 0x007A},   {0x00B5, 0x00B5},   {0x00C0, 0x00D6},
    {0x00D8, 0x00F6},   {0x00F8, 0x01BA},   {0x01BC, 0x01BF},   {0x01C4, 0x0293},
    {0x0295, 0x02AF},   {0x0370, 0x0373},   {0x0376, 0x0377},   {0x037B, 0x037D},
    {0x037F, 0x037F},   {0x0386, 0x0386},   {0x0388, 0x038A},   {0x038C, 0x038C},
    {0x038E, 0x03A1},   {0x03A3, 0x03F5},   {0x03F7, 0x0481},   {0x048A, 0x052F},
    {0x0531, 0x0556},   {0x10A0, 0x10C5},   {0x13A0, 0x13F5},   {0x13F8, 0x13FD},
    {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},   {0x1D6B, 0x1D77},
    {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},
    {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},   {0x1F5B, 0x1F5B},
    {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},   {0x1FB6, 0x1FBC},
    {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},
    {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},   {0x1FF6, 0x1FFC},
    {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210A, 0x2113},   {0x2115, 0x2115},
    {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},   {0x2128, 0x2128},
    {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},   {0x213C, 0x213F},
    {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2184},   {0x2C00, 0x2C7B},
    {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF3},   {0xA640, 0xA66D},
    {0xA680, 0xA69B},   {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},
    {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},
    {0xFF41, 0xFF5A},   {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB},
    {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943},
};
#define N_LLM_LETTERS (sizeof(llm_letters) / sizeof(llm_letters[0]))

static inline bool is_llm_letter(uint32_t c)
{
    size_t low = 0;
    size_t high = N_LLM_LETTERS;

    if (c < 0x80)
        return is_ascii_letter(c);
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (c > llm_letters[middle][1])
            low = middle + 1;
        else
            high = middle;
    }
    return low < N_LLM_LETTERS && c >= llm_letters[low][0];
}

/* ---- parts of steps ---- */

/* End of the run of characters at p. */
static inline const char *run_end(const char *p, const char *end, char_fn in)
{
    while (p < end) {
        uint32_t c;
        const char *next = next_char(p, &c);

        if (!in(c))
            break;
        p = next;
    }
    return p;
}

/* IN+ */
static inline bool find_run(const char *at, const char *end, struct span *match,
                            char_fn in)
{
    while (at < end) {
        uint32_t c;
        const char *next = next_char(at, &c);

        if (in(c)) {
            match->at = at;
            match->end = run_end(next, end, in);
            return true;
        }
        at = next;
    }
    return false;
}

/* \s?IN+ */
static inline bool find_spaced_run(const char *at, const char *end, struct span *match,
                                   char_fn in)
{
    while (at < end) {
        uint32_t c;
        uint32_t d;
        const char *next = next_char(at, &c);

        if (in(c) || (is_space(c) && next < end && (next_char(next, &d), in(d)))) {
            match->at = at;
            match->end = run_end(next, end, in);
            return true;
        }
        at = next;
    }
    return false;
}

/* One character of IN. */
static inline bool find_one(const char *at, const char *end, struct span *match,
                            char_fn in)
{
    while (at < end) {
        uint32_t c;
        const char *next = next_char(at, &c);

        if (in(c)) {
            match->at = at;
            match->end = next;
            return true;
        }
        at = next;
    }
    return false;
}

/* \p{N}{1,3} at p, where the first is known. */
static const char *up_to_three_numbers(const char *p, const char *end)
{
    for (int i = 0; i < 3 && p < end; i++) {
        uint32_t c;
        const char *next = next_char(p, &c);

        if (!is_number(c))
            break;
        p = next;
    }
    return p;
}

/* \s*[\r\n]+ | \s+(?!\S) | \s+ at whitespace: through the last line break of the run;
 * without one, all but the last character where something follows. Without `lines`,
 * the first alternative is missing. */
static const char *match_space(const char *p, const char *end, bool lines)
{
    const char *after_newline = NULL;
    const char *last = p;
    const char *q = p;

    while (q < end) {
        uint32_t c;
        const char *next = next_char(q, &c);

        if (!is_space(c))
            break;
        last = q;
        q = next;
        if (is_newline(c))
            after_newline = q;
    }
    if (lines && after_newline != NULL)
        return after_newline;
    return q == end || last == p ? q : last;
}

/* 's 't 're 've 'm 'll 'd at the apostrophe p; NULL when none is there. With any_case
 * as (?i:) has it: U+017F, the long s, folds to s. */
static const char *match_contraction(const char *p, const char *end, bool any_case)
{
    static const char *const tails[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    size_t left = (size_t)(end - p) - 1;

    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        size_t len = strlen(tails[i]);
        size_t n = 0;

        while (n < len && n < left &&
               (p[1 + n] == tails[i][n] ||
                (any_case && (p[1 + n] | 0x20) == tails[i][n] && p[1 + n] >= 'A')))
            n++;
        if (n == len)
            return p + 1 + len;
    }
    if (any_case && left >= 2 && memcmp(p + 1, "\xC5\xBF", 2) == 0)
        return p + 3;
    return NULL;
}

/* ---- deepseek-v3 ---- */

static bool find_three_numbers(const char *at, const char *end, struct span *match)
{
    if (!find_one(at, end, match, is_number))
        return false;
    match->end = up_to_three_numbers(match->at, end);
    return true;
}

static bool find_v3_cjk(const char *at, const char *end, struct span *match)
{
    return find_run(at, end, match, is_v3_cjk);
}

/* The third step's expression at p; NULL when it does not match there. */
static const char *match_v3_word(const char *p, const char *end)
{
    uint32_t c;
    uint32_t d = 0;
    const char *next = next_char(p, &c);
    enum unicode_class class = unicode_class_of(c);
    bool mark = class == UNICODE_PUNCTUATION || class == UNICODE_SYMBOL;

    if (next < end)
        next_char(next, &d);
    if (mark && c < 0x80 && is_ascii_letter(d))
        return run_end(next, end, is_ascii_letter);
    if (is_letter_or_mark(c))
        return run_end(next, end, is_letter_or_mark);
    if (!mark && !is_newline(c) && is_letter_or_mark(d))
        return run_end(next, end, is_letter_or_mark);
    if (mark || (c == ' ' && is_punctuation_or_symbol(d)))
        return run_end(run_end(next, end, is_punctuation_or_symbol), end, is_newline);
    if (class == UNICODE_SPACE)
        return match_space(p, end, true);
    return NULL;
}

static bool find_v3_word(const char *at, const char *end, struct span *match)
{
    while (at < end) {
        uint32_t c;
        const char *to = match_v3_word(at, end);

        if (to != NULL) {
            match->at = at;
            match->end = to;
            return true;
        }
        at = next_char(at, &c);
    }
    return false;
}

/* ---- deepseek-llm, deepseek-coder ---- */

static bool find_newline(const char *at, const char *end, struct span *match)
{
    return find_one(at, end, match, is_newline);
}

static bool find_llm_letters(const char *at, const char *end, struct span *match)
{
    return find_spaced_run(at, end, match, is_llm_letter);
}

static bool find_llm_marks(const char *at, const char *end, struct span *match)
{
    return find_spaced_run(at, end, match, is_llm_mark);
}

static bool find_letters(const char *at, const char *end, struct span *match)
{
    return find_spaced_run(at, end, match, is_letter);
}

static bool find_punctuation(const char *at, const char *end, struct span *match)
{
    return find_spaced_run(at, end, match, is_punctuation);
}

/* \s+$ : from the end backwards, once a piece. */
static bool find_space_at_end(const char *at, const char *end, struct span *match)
{
    const char *p = end;

    while (p > at) {
        const char *before = p - 1;
        uint32_t c;

        while (((unsigned char)*before & 0xC0) == 0x80)
            before--;
        next_char(before, &c);
        if (!is_space(c))
            break;
        p = before;
    }
    match->at = p;
    match->end = end;
    return p < end;
}

static bool find_llm_cjk(const char *at, const char *end, struct span *match)
{
    return find_run(at, end, match, is_llm_cjk);
}

static bool find_digit(const char *at, const char *end, struct span *match)
{
    return find_one(at, end, match, is_number);
}

/* ---- gpt-2, qwen2, llama-bpe: expressions that match everywhere ---- */

static bool find_gpt2_word(const char *p, const char *end, struct span *match)
{
    uint32_t c;
    uint32_t first;
    const char *next = next_char(p, &c);
    const char *contraction = c == '\'' ? match_contraction(p, end, false) : NULL;

    match->at = p;
    if (contraction != NULL) {
        match->end = contraction;
        return true;
    }
    first = c;
    if (c == ' ' && next < end)
        next_char(next, &first); /* the space goes with what follows */
    if (is_letter(first))
        match->end = run_end(next, end, is_letter);
    else if (is_number(first))
        match->end = run_end(next, end, is_number);
    else if (is_rest(first))
        match->end = run_end(next, end, is_rest);
    else
        match->end = match_space(p, end, false);
    return true;
}

static inline bool find_cased_word(const char *p, const char *end, struct span *match,
                                   bool one_number)
{
    uint32_t c;
    uint32_t d = ' ';
    const char *next = next_char(p, &c);
    const char *contraction = c == '\'' ? match_contraction(p, end, true) : NULL;

    match->at = p;
    if (next < end)
        next_char(next, &d);
    if (contraction != NULL)
        match->end = contraction;
    else if (is_letter(c) || (!is_newline(c) && !is_number(c) && is_letter(d)))
        match->end = run_end(next, end, is_letter);
    else if (is_number(c))
        match->end = one_number ? next : up_to_three_numbers(p, end);
    else if (is_rest(c) || (c == ' ' && is_rest(d)))
        match->end = run_end(run_end(next, end, is_rest), end, is_newline);
    else
        match->end = match_space(p, end, true);
    return true;
}

static bool find_qwen2_word(const char *p, const char *end, struct span *match)
{
    return find_cased_word(p, end, match, true);
}

static bool find_llama3_word(const char *p, const char *end, struct span *match)
{
    return find_cased_word(p, end, match, false);
}

/* ---- the table ---- */

#define GPT2_REGEX                                                                     \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|"                                     \
    " ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CASED_REGEX(number)                                                            \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" number               \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLM_CJK_REGEX "[一-龥ࠀ-一가-퟿]+"
#define V3_WORD_REGEX                                                                  \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"                           \
    "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|"          \
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const struct step v3_steps[] = {
    {"\\p{N}{1,3}", find_three_numbers},
    {"[一-龥぀-ゟ゠-ヿ]+", find_v3_cjk},
    {V3_WORD_REGEX, find_v3_word},
};
static const struct step llm_steps[] = {
    {"[\\r\\n]", find_newline},
    {NULL, find_llm_letters},
    {"\\s?[!-/:-~！-／：-～‘-‟　-。]+", find_llm_marks},
    {"\\s+$", find_space_at_end},
    {LLM_CJK_REGEX, find_llm_cjk},
    {"digits", find_digit},
};
static const struct step coder_steps[] = {
    {"[\\r\\n]", find_newline},
    {"\\s?\\p{L}+", find_letters},
    {"\\s?\\p{P}+", find_punctuation},
    {LLM_CJK_REGEX, find_llm_cjk},
    {"digits", find_digit},
};
static const struct step qwen2_steps[] = {{CASED_REGEX("\\p{N}"), find_qwen2_word}};
static const struct step llama3_steps[] = {
    {CASED_REGEX("\\p{N}{1,3}"), find_llama3_word},
};
static const struct step gpt2_steps[] = {{GPT2_REGEX, find_gpt2_word}};
static const struct step smollm_steps[] = {
    {"digits", find_digit},
    {GPT2_REGEX, find_gpt2_word},
};

#define STEPS(list) list, sizeof(list) / sizeof(list[0])

/* The first name of each kind is the one that tokenizer.json leads to. */
static const struct pretok pretoks[] = {
    /* name, steps, NFC, ignore_merges, BOS */
    {"deepseek-v3", STEPS(v3_steps), false, false, true},
    {"joyai-llm", STEPS(v3_steps), false, false, true}, /* V4 in GGUF */
    {"hunyuan-dense", STEPS(v3_steps), false, false, true},
    {"deepseek-llm", STEPS(llm_steps), false, false, true},
    {"deepseek-coder", STEPS(coder_steps), false, false, true},
    {"qwen2", STEPS(qwen2_steps), true, false, false},
    {"deepseek-r1-qwen", STEPS(qwen2_steps), true, false, true},
    {"llama-bpe", STEPS(llama3_steps), false, true, true},
    {"llama3", STEPS(llama3_steps), false, true, true},
    {"llama-v3", STEPS(llama3_steps), false, true, true},
    {"gpt-2", STEPS(gpt2_steps), false, false, false},
    {"gpt2", STEPS(gpt2_steps), false, false, false},
    {"default", STEPS(gpt2_steps), false, false, false},
    {"smollm", STEPS(smollm_steps), false, false, false},
};
#define N_PRETOKS (sizeof(pretoks) / sizeof(pretoks[0]))

const struct pretok *pretok_find(const char *name)
{
    for (size_t i = 0; i < N_PRETOKS; i++)
        if (strcmp(pretoks[i].name, name) == 0)
            return &pretoks[i];
    return NULL;
}

/* deepseek-llm's letters as tokenizer.json spells them: neighbours without a dash. */
static bool is_letters_regex(const char *regex)
{
    struct buf text;
    bool same;

    buf_init(&text, 4096);
    buf_add_text(&text, "\\s?[");
    for (size_t i = 0; i < N_LLM_LETTERS; i++) {
        uint32_t first = llm_letters[i][0];
        uint32_t last = llm_letters[i][1];
        char utf8[4];

        buf_add(&text, utf8, utf8_encode(first, utf8));
        if (last > first + 1)
            buf_add_char(&text, '-');
        if (last > first)
            buf_add(&text, utf8, utf8_encode(last, utf8));
    }
    buf_add_text(&text, "]+");
    same = strcmp(buf_text(&text), regex) == 0;
    buf_release(&text);
    return same;
}

static bool has_steps(const struct pretok *p, const char *const *regex, size_t n)
{
    if (p->n_steps != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *own = p->step[i].regex;

        if (own == NULL ? !is_letters_regex(regex[i]) : strcmp(own, regex[i]) != 0)
            return false;
    }
    return true;
}

const struct pretok *pretok_find_steps(const char *const *regex, size_t n)
{
    for (size_t i = 0; i < N_PRETOKS; i++)
        if (has_steps(&pretoks[i], regex, n))
            return &pretoks[i];
    return NULL;
}

const char *pretok_name(const struct pretok *p)
{
    return p->name;
}

bool pretok_uses_nfc(const struct pretok *p)
{
    return p->nfc;
}

bool pretok_ignores_merges(const struct pretok *p)
{
    return p->ignore_merges;
}

bool pretok_wants_bos(const struct pretok *p)
{
    return p->bos;
}

const char *pretok_gpt2_regex(void)
{
    return GPT2_REGEX;
}

/* ---- the scan ---- */

static void enter(struct pretok_scan *s, int depth, const char *at, const char *end)
{
    s->depth = depth;
    s->level[depth].at = at;
    s->level[depth].end = end;
    s->level[depth].have_match = false;
}

void pretok_start(struct pretok_scan *s, const struct pretok *p, const char *text,
                  size_t len)
{
    s->pretok = p;
    enter(s, 0, text, text + len);
}

/* The next part of the piece at the current depth: a stretch before a match, or a
 * match. */
static struct span next_part(struct pretok_scan *s)
{
    int k = s->depth;
    struct span part = {s->level[k].at, s->level[k].end};
    struct span match;

    if (!s->level[k].have_match) {
        if (!s->pretok->step[k].find(part.at, part.end, &match))
            match = (struct span){part.end, part.end};
        s->level[k].match = match.at;
        s->level[k].match_end = match.end;
        s->level[k].have_match = true;
    }
    if (part.at < s->level[k].match) {
        part.end = s->level[k].match;
    } else {
        part.end = s->level[k].match_end;
        s->level[k].have_match = false;
    }
    s->level[k].at = part.end;
    return part;
}

bool pretok_next(struct pretok_scan *s, const char **piece, size_t *len)
{
    while (s->depth >= 0) {
        struct span part;

        if (s->level[s->depth].at == s->level[s->depth].end) {
            s->depth--;
            continue;
        }
        part = next_part(s);
        if ((size_t)s->depth + 1 < s->pretok->n_steps) {
            enter(s, s->depth + 1, part.at, part.end);
            continue;
        }
        *piece = part.at;
        *len = (size_t)(part.end - part.at);
        return true;
    }
    return false;
}
