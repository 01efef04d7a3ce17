/* SPDX-License-Identifier: MIT
 *
 * Rank and place of a hit: see hits.h.
 *
 * The rank is BM25 (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75) with two
 * departures. How many messages hold a word is counted up to DF_CAP only: counting all
 * of a common word's would cost more than the search, and beyond that the word tells
 * little. And a word in the reasoning counts less than one in what was said.
 */
#include "config.h"

#include "history/hits.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/mem.h"

#define DF_CAP 5000
#define K1 1.2
#define B 0.75

static const double column_weight[] = {1.0, 0.25}; /* text, thinking */

/* What is the same for all hits of a query; kept by FTS5 as auxiliary data. */
struct weights {
    double mean_len; /* words in a message, on the average */
    int n_phrases;
    double idf[]; /* (n_phrases) */
};

static int count_row(const Fts5ExtensionApi *api, Fts5Context *fts, void *ctx)
{
    int *n = ctx;

    (void)api, (void)fts;
    return ++*n < DF_CAP ? SQLITE_OK : SQLITE_DONE;
}

static int make_weights(const Fts5ExtensionApi *api, Fts5Context *fts,
                        struct weights **out)
{
    int n_phrases = api->xPhraseCount(fts);
    struct weights *w = mem_zalloc(sizeof(*w) + (size_t)n_phrases * sizeof(w->idf[0]));
    sqlite3_int64 n_rows = 0;
    sqlite3_int64 n_words = 0;
    int rc = api->xRowCount(fts, &n_rows);

    w->n_phrases = n_phrases;
    if (rc == SQLITE_OK)
        rc = api->xColumnTotalSize(fts, -1, &n_words);
    w->mean_len = n_rows > 0 && n_words > 0 ? (double)n_words / (double)n_rows : 1.0;
    for (int i = 0; rc == SQLITE_OK && i < n_phrases; i++) {
        int n = 0;

        rc = api->xQueryPhrase(fts, i, &n, count_row);
        w->idf[i] = log(1.0 + ((double)n_rows - n + 0.5) / (n + 0.5));
        if (!(w->idf[i] > 1e-6))
            w->idf[i] = 1e-6;
    }
    *out = NULL;
    if (rc != SQLITE_OK) {
        free(w);
        return rc;
    }
    rc = api->xSetAuxdata(fts, w, free); /* frees w where it fails */
    if (rc == SQLITE_OK)
        *out = w;
    return rc;
}

static int weigh(const Fts5ExtensionApi *api, Fts5Context *fts, const struct weights *w,
                 double *score)
{
    double *tf = mem_array((size_t)w->n_phrases + 1, sizeof(*tf));
    double norm = 0;
    int n_hits = 0;
    int n_words = 0;
    int rc = api->xColumnSize(fts, -1, &n_words);

    if (rc == SQLITE_OK)
        rc = api->xInstCount(fts, &n_hits);
    for (int i = 0; rc == SQLITE_OK && i < n_hits; i++) {
        int phrase, column, at;

        rc = api->xInst(fts, i, &phrase, &column, &at);
        if (rc == SQLITE_OK && phrase < w->n_phrases)
            tf[phrase] += column_weight[column == 0 ? 0 : 1];
    }
    norm = K1 * (1.0 - B + B * n_words / w->mean_len);
    *score = 0;
    for (int i = 0; i < w->n_phrases; i++)
        *score += w->idf[i] * tf[i] * (K1 + 1.0) / (tf[i] + norm);
    free(tf);
    return rc;
}

static void rank(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_context *result,
                 int n_args, sqlite3_value **arg)
{
    struct weights *w = api->xGetAuxdata(fts, 0);
    double score = 0;
    int rc = SQLITE_OK;

    (void)n_args, (void)arg;
    if (w == NULL)
        rc = make_weights(api, fts, &w);
    if (rc == SQLITE_OK)
        rc = weigh(api, fts, w, &score);
    if (rc == SQLITE_OK)
        sqlite3_result_double(result, score);
    else
        sqlite3_result_error_code(result, rc);
}

/* Looks for the words number first..last of a text. */
struct finder {
    int at, first, last;
    struct hit_place *place;
};

static int find_word(void *ctx, int flags, const char *word, int len, int start,
                     int end)
{
    struct finder *f = ctx;

    (void)word, (void)len;
    if ((flags & FTS5_TOKEN_COLOCATED) != 0)
        return SQLITE_OK;
    f->at++;
    if (f->at == f->first)
        f->place->start = start;
    if (f->at < f->first)
        return SQLITE_OK;
    f->place->end = end;
    return f->at == f->last ? SQLITE_DONE : SQLITE_OK;
}

static int find_place(const Fts5ExtensionApi *api, Fts5Context *fts,
                      struct hit_place *place)
{
    struct finder f = {-1, 0, 0, place};
    const char *text = NULL;
    int len = 0;
    int n_hits = 0;
    int phrase = 0;
    int rc = api->xInstCount(fts, &n_hits);

    if (rc != SQLITE_OK || n_hits == 0)
        return rc;
    rc = api->xInst(fts, 0, &phrase, &place->column, &f.first);
    if (rc == SQLITE_OK)
        rc = api->xColumnText(fts, place->column, &text, &len);
    f.last = f.first + api->xPhraseSize(fts, phrase) - 1;
    if (rc == SQLITE_OK)
        rc = api->xTokenize(fts, text, len, &f, find_word);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static void place(const Fts5ExtensionApi *api, Fts5Context *fts,
                  sqlite3_context *result, int n_args, sqlite3_value **arg)
{
    struct hit_place where = {0, 0, 0};
    int rc = find_place(api, fts, &where);

    (void)n_args, (void)arg;
    if (rc == SQLITE_OK)
        sqlite3_result_blob(result, &where, sizeof(where), SQLITE_TRANSIENT);
    else
        sqlite3_result_error_code(result, rc);
}

bool hits_register(struct db *db, fts5_api *fts5, struct err *err)
{
    int rc = fts5->xCreateFunction(fts5, "hadal_rank", NULL, rank, NULL);

    if (rc == SQLITE_OK)
        rc = fts5->xCreateFunction(fts5, "hadal_place", NULL, place, NULL);
    return rc == SQLITE_OK || db_fail(db, rc, err);
}
