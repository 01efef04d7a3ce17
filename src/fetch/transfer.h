/* SPDX-License-Identifier: MIT
 *
 * The transfer of one file into its part: several ranges at once, each answer checked,
 * each failure repaired from what is here already.
 *
 * States of a block: NEEDED, CLAIMED by a stream, HERE. A stream fills one block in
 * memory and hands it whole, with its digest, to the part; when its connection is cut
 * it goes on at the byte where it stood. When all blocks are here and the digest of the
 * whole is not what the hub says, blocks that differ from the journal on the disk are
 * fetched again; then the others, those of broken connections first, and each is
 * compared with the digest it had, until the whole is right. A server that says the
 * digest of each answer (Content-Digest, RFC 9530; it is asked to) has wrong bytes
 * found when the answer ends: then its blocks alone are fetched again, at once.
 *
 * One thread; it owns everything here.
 */
#ifndef HADAL_FETCH_TRANSFER_H
#define HADAL_FETCH_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/digest.h"
#include "src/base/err.h"
#include "src/fetch/http.h"
#include "src/fetch/part.h"

/* Where the bytes are, and what they must be. */
struct transfer_source {
    char *url; /* owned; may expire */
    int64_t size;
    enum digest_kind kind;    /* DIGEST_NONE: not known */
    char hex[DIGEST_HEX_CAP]; /* the digest of the whole */
    char *etag;               /* owned; of files without digest, or NULL */
};
void transfer_source_release(struct transfer_source *source);

struct transfer_progress {
    int64_t done_bytes, size; /* of this file */
    int64_t fetched_bytes;    /* over the network, in this run */
    const char *trouble;      /* what is being waited out, or NULL */
};

struct transfer_options {
    struct http *http;
    const char *agent;
    const char *token, *token_url; /* the token, and an address of its origin; NULL */
    bool allow_http;
    int streams;      /* at once, at most */
    int max_failures; /* in a row, without progress */
    double first_wait_s, max_wait_s;
    int64_t max_retry_after_s;
    /* Asks again where the bytes are: fills *out, which is zeroed. */
    bool (*locate)(void *ctx, struct transfer_source *out, struct err *err);
    void (*progress)(void *ctx, const struct transfer_progress *now); /* often */
    void *ctx;
};

/* What err->code says of a file that became another one while it came. */
enum { TRANSFER_CHANGED = 1001 };

/* Brings all of the file into the part, and checks it. source is what the part was
 * opened for; its url may be replaced. On failure the part is kept; ERR_NET, ERR_IO or
 * what http_may_go_on says. */
bool transfer_run(const struct transfer_options *opt, struct transfer_source *source,
                  struct part *part, struct err *err) MUST_USE;

#endif
