/* SPDX-License-Identifier: MIT
 *
 * The tensor table of a GGUF file: names, shapes, types and where the data lies.
 *
 * An entry is: name (string), n_dims (u32), n_dims sizes (u64, innermost first),
 * element type (u32), offset (u64) from the start of the data section, which begins at
 * the next multiple of the alignment after the table. Here every product and sum is
 * checked, and afterwards every tensor's bytes are known to lie in the map and to
 * overlap no other's.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/format/gguf_priv.h"
#include "src/base/mem.h"
#include "src/base/utf8.h"

/* i: number of the entry, from 1, here and below. */
static bool fail_cut(const struct gguf_cursor *c, size_t i, struct err *err)
{
    char what[64];

    snprintf(what, sizeof(what), "the entry of tensor %zu", i);
    return gguf_fail_cut(c, what, err);
}

static bool read_name(char **name, struct gguf_cursor *c, size_t i, struct err *err)
{
    const unsigned char *p;
    uint64_t len;

    if (!gguf_take_u64(c, &len))
        return fail_cut(c, i, err);
    if (len == 0)
        return err_set(err, ERR_MODEL, "tensor %zu: its name is empty", i);
    if (len > GGUF_MAX_NAME_BYTES)
        return err_set(err, ERR_MODEL,
                       "tensor %zu: name length %" PRIu64 " is too large (%d at most)",
                       i, len, GGUF_MAX_NAME_BYTES);
    if (!gguf_take(c, len, &p))
        return fail_cut(c, i, err);
    if (memchr(p, '\0', (size_t)len) != NULL ||
        !utf8_is_valid((const char *)p, (size_t)len))
        return err_set(err, ERR_MODEL, "tensor %zu: its name is not valid UTF-8", i);
    *name = mem_dup_n((const char *)p, (size_t)len);
    return true;
}

static bool read_dims(struct gguf_tensor *t, struct gguf_cursor *c, size_t i,
                      struct err *err)
{
    uint32_t n_dims;
    int64_t elems = 1;

    if (!gguf_take_u32(c, &n_dims))
        return fail_cut(c, i, err);
    if (n_dims < 1 || n_dims > 4)
        return err_set(err, ERR_MODEL, "tensor \"%s\": %u dimensions (1 to 4 allowed)",
                       t->name, n_dims);
    t->n_dims = (int)n_dims;
    for (uint32_t d = 0; d < 4; d++) {
        uint64_t ne = 1;

        if (d < n_dims && !gguf_take_u64(c, &ne))
            return fail_cut(c, i, err);
        if (ne == 0 || ne > INT64_MAX)
            return err_set(err, ERR_MODEL,
                           "tensor \"%s\": dimension %u is %" PRIu64 ", out of range",
                           t->name, d + 1, ne);
        t->ne[d] = (int64_t)ne;
        if (__builtin_mul_overflow(elems, t->ne[d], &elems))
            return err_set(err, ERR_MODEL, "tensor \"%s\": shape overflows", t->name);
    }
    return true;
}

/* The element type, and with it the size in bytes. */
static bool read_type(struct gguf_tensor *t, struct gguf_cursor *c, size_t i,
                      struct err *err)
{
    uint32_t number;
    size_t rows;

    if (!gguf_take_u32(c, &number))
        return fail_cut(c, i, err);
    t->type = quant_find(number);
    if (t->type == NULL)
        return err_set(err, ERR_MODEL,
                       "tensor \"%s\": element type %u, %s, is not supported", t->name,
                       number, quant_name(number));
    if (t->ne[0] % t->type->block_elems != 0)
        return err_set(err, ERR_MODEL,
                       "tensor \"%s\": rows of %" PRId64 " do not fit %s blocks of %d",
                       t->name, t->ne[0], t->type->name, t->type->block_elems);
    rows = (size_t)t->ne[1] * (size_t)t->ne[2] * (size_t)t->ne[3]; /* <= the elements */
    if (__builtin_mul_overflow((size_t)(t->ne[0] / t->type->block_elems),
                               (size_t)t->type->block_bytes, &t->bytes) ||
        __builtin_mul_overflow(t->bytes, rows, &t->bytes))
        return err_set(err, ERR_MODEL, "tensor \"%s\": size overflows", t->name);
    return true;
}

/* While the data section's start is not known, an entry keeps its offset beside it. */
struct entry {
    uint64_t offset;
    size_t index;
};

/* What follows the name. */
static bool read_entry(struct gguf_tensor *t, struct gguf_cursor *c, size_t i,
                       const struct gguf_table *table, struct entry *entry,
                       struct err *err)
{
    if (!read_dims(t, c, i, err) || !read_type(t, c, i, err))
        return false;
    if (!gguf_take_u64(c, &entry->offset))
        return fail_cut(c, i, err);
    if (entry->offset % table->alignment != 0)
        return err_set(err, ERR_MODEL,
                       "tensor \"%s\": offset %" PRIu64 " is not aligned to %u",
                       t->name, entry->offset, table->alignment);
    t->file = table->file;
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* True where the tensors lie one after the other without gaps but padding: then a file
 * that ends too early was cut, and none of its offsets is to blame. */
static bool is_packed(const struct gguf_tensors *tensors, const struct entry *entry,
                      const struct gguf_table *table)
{
    uint64_t end = 0;

    for (size_t i = 0; i < table->n; i++) {
        if (entry[i].offset < end || entry[i].offset - end >= table->alignment ||
            __builtin_add_overflow(entry[i].offset,
                                   tensors->tensor[entry[i].index].bytes, &end))
            return false;
    }
    return true;
}

static bool fail_past_end(const struct gguf_tensors *tensors, const struct entry *entry,
                          const struct gguf_table *table, size_t file_size,
                          size_t data_size, struct err *err)
{
    const struct entry *last = &entry[table->n - 1];
    uint64_t whole = last->offset + tensors->tensor[last->index].bytes;
    char is[32];
    char should[32];
    size_t i = 0;

    if (is_packed(tensors, entry, table) &&
        !__builtin_add_overflow(whole, file_size - data_size, &whole))
        return err_set(err, ERR_MODEL,
                       "truncated: %s of %s; the last tensor ends at %" PRIu64
                       " of %zu bytes; resume with `hadal pull`",
                       gguf_size_text(is, file_size), gguf_size_text(should, whole),
                       whole, file_size);
    while (entry[i].offset <= data_size &&
           tensors->tensor[entry[i].index].bytes <= data_size - entry[i].offset)
        i++;
    return err_set(err, ERR_MODEL,
                   "tensor \"%s\": data %" PRIu64 "+%zu is past the end of the file "
                   "(%zu bytes of data)",
                   tensors->tensor[entry[i].index].name, entry[i].offset,
                   tensors->tensor[entry[i].index].bytes, data_size);
}

/* Sets the tensors' data; entry is sorted by offset here. */
static bool place_data(struct gguf_tensors *tensors, struct entry *entry,
                       const struct gguf_table *table, const struct gguf_cursor *c,
                       struct err *err)
{
    size_t start = (c->at + table->alignment - 1) & ~(size_t)(table->alignment - 1);
    size_t size = start < c->size ? c->size - start : 0;
    const struct gguf_tensor *before = NULL;
    uint64_t end = 0;

    qsort(entry, table->n, sizeof(*entry), compare_entries);
    for (size_t i = 0; i < table->n; i++) {
        struct gguf_tensor *t = &tensors->tensor[entry[i].index];

        if (entry[i].offset < end)
            return err_set(err, ERR_MODEL, "tensor \"%s\": data overlaps \"%s\"",
                           t->name, before->name);
        if (entry[i].offset > size || t->bytes > size - entry[i].offset)
            return fail_past_end(tensors, entry, table, c->size, size, err);
        t->data = c->data + start + entry[i].offset;
        end = entry[i].offset + t->bytes;
        before = t;
    }
    return true;
}

bool gguf_tensors_read(struct gguf_tensors *tensors, struct gguf_cursor *c,
                       const struct gguf_table *table, struct err *err)
{
    size_t n = tensors->n + table->n;
    struct entry *entry;
    bool ok = false;

    if (table->n == 0)
        return true;
    entry = mem_try(table->n, sizeof(*entry), "the tensor table of a model", err);
    if (entry == NULL)
        return false;
    tensors->tensor =
        mem_grow(tensors->tensor, &tensors->tensor_cap, n, sizeof(*tensors->tensor));
    tensors->name =
        mem_grow(tensors->name, &tensors->name_cap, n, sizeof(*tensors->name));
    for (size_t i = 0; i < table->n; i++) {
        struct gguf_tensor *t = &tensors->tensor[tensors->n];
        char **name = &tensors->name[tensors->n];

        if (!read_name(name, c, i + 1, err))
            goto done;
        memset(t, 0, sizeof(*t));
        t->name = *name;
        entry[i].index = tensors->n++;
        if (!read_entry(t, c, i + 1, table, &entry[i], err))
            goto done;
    }
    ok = place_data(tensors, entry, table, c, err);
done:
    free(entry);
    return ok;
}

bool gguf_tensors_index(struct gguf_tensors *tensors, struct err *err)
{
    struct gguf_index *index = &tensors->index;
    const char *twice;

    if (tensors->n == 0)
        return true;
    index->name =
        mem_try(tensors->n, sizeof(*index->name), "the tensor table of a model", err);
    if (index->name == NULL)
        return false;
    for (index->n = 0; index->n < tensors->n; index->n++) {
        index->name[index->n].text = tensors->name[index->n];
        index->name[index->n].at = index->n;
    }
    twice = gguf_index_sort(index);
    if (twice != NULL)
        return err_set(err, ERR_MODEL, "tensor \"%s\" appears twice", twice);
    return true;
}

const struct gguf_tensor *gguf_tensors_find(const struct gguf_tensors *tensors,
                                            const char *name)
{
    size_t at = gguf_index_find(&tensors->index, name);

    return at == SIZE_MAX ? NULL : &tensors->tensor[at];
}

void gguf_tensors_release(struct gguf_tensors *tensors)
{
    for (size_t i = 0; i < tensors->n; i++)
        free(tensors->name[i]);
    free(tensors->name);
    free(tensors->tensor);
    free(tensors->index.name);
    memset(tensors, 0, sizeof(*tensors));
}
