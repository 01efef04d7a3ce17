/* SPDX-License-Identifier: MIT
 *
 * A large history with a seed, and how long searching it takes.
 *
 *   bench_history fill DB MESSAGES [SEED]   begins sessions of 100 messages
 *   bench_history search DB [QUERIES]       TSV: kind, order, median, p95, most (ms)
 *
 * The words of a message follow Zipf's law over 30,000 made-up words, w0 being the most
 * common; every tenth message is Chinese.
 */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history/history.h"
#include "history/room.h"
#include "src/base/buf.h"
#include "src/base/clock.h"
#include "src/base/utf8.h"

#define N_WORDS 30000
#define SESSION_MESSAGES 100

static uint32_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 33);
}

/* A rank with probability about 1 / rank. */
static int draw_word(uint64_t *state)
{
    double u = (double)draw(state) / 2147483648.0;

    return (int)(pow(N_WORDS, u)) - 1;
}

static void make_text(struct buf *out, uint64_t *state, bool chinese)
{
    int n = 5 + (int)(draw(state) % 120);

    buf_clear(out);
    for (int i = 0; i < n; i++) {
        char utf8[4];
        int word = draw_word(state);

        if (chinese)
            buf_add(out, utf8, utf8_encode(0x4e00 + (uint32_t)(word % 5000), utf8));
        else
            buf_addf(out, "%sw%x", i > 0 ? " " : "", (unsigned)word);
    }
}

static int fail(const struct err *err)
{
    fprintf(stderr, "bench_history: %s\n", err->text);
    return 1;
}

static int fill(const char *path, int n, uint64_t seed)
{
    char id[HISTORY_ID_CAP];
    struct buf text;
    struct err err;
    struct history *h = history_open(path, HISTORY_WRITE, &err);
    bool ok = h != NULL && db_exec(&h->db, "PRAGMA synchronous=OFF", &err);

    buf_init(&text, 1 << 20);
    for (int i = 0; ok && i < n; i++) {
        struct history_message m = {.role = i % 2 == 0 ? ROLE_USER : ROLE_ASSISTANT,
                                    .time_ms = 1700000000000 + (int64_t)i * 60000,
                                    .model = i % 3 == 0 ? "org/other" : "org/model"};

        if (i % SESSION_MESSAGES == 0)
            ok = history_begin_session(h, "org/model", NULL, id, &err);
        make_text(&text, &seed, i % 10 == 9);
        m.text = buf_text(&text);
        m.len = text.len;
        ok = ok && history_add(h, id, &m, NULL, &err);
    }
    buf_release(&text);
    history_close(h);
    return ok ? 0 : fail(&err);
}

/* --- searching ------------------------------------------------------------------ */

enum query_kind { RARE, MIDDLING, COMMON, TWO_WORDS, PHRASE, PREFIX, CHINESE, N_KINDS };

static const char *const kind_names[N_KINDS] = {
    "rare word", "middling word", "common word", "two words",
    "phrase",    "prefix",        "chinese"};

static void make_query(struct buf *out, enum query_kind kind, uint64_t *state)
{
    char utf8[4];

    buf_clear(out);
    switch (kind) {
    case RARE:
        buf_addf(out, "w%x", 5000 + draw(state) % 20000);
        break;
    case MIDDLING:
        buf_addf(out, "w%x", 50 + draw(state) % 1000);
        break;
    case COMMON:
        buf_addf(out, "w%x", draw(state) % 20);
        break;
    case TWO_WORDS:
        buf_addf(out, "w%x w%x", draw(state) % 200, draw(state) % 200);
        break;
    case PHRASE:
        buf_addf(out, "\"w%x w%x\"", draw(state) % 50, draw(state) % 50);
        break;
    case PREFIX:
        buf_addf(out, "w%x*", 16 + draw(state) % 200);
        break;
    case CHINESE:
    case N_KINDS:
        for (int i = 0; i < 2; i++)
            buf_add(out, utf8, utf8_encode(0x4e00 + draw(state) % 30, utf8));
        break;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static bool measure(struct history *h, enum query_kind kind, bool best, int n,
                    struct err *err)
{
    double *ms = calloc((size_t)n, sizeof(*ms));
    uint64_t state = 1;
    struct buf text;
    bool ok = ms != NULL;

    buf_init(&text, 1024);
    for (int i = 0; ok && i < n; i++) {
        struct history_query q = {.limit = 20, .best = best};
        struct history_hits hits = {0};
        double begin;

        make_query(&text, kind, &state);
        q.text = buf_text(&text);
        begin = clock_seconds();
        ok = history_search(h, &q, &hits, err);
        ms[i] = (clock_seconds() - begin) * 1e3;
        history_hits_release(&hits);
    }
    if (ok) {
        qsort(ms, (size_t)n, sizeof(*ms), compare);
        printf("%s\t%s\t%.2f\t%.2f\t%.2f\n", kind_names[kind], best ? "best" : "newest",
               ms[n / 2], ms[n * 95 / 100], ms[n - 1]);
    }
    free(ms);
    buf_release(&text);
    return ok;
}

static int search(const char *path, int n)
{
    struct err err;
    struct history *h = history_open(path, HISTORY_READ, &err);
    bool ok = h != NULL;

    for (int kind = 0; ok && kind < N_KINDS; kind++)
        ok = measure(h, (enum query_kind)kind, false, n, &err) &&
             measure(h, (enum query_kind)kind, true, n, &err);
    history_close(h);
    return ok ? 0 : fail(&err);
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "fill") == 0)
        return fill(argv[2], (int)strtol(argv[3], NULL, 10),
                    argc > 4 ? strtoull(argv[4], NULL, 10) : 1);
    if (argc >= 3 && strcmp(argv[1], "search") == 0)
        return search(argv[2], argc > 3 ? (int)strtol(argv[3], NULL, 10) : 100);
    fprintf(stderr, "usage: bench_history fill DB MESSAGES [SEED]\n"
                    "       bench_history search DB [QUERIES]\n");
    return 2;
}
