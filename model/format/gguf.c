/* SPDX-License-Identifier: MIT
 *
 * GGUF files: opening one file or a split set, and the public face.
 *
 * A file is: magic "GGUF", version (u32), number of tensors (u64), number of keys
 * (u64), keys, tensor table, padding, data. The parts of a split set are such files;
 * the first holds the model's keys, the others only those that begin with "split.".
 */
#include "config.h"

#include "model/format/gguf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/format/gguf_priv.h"
#include "src/base/buf.h"
#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/path.h"

enum {
    HEADER_BYTES = 24,
    MIN_KEY_BYTES = 8 + 1 + 4 + 1,            /* name of one byte, type, value */
    MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8, /* one dimension */
    DEFAULT_ALIGNMENT = 32,
};

struct gguf {
    char *path;
    struct gguf_keys keys; /* of the first part */
    struct gguf_tensors tensors;
    struct file_map *map; /* [n_parts], room for all; fd -1 of gguf_open_bytes */
    size_t n_parts;
    bool borrowed; /* the bytes are the caller's */
};

/* What the split keys of a part say. */
struct split {
    int64_t no, count, n_tensors;
};

/* Files that people mistake for GGUF, by how they begin. */
static const struct {
    const char *start;
    const char *text;
} lookalikes[] = {
    {"version https://git-lfs", "this is a Git LFS pointer, use `hadal pull`"},
    {"<", "this is a web page, not the file that it describes"},
    {"lmgg", "an old GGML file (ggml); convert it to GGUF"},
    {"fmgg", "an old GGML file (ggmf); convert it to GGUF"},
    {"tjgg", "an old GGML file (ggjt); convert it to GGUF"},
    {"algg", "an old GGML file (ggla); convert it to GGUF"},
    {"PK\x03\x04", "this is a zip archive or a PyTorch file"},
    {"\x80\x02", "this is a Python pickle, which hadal does not read"},
};

/* Refuses bytes that do not begin with "GGUF". */
static bool fail_magic(const struct gguf_cursor *c, struct err *err)
{
    const char *hint = NULL;
    char start[24];
    size_t len = 0;

    for (size_t i = 0; i < sizeof(lookalikes) / sizeof(lookalikes[0]); i++) {
        size_t n = strlen(lookalikes[i].start);

        if (hint == NULL && c->size >= n &&
            memcmp(c->data, lookalikes[i].start, n) == 0)
            hint = lookalikes[i].text;
    }
    while (len < sizeof(start) - 1 && len < c->size && c->data[len] >= ' ' &&
           c->data[len] <= '~') {
        start[len] = (char)c->data[len];
        len++;
    }
    start[len] = '\0';
    return err_set(err, ERR_MODEL, "not a GGUF file (it starts with \"%s\")%s%s", start,
                   hint == NULL ? "" : "; ", hint == NULL ? "" : hint);
}

static bool read_magic(struct gguf_cursor *c, struct err *err)
{
    const unsigned char *magic;
    uint32_t version;
    size_t n = c->size < 4 ? c->size : 4;

    if (c->size == 0)
        return err_set(err, ERR_MODEL, "empty file");
    if (memcmp(c->data, "GGUF", n) != 0)
        return fail_magic(c, err);
    if (!gguf_take(c, 4, &magic) || !gguf_take_u32(c, &version))
        return gguf_fail_cut(c, "the header", err);
    if ((version & 0xffff) == 0 && version != 0)
        return err_set(err, ERR_MODEL, "big-endian GGUF is not supported (version %u)",
                       __builtin_bswap32(version));
    if (version != 2 && version != 3)
        return err_set(err, ERR_MODEL, "GGUF version %u is not supported (2 and 3 are)",
                       version);
    return true;
}

static bool read_counts(struct gguf_cursor *c, size_t max_tensors, size_t *n_tensors,
                        size_t *n_keys, struct err *err)
{
    uint64_t tensors;
    uint64_t keys;
    char size[32];

    if (!gguf_take_u64(c, &tensors) || !gguf_take_u64(c, &keys))
        return gguf_fail_cut(c, "the header", err);
    gguf_size_text(size, c->size);
    if (tensors > max_tensors)
        return err_set(err, ERR_MODEL,
                       "header announces %" PRIu64
                       " tensors in a file of %s: too many (%d at most)",
                       tensors, size, GGUF_MAX_TENSORS);
    if (keys > GGUF_MAX_KEYS)
        return err_set(err, ERR_MODEL,
                       "header announces %" PRIu64
                       " keys in a file of %s: too many (%d at most)",
                       keys, size, GGUF_MAX_KEYS);
    if (tensors * MIN_TENSOR_BYTES + keys * MIN_KEY_BYTES > gguf_bytes_left(c))
        return err_set(err, ERR_MODEL,
                       "truncated: %s cannot hold the %" PRIu64 " keys and %" PRIu64
                       " tensors that the header announces; resume with `hadal pull`",
                       size, keys, tensors);
    *n_tensors = (size_t)tensors;
    *n_keys = (size_t)keys;
    return true;
}

static bool read_alignment(const struct gguf_keys *keys, uint32_t *out, struct err *err)
{
    int64_t v = DEFAULT_ALIGNMENT;

    if (gguf_keys_int(keys, "general.alignment", 1, GGUF_MAX_ALIGNMENT, &v, err) < 0)
        return false;
    if ((v & (v - 1)) != 0)
        return err_set(err, ERR_MODEL,
                       "general.alignment %" PRId64 " is not a power of two", v);
    *out = (uint32_t)v;
    return true;
}

/* Header, keys and tensor table of one part; the keys go to *keys, which the caller
 * releases in any case. */
static bool read_part(struct gguf *g, size_t part, struct gguf_keys *keys,
                      struct err *err)
{
    struct gguf_cursor c = {.data = g->map[part].data, .size = g->map[part].size};
    struct gguf_table table = {.file = part};
    size_t n_keys = 0;

    memset(keys, 0, sizeof(*keys));
    return read_magic(&c, err) &&
           read_counts(&c, GGUF_MAX_TENSORS - g->tensors.n, &table.n, &n_keys, err) &&
           gguf_keys_read(keys, &c, n_keys, err) &&
           read_alignment(keys, &table.alignment, err) &&
           gguf_tensors_read(&g->tensors, &c, &table, err);
}

static bool read_split(const struct gguf_keys *keys, struct split *out, struct err *err)
{
    *out = (struct split){.no = 0, .count = 1, .n_tensors = -1};
    if (gguf_keys_int(keys, "split.count", 0, GGUF_MAX_PARTS, &out->count, err) < 0 ||
        gguf_keys_int(keys, "split.no", 0, GGUF_MAX_PARTS - 1, &out->no, err) < 0 ||
        gguf_keys_int(keys, "split.tensors.count", 0, INT32_MAX, &out->n_tensors, err) <
            0)
        return false;
    return true;
}

/* The path of part i (from 0) of n: that of the first with its number exchanged. NULL
 * where the first is not named as parts are. */
static char *part_path(const char *first, int64_t i, int64_t n)
{
    char tail[64];
    size_t len = strlen(first);
    size_t tail_len;
    char *path;

    snprintf(tail, sizeof(tail), "-%05d-of-%05d.gguf", 1, (int)n);
    tail_len = strlen(tail);
    if (len < tail_len || strcmp(first + len - tail_len, tail) != 0)
        return NULL;
    path = mem_dup(first);
    snprintf(path + len - tail_len, tail_len + 1, "-%05d-of-%05d.gguf", (int)i + 1,
             (int)n);
    return path;
}

/* Maps and reads part i of a set and compares its split keys with what is expected. */
static bool open_part(struct gguf *g, int64_t i, int64_t count, struct err *err)
{
    char *path = part_path(g->path, i, count);
    struct gguf_keys keys = {0};
    struct split split;
    bool ok = false;

    if (path == NULL)
        return err_set(err, ERR_MODEL,
                       "the first of %d parts, but its name does not end in "
                       "-00001-of-%05d.gguf",
                       (int)count, (int)count);
    if (!file_map_open(&g->map[i], path, err)) {
        if (err != NULL && err->code == ENOENT)
            err_set(err, ERR_MODEL, "part %05d-of-%05d is missing (looked for '%s')",
                    (int)i + 1, (int)count, path_base_name(path));
        goto done;
    }
    g->n_parts++;
    if (!read_part(g, (size_t)i, &keys, err) || !read_split(&keys, &split, err))
        goto wrap;
    if (split.no != i || split.count != count) {
        err_set(err, ERR_MODEL, "it says that it is part %d of %d", (int)split.no + 1,
                (int)split.count);
        goto wrap;
    }
    ok = true;
    goto done;
wrap:
    err_wrap(err, "part '%s'", path_base_name(path));
done:
    gguf_keys_release(&keys);
    free(path);
    return ok;
}

/* The first part has been read; opens the others where there are any. */
static bool open_parts(struct gguf *g, struct err *err)
{
    struct split split;

    if (!read_split(&g->keys, &split, err))
        return false;
    if (split.count <= 1)
        return true;
    if (split.no != 0)
        return err_set(err, ERR_MODEL,
                       "part %d of %d of a split set; give the first part",
                       (int)split.no + 1, (int)split.count);
    if (g->borrowed)
        return err_set(err, ERR_MODEL, "the first of %d parts, without the others",
                       (int)split.count);
    for (int64_t i = 1; i < split.count; i++) {
        if (!open_part(g, i, split.count, err))
            return false;
    }
    if (split.n_tensors >= 0 && (size_t)split.n_tensors != g->tensors.n)
        return err_set(err, ERR_MODEL,
                       "split.tensors.count is %" PRId64
                       ", but the parts hold %zu tensors",
                       split.n_tensors, g->tensors.n);
    return true;
}

static struct gguf *new_gguf(const char *path)
{
    struct gguf *g = mem_zalloc(sizeof(*g));

    g->path = mem_dup(path);
    g->map = mem_array(GGUF_MAX_PARTS, sizeof(*g->map));
    return g;
}

/* g has its first map. Takes g over: on failure it is closed. */
static struct gguf *read_all(struct gguf *g, struct err *err)
{
    if (read_part(g, 0, &g->keys, err) && open_parts(g, err) &&
        gguf_tensors_index(&g->tensors, err))
        return g;
    err_wrap(err, "%s", g->path);
    gguf_close(g);
    return NULL;
}

struct gguf *gguf_open(const char *path, struct err *err)
{
    struct gguf *g = new_gguf(path);

    if (!file_map_open(&g->map[0], path, err)) {
        gguf_close(g);
        return NULL;
    }
    g->n_parts = 1;
    return read_all(g, err);
}

struct gguf *gguf_open_bytes(const char *name, const unsigned char *data, size_t size,
                             struct err *err)
{
    struct gguf *g = new_gguf(name);

    g->map[0].data = data;
    g->map[0].size = size;
    g->map[0].fd = -1;
    g->n_parts = 1;
    g->borrowed = true;
    return read_all(g, err);
}

void gguf_close(struct gguf *g)
{
    if (g == NULL)
        return;
    gguf_tensors_release(&g->tensors);
    gguf_keys_release(&g->keys);
    for (size_t i = 0; i < g->n_parts && !g->borrowed; i++)
        file_map_close(&g->map[i]);
    free(g->map);
    free(g->path);
    free(g);
}

const char *gguf_path(const struct gguf *g)
{
    return g->path;
}

size_t gguf_total_bytes(const struct gguf *g)
{
    size_t total = 0;

    for (size_t i = 0; i < g->n_parts; i++)
        total += g->map[i].size;
    return total;
}

bool gguf_has(const struct gguf *g, const char *key)
{
    return gguf_keys_find(&g->keys, key) != NULL;
}

/* Puts the path in front of what a gguf_keys_ function says. */
static int with_path(const struct gguf *g, int result, struct err *err)
{
    if (result < 0)
        err_wrap(err, "%s", g->path);
    return result;
}

int gguf_get_int(const struct gguf *g, const char *key, int64_t min, int64_t max,
                 int64_t *out, struct err *err)
{
    return with_path(g, gguf_keys_int(&g->keys, key, min, max, out, err), err);
}

int gguf_get_float(const struct gguf *g, const char *key, double *out, struct err *err)
{
    return with_path(g, gguf_keys_float(&g->keys, key, out, err), err);
}

int gguf_get_bool(const struct gguf *g, const char *key, bool *out, struct err *err)
{
    return with_path(g, gguf_keys_bool(&g->keys, key, out, err), err);
}

int gguf_get_text(const struct gguf *g, const char *key, struct gguf_text *out,
                  struct err *err)
{
    return with_path(g, gguf_keys_text(&g->keys, key, out, err), err);
}

int gguf_get_array(const struct gguf *g, const char *key, struct gguf_array *out,
                   struct err *err)
{
    return with_path(g, gguf_keys_array(&g->keys, key, out, err), err);
}

size_t gguf_n_keys(const struct gguf *g)
{
    return g->keys.n;
}

const char *gguf_key_name(const struct gguf *g, size_t i)
{
    return g->keys.key[i].name;
}

enum gguf_kind gguf_key_kind(const struct gguf *g, size_t i)
{
    return g->keys.key[i].kind;
}

const struct gguf_key *gguf_key_at(const struct gguf *g, size_t i)
{
    return &g->keys.key[i];
}

size_t gguf_n_tensors(const struct gguf *g)
{
    return g->tensors.n;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *g, size_t i)
{
    return &g->tensors.tensor[i];
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *g, const char *name)
{
    return gguf_tensors_find(&g->tensors, name);
}

bool gguf_has_file(const struct gguf *g, const struct stat *file)
{
    struct stat st;

    for (size_t i = 0; i < g->n_parts && !g->borrowed; i++)
        if (fstat(g->map[i].fd, &st) == 0 && st.st_dev == file->st_dev &&
            st.st_ino == file->st_ino)
            return true;
    return false;
}

bool gguf_unchanged(const struct gguf *g, struct err *err)
{
    struct stat st;

    for (size_t i = 0; i < g->n_parts && !g->borrowed; i++) {
        if (fstat(g->map[i].fd, &st) != 0 || st.st_size < 0 ||
            (size_t)st.st_size != g->map[i].size)
            return err_set(err, ERR_MODEL, "%s: changed while in use", g->path);
    }
    return true;
}
