/* SPDX-License-Identifier: MIT
 *
 * Digests: see digest.h.
 */
#include "config.h"

#include "src/base/digest.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

bool digest_begin(struct digest *d, enum digest_kind kind, int64_t size,
                  struct err *err)
{
    const EVP_MD *md = kind == DIGEST_GIT_SHA1 ? EVP_sha1() : EVP_sha256();
    char head[40];
    int len;

    if (d->state == NULL)
        d->state = EVP_MD_CTX_new();
    if (d->state == NULL || EVP_DigestInit_ex(d->state, md, NULL) != 1)
        return err_set(err, ERR_FAILED, "libcrypto has no %s",
                       kind == DIGEST_GIT_SHA1 ? "SHA-1" : "SHA-256");
    d->kind = kind;
    if (kind == DIGEST_GIT_SHA1) {
        len = snprintf(head, sizeof(head), "blob %" PRId64, size);
        digest_add(d, head, (size_t)len + 1);
    }
    return true;
}

void digest_add(struct digest *d, const void *data, size_t len)
{
    EVP_DigestUpdate(d->state, data, len);
}

size_t digest_end(struct digest *d, unsigned char out[DIGEST_MAX_BYTES])
{
    unsigned n = 0;

    EVP_DigestFinal_ex(d->state, out, &n);
    return n;
}

bool digest_ends_as(struct digest *d, const char *hex)
{
    unsigned char bytes[DIGEST_MAX_BYTES];
    char found[DIGEST_HEX_CAP];

    digest_hex(bytes, digest_end(d, bytes), found);
    return strcmp(found, hex) == 0;
}

void digest_release(struct digest *d)
{
    EVP_MD_CTX_free(d->state);
    memset(d, 0, sizeof(*d));
}

bool digest_sha256(const void *data, size_t len, unsigned char out[DIGEST_SHA256_BYTES],
                   struct err *err)
{
    struct digest d = {0};

    if (!digest_begin(&d, DIGEST_SHA256, 0, err))
        return false;
    digest_add(&d, data, len);
    digest_end(&d, out);
    digest_release(&d);
    return true;
}

bool digest_check(const void *data, size_t len, unsigned char out[DIGEST_CHECK_BYTES],
                  struct err *err)
{
    static const unsigned char key[32] = "hadal: not a secret, only a key";
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "POLY1305", "-fips");
    EVP_MAC_CTX *ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    size_t n = 0;
    bool ok = ctx != NULL && EVP_MAC_init(ctx, key, sizeof(key), NULL) == 1 &&
              EVP_MAC_update(ctx, data, len) == 1 &&
              EVP_MAC_final(ctx, out, &n, DIGEST_CHECK_BYTES) == 1;

    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    return ok || err_set(err, ERR_FAILED, "libcrypto has no Poly1305");
}

void digest_hex(const unsigned char *bytes, size_t n, char out[DIGEST_HEX_CAP])
{
    static const char digit[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit[bytes[i] >> 4];
        out[2 * i + 1] = digit[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

bool digest_hex_of_base64(const char *text, size_t len, char out[DIGEST_HEX_CAP])
{
    enum { CHARACTERS = 44 }; /* 32 bytes and one '=' */
    unsigned char bytes[CHARACTERS / 4 * 3];

    if (len != CHARACTERS || memchr(text, '=', len) != text + len - 1 ||
        EVP_DecodeBlock(bytes, (const unsigned char *)text, CHARACTERS) < 0)
        return false;
    digest_hex(bytes, DIGEST_SHA256_BYTES, out);
    return true;
}

enum digest_kind digest_kind_of_hex(const char *hex)
{
    size_t len = strlen(hex);

    if (strspn(hex, "0123456789abcdef") != len)
        return DIGEST_NONE;
    return len == 64 ? DIGEST_SHA256 : len == 40 ? DIGEST_GIT_SHA1 : DIGEST_NONE;
}
