/* SPDX-License-Identifier: MIT
 *
 * Words of the search index: see words.h. One pass over the text, no allocation; what
 * is under way is at most one word (cut at WORD_CAP bytes, in texts and queries alike)
 * and one character of a run.
 */
#include "config.h"

#include "history/words.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#include "src/base/utf8.h"

#define WORD_CAP 160 /* bytes of a folded word that count */
#define PARTS_CAP 16 /* parts of a camelCase word */
#define FOLD_CAP 18  /* code points that one code point folds to, at most (Unicode) */

enum kind {
    KIND_GAP,    /* separates */
    KIND_LETTER, /* letters and digits of spaced scripts */
    KIND_MARK,   /* goes with the letter before it */
    KIND_DENSE,  /* a script without spaces */
    KIND_PICTURE,
    KIND_NOTHING, /* joiners and soft hyphens: as if not there */
};

enum letter_case { CASE_NONE, CASE_LOWER, CASE_UPPER };

/* A run of code points, from..to. */
struct range {
    uint32_t from, to;
};

static const struct range dense[] = {
    {0x0e00, 0x0eff},   /* Thai, Lao */
    {0x1000, 0x109f},   /* Burmese */
    {0x1100, 0x11ff},   /* Hangul jamo */
    {0x1780, 0x17ff},   /* Khmer */
    {0x2e80, 0x2fdf},   /* radicals */
    {0x3005, 0x3007},   /* iteration mark, closing mark, zero */
    {0x3021, 0x318f},   /* numerals, kana, bopomofo, jamo */
    {0x31a0, 0x31ff},   /* bopomofo, kana extensions */
    {0x3400, 0x4dbf},   /* Han extension A */
    {0x4e00, 0xa4cf},   /* Han, Yi */
    {0xa960, 0xa97f},   /* jamo extended */
    {0xac00, 0xd7ff},   /* Hangul */
    {0xf900, 0xfaff},   /* Han compatibility */
    {0xff66, 0xffdc},   /* half-width kana and jamo */
    {0x1aff0, 0x1b16f}, /* kana supplements */
    {0x20000, 0x3ffff}, /* Han extensions B and on */
};

/* Accents: marks that search does not see. Vowel signs of Indic scripts are not here.
 */
static const struct range accents[] = {
    {0x0300, 0x036f},                                     /* Latin, Greek, Cyrillic */
    {0x0483, 0x0489},                                     /* Cyrillic */
    {0x0591, 0x05c7},                                     /* Hebrew points */
    {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0670, 0x0670}, /* Arabic vowels */
    {0x06d6, 0x06ed}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},   {0x20d0, 0x20ff},
    {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}, /* variation selectors */
};

static bool is_in(const struct range *list, size_t n, uint32_t c)
{
    for (size_t i = 0; i < n && list[i].from <= c; i++)
        if (c <= list[i].to)
            return true;
    return false;
}

static bool is_accent(uint32_t c)
{
    return is_in(accents, sizeof(accents) / sizeof(accents[0]), c);
}

static bool is_dense(uint32_t c)
{
    return c >= 0x0e00 && is_in(dense, sizeof(dense) / sizeof(dense[0]), c);
}

static enum kind ascii_kind(uint32_t c)
{
    bool word =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

    return word ? KIND_LETTER : KIND_GAP;
}

static enum kind kind_of(uint32_t c)
{
    if (c < 0x80)
        return ascii_kind(c);
    if (c == 0xad || c == 0x200c || c == 0x200d || c == 0x2060)
        return KIND_NOTHING;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
    case UTF8PROC_CATEGORY_CO:
        return is_dense(c) ? KIND_DENSE : KIND_LETTER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return is_accent(c) ? KIND_NOTHING : is_dense(c) ? KIND_DENSE : KIND_MARK;
    case UTF8PROC_CATEGORY_SO:
        return c == 0xfffd ? KIND_GAP : KIND_PICTURE;
    default:
        return KIND_GAP;
    }
}

static enum letter_case case_of(uint32_t c)
{
    if (c < 0x80)
        return c >= 'a' ? CASE_LOWER : c >= 'A' ? CASE_UPPER : CASE_NONE;
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT:
        return CASE_UPPER;
    case UTF8PROC_CATEGORY_LL:
        return CASE_LOWER;
    default:
        return CASE_NONE;
    }
}

/* Writes the folded form of a letter, mark or dense character; returns its bytes. */
static int fold(uint32_t c, char out[FOLD_CAP * 4])
{
    utf8proc_int32_t part[FOLD_CAP];
    utf8proc_ssize_t n;
    int boundary = 0;
    size_t len = 0;

    if (c < 0x80) {
        out[0] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        return 1;
    }
    n = utf8proc_decompose_char(
        (utf8proc_int32_t)c, part, FOLD_CAP,
        UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD, &boundary);
    /* Hangul and voiced kana stay whole: one character there is one place in a run. */
    if (n <= 0 || n > FOLD_CAP || (n > 1 && is_dense(c)))
        return (int)utf8_encode(c, out);
    for (utf8proc_ssize_t i = 0; i < n; i++)
        if (!is_accent((uint32_t)part[i]))
            len += utf8_encode((uint32_t)part[i], out + len);
    return (int)len;
}

/* The cutting. */
struct cut {
    enum words_use use;
    words_fn fn;
    void *ctx;
    int rc;
    /* the word under way (len > 0) */
    char word[WORD_CAP];
    int len;
    int start, end;           /* bytes of the text */
    enum letter_case last[2]; /* of the character before, and of the one before that */
    int n_parts;
    struct {
        int at;              /* byte of word */
        int start;           /* byte of the text */
    } part[PARTS_CAP];       /* where parts begin; part[0] is the word's begin */
    int last_at, last_start; /* where the character before begins */
    /* the run under way: its last character */
    char dense[FOLD_CAP * 4];
    int dense_len; /* 0: no run */
    int dense_start, dense_end;
    bool dense_single; /* the run has one character so far */
    bool dense_over;   /* the run has ended; the character waits (WORDS_OF_QUERY) */
    bool ends_single;  /* at the end: the last word is a run of one character */
};

static void emit(struct cut *c, int flags, const char *word, int len, int start,
                 int end)
{
    if (c->rc == SQLITE_OK && len > 0)
        c->rc = c->fn(c->ctx, flags, word, len, start, end);
}

/* The last character of a run stands alone too: in a text always; in a query only where
 * something follows, for the text may go on after the end of the query. */
static void flush_dense(struct cut *c)
{
    if (c->dense_len > 0)
        emit(c, 0, c->dense, c->dense_len, c->dense_start, c->dense_end);
    c->dense_len = 0;
    c->dense_over = false;
}

static void end_run(struct cut *c)
{
    if (c->use == WORDS_OF_TEXT)
        flush_dense(c);
    else
        c->dense_over = c->dense_len > 0;
}

static void end_word(struct cut *c)
{
    if (c->len == 0)
        return;
    emit(c, 0, c->word, c->len, c->start, c->end);
    for (int i = 0; c->n_parts > 1 && i < c->n_parts; i++) {
        bool is_last = i + 1 == c->n_parts;
        int to = is_last ? c->len : c->part[i + 1].at;

        emit(c, FTS5_TOKEN_COLOCATED, c->word + c->part[i].at, to - c->part[i].at,
             c->part[i].start, is_last ? c->end : c->part[i + 1].start);
    }
    c->len = 0;
}

static void begin_part(struct cut *c, int at, int start)
{
    if (c->use != WORDS_OF_TEXT || c->n_parts == PARTS_CAP ||
        c->part[c->n_parts - 1].at == at)
        return;
    c->part[c->n_parts].at = at;
    c->part[c->n_parts].start = start;
    c->n_parts++;
}

/* fooBar is cut before B, HTTPServer before S. */
static void note_case(struct cut *c, enum letter_case now, int start)
{
    if (now == CASE_UPPER && c->last[0] == CASE_LOWER)
        begin_part(c, c->len, start);
    else if (now == CASE_LOWER && c->last[0] == CASE_UPPER && c->last[1] == CASE_UPPER)
        begin_part(c, c->last_at, c->last_start);
    c->last[1] = c->last[0];
    c->last[0] = now;
}

static void add_letter(struct cut *c, uint32_t cp, int start, int end, bool is_mark)
{
    char folded[FOLD_CAP * 4];
    int n = fold(cp, folded);

    if (c->len == 0) {
        flush_dense(c);
        c->start = start;
        c->last[0] = c->last[1] = CASE_NONE;
        c->n_parts = 1;
        c->part[0].at = 0;
        c->part[0].start = start;
    }
    if (!is_mark) {
        note_case(c, case_of(cp), start);
        c->last_at = c->len;
        c->last_start = start;
    }
    if (c->len + n <= WORD_CAP) {
        memcpy(c->word + c->len, folded, (size_t)n);
        c->len += n;
    }
    c->end = end;
}

static void add_dense(struct cut *c, uint32_t cp, int start, int end)
{
    char pair[2 * FOLD_CAP * 4];
    char folded[FOLD_CAP * 4];
    int n = fold(cp, folded);

    end_word(c);
    if (c->dense_over)
        flush_dense(c);
    if (c->dense_len > 0) {
        memcpy(pair, c->dense, (size_t)c->dense_len);
        memcpy(pair + c->dense_len, folded, (size_t)n);
        emit(c, 0, pair, c->dense_len + n, c->dense_start, end);
    }
    c->dense_single = c->dense_len == 0;
    memcpy(c->dense, folded, (size_t)n);
    c->dense_len = n;
    c->dense_start = start;
    c->dense_end = end;
}

static void add_character(struct cut *c, uint32_t cp, int start, int end)
{
    char picture[4];

    switch (kind_of(cp)) {
    case KIND_LETTER:
        end_run(c);
        add_letter(c, cp, start, end, false);
        break;
    case KIND_MARK:
        if (c->len > 0)
            add_letter(c, cp, start, end, true);
        break;
    case KIND_DENSE:
        add_dense(c, cp, start, end);
        break;
    case KIND_PICTURE:
        end_word(c);
        end_run(c);
        flush_dense(c);
        emit(c, 0, picture, (int)utf8_encode(cp, picture), start, end);
        break;
    case KIND_NOTHING:
        break;
    case KIND_GAP:
        end_word(c);
        end_run(c);
        break;
    }
}

static void cut_begin(struct cut *c, enum words_use use, words_fn fn, void *ctx)
{
    memset(c, 0, sizeof(*c));
    c->use = use;
    c->fn = fn;
    c->ctx = ctx;
    c->rc = SQLITE_OK;
}

static void cut_text(struct cut *c, const char *text, int len)
{
    for (int at = 0; at < len && c->rc == SQLITE_OK;) {
        uint32_t cp;
        int n = (int)utf8_decode(text + at, (size_t)(len - at), &cp, NULL);

        add_character(c, cp, at, at + n);
        at += n;
    }
    end_word(c);
    c->ends_single = c->dense_len > 0 && c->dense_single;
    if (c->use == WORDS_OF_TEXT || c->ends_single)
        flush_dense(c);
}

int words_cut(const char *text, int len, enum words_use use, words_fn fn, void *ctx)
{
    struct cut c;

    cut_begin(&c, use, fn, ctx);
    cut_text(&c, text, len);
    return c.rc;
}

static int count_word(void *ctx, int flags, const char *word, int len, int start,
                      int end)
{
    (void)flags, (void)word, (void)len, (void)start, (void)end;
    ++*(int *)ctx;
    return SQLITE_OK;
}

struct words_shape words_of_phrase(const char *text, int len)
{
    struct words_shape shape = {0, false};
    struct cut c;

    cut_begin(&c, WORDS_OF_QUERY, count_word, &shape.n_words);
    cut_text(&c, text, len);
    shape.open_end = c.ends_single;
    return shape;
}

/* --- the face to FTS5 ----------------------------------------------------------- */

/* The tokenizer has no state: any pointer that is not NULL does for an instance. */
static int create(void *ctx, const char **arg, int n_args, Fts5Tokenizer **out)
{
    (void)arg;
    *out = ctx;
    return n_args == 0 ? SQLITE_OK : SQLITE_ERROR;
}

static void destroy(Fts5Tokenizer *tokenizer)
{
    (void)tokenizer;
}

static int tokenize(Fts5Tokenizer *tokenizer, void *ctx, int flags, const char *text,
                    int len, words_fn fn)
{
    (void)tokenizer;
    return words_cut(
        text, len, (flags & FTS5_TOKENIZE_QUERY) != 0 ? WORDS_OF_QUERY : WORDS_OF_TEXT,
        fn, ctx);
}

bool words_register(struct db *db, fts5_api *fts5, struct err *err)
{
    fts5_tokenizer face = {create, destroy, tokenize};
    int rc = fts5->xCreateTokenizer(fts5, WORDS_TOKENIZER, db->conn, &face, NULL);

    return rc == SQLITE_OK || db_fail(db, rc, err);
}
