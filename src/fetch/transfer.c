/* SPDX-License-Identifier: MIT
 *
 * Transfers: see transfer.h. The order here: streams and their answers, failures, the
 * digest of the whole, repair, the run.
 */
#include "config.h"

#include "src/fetch/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/mem.h"
#include "src/fetch/url.h"

enum {
    STREAMS_MAX = 16,
    SEGMENT_BLOCKS = 64,      /* of one request, at most */
    SEGMENT_BLOCKS_LEAST = 4, /* where so many are left */
    PROVABLE_BLOCKS = 8,      /* at most where the server says an answer's digest */
    PROGRESS_BYTES = 1024,    /* a call that brought less counts as a failure */
    LYING_ANSWERS = 3,        /* whole files in place of ranges, then we give in */
    LYING_DIGESTS = 3,        /* of answers, in a row, then they are not looked at */
    ETAG_CHANGES = 5,
    EXPIRED_MAX = 3, /* refusals in a row without progress */
    REPAIR_BATCH_BLOCKS = 16,
    HASH_BLOCKS = 8, /* hashed between two looks at the network */
    WAIT_MS = 250,
};

enum block_state { NEEDED, CLAIMED, HERE };

/* How likely a block is the one that is wrong, when the digest of the whole is. */
enum suspicion {
    PROVEN, /* by the digest of its answer */
    ORDINARY,
    OF_ODD_ANSWER, /* of a connection that broke, of another ETag, of a wrong length */
    AT_BREAK,      /* the bytes of two answers meet in it, or an answer broke off */
    MOST_SUSPICIOUS = AT_BREAK,
};

/* Why a call was ended by us, or must be read in a special way. */
enum verdict {
    FINE,
    SEGMENT_DONE, /* more came than we wanted, as a whole file does */
    BAD_ANSWER,
    CHANGED, /* another ETag */
    DISK_FAILED,
};

struct run;

struct stream {
    struct run *run;
    struct http_call *call; /* NULL: none */
    size_t at, end;         /* blocks still to come: [at, end); at == end: idle */
    unsigned char *data;    /* block_bytes: the block at `at` */
    size_t have;            /* bytes of it */
    int64_t skip;           /* bytes of a whole file in front of what we want */
    int64_t got;            /* bytes of this call */
    size_t call_at;         /* where `at` was when it began */
    bool answered;
    bool odd;           /* the answer is taken on trial: its blocks are suspects */
    bool provable;      /* the answer says its digest, and it is being made: */
    struct digest body; /* of this call */
    enum verdict verdict;
    const char *why; /* of BAD_ANSWER */
};

struct run {
    const struct transfer_options *opt;
    struct transfer_source *source;
    struct part *part;
    unsigned char *state;   /* (n_blocks) enum block_state */
    unsigned char *suspect; /* (n_blocks) enum suspicion */
    size_t n_needed;        /* blocks that are not HERE */
    struct stream stream[STREAMS_MAX];
    int n_streams;  /* at once now */
    bool ranges;    /* the server has answered with one */
    bool no_ranges; /* it gives whole files only */
    int n_lying, n_etag_changes, n_hops;
    bool provable;             /* answers say their digests */
    int n_unproven;            /* answers in a row whose digest was another one */
    int n_failures, n_expired; /* in a row, without progress */
    double wait_until;
    char *etag;        /* of the answers */
    bool etag_changed; /* since the hub was asked */
    int64_t fetched;
    struct err trouble; /* of the last failure */
    bool in_trouble;
    bool repairing;
    size_t n_replaced; /* blocks that repair found to be others */
    struct digest whole;
    size_t hashed;            /* blocks in `whole` */
    unsigned char *hash_data; /* block_bytes */
    struct err disk;          /* of DISK_FAILED */
};

void transfer_source_release(struct transfer_source *source)
{
    free(source->url);
    free(source->etag);
    memset(source, 0, sizeof(*source));
}

/* ---- blocks ---- */

static void set_state(struct run *r, size_t block, enum block_state state)
{
    r->n_needed += (size_t)(state != HERE) - (size_t)(r->state[block] != HERE);
    r->state[block] = (unsigned char)state;
}

/* Gives a stream the next blocks that nobody fetches; false where there are none. */
static bool claim(struct run *r, struct stream *s)
{
    size_t most = r->n_needed / (size_t)(2 * r->n_streams);
    size_t at = 0;

    if (most > SEGMENT_BLOCKS)
        most = SEGMENT_BLOCKS;
    if (r->provable && most > PROVABLE_BLOCKS)
        most = PROVABLE_BLOCKS;
    if (most < SEGMENT_BLOCKS_LEAST)
        most = SEGMENT_BLOCKS_LEAST;
    if (r->no_ranges)
        most = r->part->n_blocks;
    while (at < r->part->n_blocks && r->state[at] != NEEDED)
        at++;
    s->at = s->end = at;
    while (s->end < r->part->n_blocks && r->state[s->end] == NEEDED &&
           s->end - at < most)
        set_state(r, s->end++, CLAIMED);
    s->have = 0;
    return s->end > s->at;
}

static void unclaim(struct stream *s)
{
    for (size_t i = s->at; i < s->end; i++)
        if (s->run->state[i] == CLAIMED)
            set_state(s->run, i, NEEDED);
    s->at = s->end;
    s->have = 0;
}

static void suspect(struct run *r, size_t block, enum suspicion how)
{
    if (r->suspect[block] < how)
        r->suspect[block] = (unsigned char)how;
}

/* The block of a stream is whole: to the disk, unless repair finds it as it was. */
static bool end_block(struct stream *s)
{
    struct run *r = s->run;
    size_t block = s->at;
    bool is_new;

    if (!part_put(r->part, block, s->data, &is_new, &r->disk))
        return false;
    r->n_replaced += is_new;
    if (is_new && !r->repairing && r->hashed == block && r->whole.state != NULL) {
        digest_add(&r->whole, s->data, part_block_len(r->part, block));
        r->hashed++;
    }
    if (s->odd)
        suspect(r, block, OF_ODD_ANSWER);
    set_state(r, block, HERE);
    s->at++;
    s->have = 0;
    return true;
}

/* ---- answers ---- */

static int64_t position(const struct stream *s)
{
    return part_block_start(s->run->part, s->at) + (int64_t)s->have;
}

static int64_t end_position(const struct stream *s)
{
    const struct part *p = s->run->part;

    return part_block_start(p, s->end - 1) + (int64_t)part_block_len(p, s->end - 1);
}

static bool refuse(struct stream *s, enum verdict verdict, const char *why)
{
    s->verdict = verdict;
    s->why = why;
    return false;
}

/* A whole file where a range was asked for. */
static bool accept_whole(struct stream *s, const struct http_answer *a)
{
    struct run *r = s->run;

    if (a->length >= 0 && a->length != r->part->size)
        return refuse(s, BAD_ANSWER, "the server sends something of another size");
    if (!r->no_ranges && (r->ranges || position(s) > 0)) {
        r->no_ranges = ++r->n_lying >= LYING_ANSWERS;
        if (!r->no_ranges)
            return refuse(s, BAD_ANSWER, "the server sends no range");
    }
    r->no_ranges = true;
    s->skip = position(s);
    while (s->end < r->part->n_blocks && r->state[s->end] == NEEDED)
        set_state(r, s->end++, CLAIMED);
    return true;
}

static bool accept_range(struct stream *s, const struct http_answer *a)
{
    if (a->range_from < 0)
        return refuse(s, BAD_ANSWER, "the server does not say which range it sends");
    if (a->range_all != s->run->part->size)
        return refuse(s, CHANGED, "the file has another size");
    if (a->range_from != position(s) || a->range_to >= end_position(s))
        return refuse(s, BAD_ANSWER, "the server sends another range");
    if (a->length >= 0 && a->length != a->range_to - a->range_from + 1) {
        if (s->run->source->kind == DIGEST_NONE)
            return refuse(s, BAD_ANSWER,
                          "the server's length is not that of the range");
        s->odd = true;
        http_use_once(s->call); /* what follows may be more of this answer */
    }
    s->run->ranges = true;
    s->run->no_ranges = false;
    s->run->n_lying = 0;
    return true;
}

/* The bytes on the way are paid for: where a digest will tell right from wrong in the
 * end, an odd answer that begins where it should is taken on trial. */
static bool accept(struct stream *s, const struct http_answer *a)
{
    struct run *r = s->run;

    if (a->encoded)
        return refuse(s, BAD_ANSWER, "the server sends compressed bytes");
    if (a->status == 206 ? !accept_range(s, a) : !accept_whole(s, a))
        return false;
    if (a->etag == NULL)
        return true;
    if (r->etag == NULL)
        r->etag = mem_dup(a->etag);
    if (strcmp(r->etag, a->etag) == 0)
        return true;
    if (r->source->kind == DIGEST_NONE)
        return refuse(s, CHANGED, "the file has another ETag");
    free(r->etag);
    r->etag = mem_dup(a->etag);
    r->etag_changed = s->odd = true;
    return true;
}

static bool take_bytes(struct stream *s, const char *data, size_t len)
{
    struct run *r = s->run;

    if (s->skip > 0) {
        size_t n = (int64_t)len < s->skip ? len : (size_t)s->skip;

        s->skip -= (int64_t)n;
        data += n;
        len -= n;
    }
    while (len > 0) {
        size_t room;
        size_t n;

        if (s->at == s->end)
            return refuse(s, SEGMENT_DONE, NULL);
        room = part_block_len(r->part, s->at) - s->have;
        n = len < room ? len : room;
        memcpy(s->data + s->have, data, n);
        s->have += n;
        data += n;
        len -= n;
        if (n == room && !end_block(s))
            return refuse(s, DISK_FAILED, NULL);
    }
    return true;
}

/* The headers are here: may the bytes be taken? */
static bool begin_answer(struct stream *s, const struct http_answer *a)
{
    struct run *r = s->run;

    s->answered = true;
    if (!accept(s, a))
        return false;
    s->provable = a->body_sha256[0] != '\0' && r->n_unproven < LYING_DIGESTS &&
                  digest_begin(&s->body, DIGEST_SHA256, 0, NULL);
    r->provable = r->provable || s->provable;
    return true;
}

static bool on_bytes(void *ctx, const struct http_answer *a, const char *data,
                     size_t len)
{
    struct stream *s = ctx;

    s->run->fetched += (int64_t)len;
    s->got += (int64_t)len;
    if (a->status != 200 && a->status != 206)
        return s->got < 65536; /* an error page: nobody reads it */
    if (!s->answered && !begin_answer(s, a))
        return false;
    if (s->provable)
        digest_add(&s->body, data, len);
    return take_bytes(s, data, len);
}

/* ---- calls ---- */

static bool start_call(struct stream *s, struct err *err)
{
    struct run *r = s->run;
    const struct transfer_options *opt = r->opt;
    struct http_request request = {
        .url = r->source->url,
        .from = position(s),
        .to = end_position(s) - 1,
        .fresh = r->repairing,
        .wish = "Want-Content-Digest: sha-256=10",
        .agent = opt->agent,
        .sink = on_bytes,
        .ctx = s,
    };

    if (opt->token != NULL && url_same_origin(request.url, opt->token_url))
        request.token = opt->token;
    if (r->source->kind == DIGEST_NONE)
        request.if_range = r->source->etag;
    s->got = s->skip = 0;
    s->call_at = s->at;
    s->answered = s->odd = s->provable = false;
    s->verdict = FINE;
    s->why = NULL;
    s->call = http_start(opt->http, &request, err);
    return s->call != NULL;
}

static void end_call(struct stream *s)
{
    http_end(s->call);
    s->call = NULL;
}

/* Ends all calls; what their streams had still to fetch is anybody's again. */
static void drop_calls(struct run *r)
{
    for (int i = 0; i < STREAMS_MAX; i++) {
        end_call(&r->stream[i]);
        unclaim(&r->stream[i]);
    }
}

static int count_calls(const struct run *r)
{
    int n = 0;

    for (int i = 0; i < STREAMS_MAX; i++)
        n += r->stream[i].call != NULL;
    return n;
}

/* How many may run now: one until the server has shown that it knows ranges. */
static int allowed_calls(const struct run *r)
{
    return r->ranges && !r->no_ranges ? r->n_streams : 1;
}

static bool start_calls(struct run *r, struct err *err)
{
    int n = count_calls(r);

    if (clock_seconds() < r->wait_until)
        return true;
    for (int i = 0; i < STREAMS_MAX && n < allowed_calls(r); i++) {
        struct stream *s = &r->stream[i];

        if (s->call != NULL || (s->at == s->end && !claim(r, s)))
            continue;
        if (s->data == NULL)
            s->data = mem_alloc((size_t)r->part->block_bytes);
        if (!start_call(s, err))
            return false;
        n++;
    }
    return true;
}

/* ---- failures ---- */

/* Notes a failure and sets when to try again. False when it is one too many. */
static bool note_failure(struct run *r, int64_t retry_after_s, struct err *err)
{
    const struct transfer_options *opt = r->opt;
    double wait = opt->first_wait_s;

    r->trouble = *err;
    if (r->in_trouble && clock_seconds() < r->wait_until)
        return true; /* another stream has met the same trouble */
    r->in_trouble = true;
    r->n_failures++;
    if (r->n_failures > opt->max_failures)
        return err_wrap(err, "gave up after %d tries", r->n_failures);
    for (int i = 1; i < r->n_failures && wait < opt->max_wait_s; i++)
        wait *= 2;
    if (wait > opt->max_wait_s)
        wait = opt->max_wait_s;
    if (retry_after_s > opt->max_retry_after_s)
        return err_wrap(err, "the server asks to wait for %lld s",
                        (long long)retry_after_s);
    if (retry_after_s >= 0)
        wait = (double)retry_after_s > wait ? (double)retry_after_s : wait;
    r->wait_until = clock_seconds() + wait;
    return true;
}

static void note_progress(struct run *r)
{
    r->n_failures = r->n_expired = 0;
    r->in_trouble = false;
}

/* Asks the hub again: an address may have expired, the file may be another one. */
static bool relocate(struct run *r, struct err *err)
{
    struct transfer_source now = {0};
    bool same;

    if (!r->opt->locate(r->opt->ctx, &now, err)) {
        transfer_source_release(&now);
        return false;
    }
    same = now.size == r->source->size && now.kind == r->source->kind &&
           strcmp(now.hex, r->source->hex) == 0 &&
           (now.kind != DIGEST_NONE || (now.etag == NULL) == (r->source->etag == NULL));
    if (same && now.kind == DIGEST_NONE && now.etag != NULL)
        same = strcmp(now.etag, r->source->etag) == 0;
    transfer_source_release(r->source);
    *r->source = now;
    free(r->etag);
    r->etag = NULL;
    r->n_hops = 0;
    if (same)
        return true;
    err_set(err, ERR_NET, "the file has changed on the server");
    err->code = TRANSFER_CHANGED;
    return false;
}

/* An ETag that was another one, of a file whose digest is known: is that still what the
 * hub names? Asked a few times only: some servers' ETags are no two alike. */
static bool look_again(struct run *r, struct err *err)
{
    if (!r->etag_changed)
        return true;
    r->etag_changed = false;
    return ++r->n_etag_changes > ETAG_CHANGES || relocate(r, err);
}

static bool on_changed(struct run *r, struct err *err)
{
    if (!relocate(r, err))
        return false;
    if (++r->n_etag_changes > ETAG_CHANGES)
        return err_set(err, ERR_NET, "the server's ETag changes with every answer");
    err_set(err, ERR_NET, "the server's ETag changed");
    return note_failure(r, -1, err);
}

static bool on_redirect(struct run *r, const char *location, struct err *err)
{
    char *target;

    if (location == NULL)
        return err_set(err, ERR_NET, "a redirect leads nowhere");
    if (++r->n_hops > URL_MAX_HOPS)
        return err_set(err, ERR_NET, "more than %d redirects", (int)URL_MAX_HOPS);
    target = url_redirect(r->source->url, location, r->opt->allow_http, err);
    if (target == NULL)
        return false;
    free(r->source->url);
    r->source->url = target;
    return true;
}

/* An answer without bytes of the file. */
static bool on_status(struct run *r, const struct http_answer *a, struct err *err)
{
    int status = a->status;
    int64_t retry_after_s = a->retry_after_s;

    if (status >= 301 && status <= 308 && status != 304)
        return on_redirect(r, a->location, err);
    err_set(err, ERR_NET, "the server answers %d", status);
    if (status == 429 || status == 503)
        r->n_streams = r->n_streams > 1 ? r->n_streams / 2 : 1;
    if (http_is_passing(status))
        return note_failure(r, retry_after_s, err);
    if (status != 401 && status != 403 && status != 404 && status != 410 &&
        status != 416)
        return false;
    if (++r->n_expired > EXPIRED_MAX)
        return false;
    return relocate(r, err); /* an address that has expired, perhaps */
}

/* A connection that broke: the last block in hand, then all that came over it. */
static void mark_broken(struct stream *s)
{
    struct run *r = s->run;

    for (size_t i = s->call_at; i < s->at; i++)
        suspect(r, i, OF_ODD_ANSWER);
    if (s->at < r->part->n_blocks)
        suspect(r, s->at, AT_BREAK);
    if (s->at > s->call_at)
        suspect(r, s->at - 1, AT_BREAK);
}

/* A call that ended before its segment did. */
static bool on_cut(struct stream *s, struct err *err)
{
    struct run *r = s->run;
    struct err why = {0};

    if (s->verdict == BAD_ANSWER)
        err_set(&why, ERR_NET, "%s", s->why);
    else if (http_result(s->call, &why))
        err_set(&why, ERR_NET, "the server ended the answer early");
    if (s->answered)
        mark_broken(s);
    if (http_is_hopeless(&why)) {
        *err = why;
        return false;
    }
    if (s->verdict == FINE && s->answered && s->got >= PROGRESS_BYTES) {
        r->trouble = why;
        return true; /* go on at once, where it stood */
    }
    *err = why;
    return note_failure(r, -1, err);
}

static bool hash_anew(struct run *r, struct err *err)
{
    r->hashed = 0;
    return r->source->kind == DIGEST_NONE ||
           digest_begin(&r->whole, r->source->kind, r->source->size, err);
}

/* An answer that came whole is compared with its own digest: what is wrong is found
 * before the rest has come, and is fetched again alone. */
static bool prove(struct stream *s, struct err *err)
{
    struct run *r = s->run;
    size_t first = s->call_at;

    if (digest_ends_as(&s->body, http_answer(s->call)->body_sha256)) {
        r->n_unproven = 0;
        for (size_t i = first; i < s->at; i++)
            r->suspect[i] = r->suspect[i] == ORDINARY ? PROVEN : r->suspect[i];
        return true;
    }
    r->n_unproven++;
    for (size_t i = first; i < s->at; i++) {
        if (!part_forget(r->part, i, err))
            return false;
        set_state(r, i, NEEDED);
    }
    unclaim(s);
    return r->hashed <= first || hash_anew(r, err);
}

static bool on_ended(struct stream *s, struct err *err)
{
    struct run *r = s->run;
    const struct http_answer *a = http_answer(s->call);
    bool ok = true;

    if (s->verdict == DISK_FAILED) {
        *err = r->disk;
        return false;
    }
    if (s->provable && http_result(s->call, NULL) && !prove(s, err))
        return false;
    if (s->at == s->end) {
        note_progress(r);
    } else if (s->verdict == CHANGED) {
        ok = on_changed(r, err);
    } else if (a->status != 0 && a->status != 200 && a->status != 206) {
        ok = on_status(r, a, err);
    } else {
        ok = on_cut(s, err);
    }
    if (ok && s->answered && s->got >= PROGRESS_BYTES && s->verdict == FINE)
        note_progress(r);
    end_call(s);
    if (r->no_ranges) /* one stream alone, over all that is missing */
        drop_calls(r);
    return ok;
}

/* ---- the digest of the whole ---- */

/* Hashes up to n blocks of those that follow what is hashed. */
static bool hash_on(struct run *r, size_t n, struct err *err)
{
    if (r->source->kind == DIGEST_NONE)
        return true;
    if (r->hash_data == NULL)
        r->hash_data = mem_alloc((size_t)r->part->block_bytes);
    while (n-- > 0 && r->hashed < r->part->n_blocks && part_has(r->part, r->hashed)) {
        if (!part_get(r->part, r->hashed, r->hash_data, err))
            return false;
        digest_add(&r->whole, r->hash_data, part_block_len(r->part, r->hashed));
        r->hashed++;
    }
    return true;
}

/* Whether the whole is what it should be; ends the digest. */
static bool is_right(struct run *r, bool *right, struct err *err)
{
    *right = true;
    if (r->source->kind == DIGEST_NONE)
        return true;
    while (r->hashed < r->part->n_blocks)
        if (!hash_on(r, HASH_BLOCKS, err) || !http_may_go_on(r->opt->http, err))
            return false;
    *right = digest_ends_as(&r->whole, r->source->hex);
    return true;
}

/* ---- the run ---- */

static void report(struct run *r)
{
    struct transfer_progress now = {
        .size = r->part->size,
        .done_bytes = r->part->done_bytes,
        .fetched_bytes = r->fetched,
        .trouble = r->in_trouble ? r->trouble.text : NULL,
    };

    for (int i = 0; i < STREAMS_MAX && !r->repairing; i++)
        now.done_bytes += (int64_t)r->stream[i].have;
    r->opt->progress(r->opt->ctx, &now);
}

/* Handles the calls that have ended. One that fails may end others: so one at a time,
 * and curl is asked again. */
static bool take_ended(struct run *r, struct err *err)
{
    struct http_call *call;

    while ((call = http_take_ended(r->opt->http)) != NULL)
        if (!on_ended(http_context(call), err))
            return false;
    return true;
}

/* Until no block is needed, or repair has found one that was wrong. */
static bool fetch_needed(struct run *r, struct err *err)
{
    while (r->n_needed > 0 && !(r->repairing && r->n_replaced > 0)) {
        if (!http_may_go_on(r->opt->http, err) || !start_calls(r, err))
            return false;
        if (count_calls(r) == 0)
            http_idle(r->opt->http, WAIT_MS);
        else if (!http_wait(r->opt->http, WAIT_MS, err))
            return false;
        if (!take_ended(r, err) || !look_again(r, err) ||
            !hash_on(r, r->repairing ? 0 : HASH_BLOCKS, err))
            return false;
        report(r);
    }
    drop_calls(r);
    return true;
}

static void need_missing(struct run *r)
{
    for (size_t i = 0; i < r->part->n_blocks; i++)
        set_state(r, i, part_has(r->part, i) ? HERE : NEEDED);
}

/* Has the next blocks of this suspicion, from *at on, fetched again; false where there
 * are none left. */
static bool need_again(struct run *r, enum suspicion how, size_t *at)
{
    size_t n = 0;

    for (; *at < r->part->n_blocks && n < REPAIR_BATCH_BLOCKS; ++*at)
        if (r->suspect[*at] == how) {
            set_state(r, *at, NEEDED);
            n++;
        }
    return n > 0;
}

/* Fetches blocks again, and looks at the whole whenever one of them was another. */
static bool repair_pass(struct run *r, enum suspicion how, bool *right, struct err *err)
{
    size_t at = 0;

    while (!*right && (r->n_needed > 0 || need_again(r, how, &at))) {
        r->n_replaced = 0;
        if (!fetch_needed(r, err))
            return false;
        if (r->n_replaced > 0 && (!hash_anew(r, err) || !is_right(r, right, err)))
            return false;
    }
    return true;
}

static bool repair(struct run *r, struct err *err)
{
    size_t n_forgotten;
    bool right = false;

    if (!part_recheck(r->part, &n_forgotten, err))
        return false;
    if (n_forgotten > 0) {
        need_missing(r);
        if (!fetch_needed(r, err) || !hash_anew(r, err) || !is_right(r, &right, err))
            return false;
    }
    r->repairing = true;
    for (int how = MOST_SUSPICIOUS; how >= PROVEN; how--)
        if (!repair_pass(r, (enum suspicion)how, &right, err))
            return false;
    return right || err_set(err, ERR_NET,
                            "the digest is wrong, and stays so when all is fetched "
                            "again: the server's file is not the one it names");
}

/* What a part without a digest holds from before is believed only after a look. */
static bool check_old_blocks(struct run *r, struct err *err)
{
    size_t n_forgotten;

    return r->source->kind != DIGEST_NONE || part_recheck(r->part, &n_forgotten, err);
}

static bool run_all(struct run *r, struct err *err)
{
    bool right;

    if (!check_old_blocks(r, err) || !hash_anew(r, err))
        return false;
    need_missing(r);
    return fetch_needed(r, err) && is_right(r, &right, err) &&
           (right || repair(r, err)) && part_sync(r->part, err);
}

bool transfer_run(const struct transfer_options *opt, struct transfer_source *source,
                  struct part *part, struct err *err)
{
    struct run r = {.opt = opt, .source = source, .part = part};
    bool ok;

    r.state = mem_array(part->n_blocks + 1, 1);
    r.suspect = mem_array(part->n_blocks + 1, 1);
    memset(r.state, HERE, part->n_blocks + 1);
    memset(r.suspect, ORDINARY, part->n_blocks + 1);
    r.n_streams = opt->streams < STREAMS_MAX ? opt->streams : STREAMS_MAX;
    for (int i = 0; i < STREAMS_MAX; i++)
        r.stream[i].run = &r;
    ok = run_all(&r, err);
    drop_calls(&r);
    if (!ok && !part_sync(part, NULL))
        err_wrap(err, "(what came last may be lost)");
    for (int i = 0; i < STREAMS_MAX; i++) {
        free(r.stream[i].data);
        digest_release(&r.stream[i].body);
    }
    digest_release(&r.whole);
    free(r.hash_data);
    free(r.etag);
    free(r.state);
    free(r.suspect);
    return ok;
}
