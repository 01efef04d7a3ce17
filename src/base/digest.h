/* SPDX-License-Identifier: MIT
 *
 * Digests of files: SHA-256, and git's SHA-1 of a blob ("blob SIZE\0" before the
 * bytes), which is how a hub names its small files. Computed by OpenSSL's libcrypto.
 */
#ifndef HADAL_BASE_DIGEST_H
#define HADAL_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

enum digest_kind { DIGEST_NONE, DIGEST_SHA256, DIGEST_GIT_SHA1 };

enum { DIGEST_SHA256_BYTES = 32, DIGEST_MAX_BYTES = 32, DIGEST_HEX_CAP = 65 };

/* One digest in the making. One thread at a time. */
struct digest {
    void *state; /* EVP_MD_CTX */
    enum digest_kind kind;
};

/* Begins anew; the first call must find zeroed storage. size is that of the whole
 * input, needed by DIGEST_GIT_SHA1 alone. */
bool digest_begin(struct digest *d, enum digest_kind kind, int64_t size,
                  struct err *err) MUST_USE;
void digest_add(struct digest *d, const void *data, size_t len);
/* The bytes; returns how many (32 or 20). */
size_t digest_end(struct digest *d, unsigned char out[DIGEST_MAX_BYTES]);
/* Ends it: is it this one, in lower-case hexadecimal? */
bool digest_ends_as(struct digest *d, const char *hex);
void digest_release(struct digest *d); /* accepts zeroed storage */

/* The SHA-256 of bytes that are all in memory. */
bool digest_sha256(const void *data, size_t len, unsigned char out[DIGEST_SHA256_BYTES],
                   struct err *err) MUST_USE;

/* A check of bytes against accidents alone, several times as fast as a digest: Poly1305
 * with a key that is no secret. */
enum { DIGEST_CHECK_BYTES = 16 };
bool digest_check(const void *data, size_t len, unsigned char out[DIGEST_CHECK_BYTES],
                  struct err *err) MUST_USE;

/* Lower-case hexadecimal. */
void digest_hex(const unsigned char *bytes, size_t n, char out[DIGEST_HEX_CAP]);

/* The same of a SHA-256 in base64; false where it is none. */
bool digest_hex_of_base64(const char *text, size_t len, char out[DIGEST_HEX_CAP]);

/* What a hub's name of a file is: 64 hexadecimal digits, 40, or neither. */
enum digest_kind digest_kind_of_hex(const char *hex);

#endif
