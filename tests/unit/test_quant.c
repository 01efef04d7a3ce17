/* SPDX-License-Identifier: MIT
 *
 * model/quant: every type against the values that gguf-py reads from the same blocks
 * (tests/data/quant-blocks), bit for bit; half floats over their whole range.
 */
#include "config.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "model/quant.h"
#include "tests/test.h"

/* The fixture: its index, the file of blocks, and where its data section begins. */
struct blocks {
    cJSON *index;
    char *file, *values;
    size_t file_len, values_len;
    size_t data_start;
    int rows, cols;
};

static int number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsNumber(item) ? (int)item->valuedouble : -1;
}

static size_t padded(size_t bytes)
{
    return (bytes + 31) & ~(size_t)31;
}

static size_t tensor_bytes(const struct blocks *b, const cJSON *t)
{
    return (size_t)(b->rows * b->cols / number(t, "block")) *
           (size_t)number(t, "block_bytes");
}

static void blocks_close(struct blocks *b)
{
    cJSON_Delete(b->index);
    free(b->file);
    free(b->values);
}

/* The tensors lie one after the other up to the end of the file, each padded to 32. */
static bool blocks_open(struct blocks *b)
{
    size_t total = 0;
    char *text;
    const cJSON *t;

    memset(b, 0, sizeof(*b));
    text = test_read(test_fixture("quant-blocks/index.json"), NULL);
    b->index = text == NULL ? NULL : cJSON_Parse(text);
    free(text);
    b->file = test_read(test_fixture("quant-blocks/blocks.gguf"), &b->file_len);
    b->values = test_read(test_fixture("quant-blocks/values.f32"), &b->values_len);
    if (!CHECK(b->index != NULL && b->file != NULL && b->values != NULL))
        return false;
    b->rows = number(b->index, "rows");
    b->cols = number(b->index, "cols");
    cJSON_ArrayForEach(t, cJSON_GetObjectItemCaseSensitive(b->index, "tensors"))
        total += padded(tensor_bytes(b, t));
    b->data_start = b->file_len - total;
    return CHECK(b->file_len > total);
}

static void check_tensor(const struct blocks *b, const cJSON *t, size_t at)
{
    const struct quant_type *type = quant_find((uint32_t)number(t, "type_id"));
    size_t n = (size_t)(b->rows * b->cols);
    const char *want = b->values + (size_t)number(t, "offset") * sizeof(float);
    const char *name = cJSON_GetObjectItemCaseSensitive(t, "type")->valuestring;
    float *got;

    if (strcmp(quant_name((uint32_t)number(t, "type_id")), name) != 0)
        FAIL("type %s is called %s", name, quant_name((uint32_t)number(t, "type_id")));
    if (type == NULL)
        return;
    CHECK(strcmp(type->name, name) == 0);
    CHECK(type->block_elems == number(t, "block"));
    CHECK(type->block_bytes == number(t, "block_bytes"));
    got = calloc(n, sizeof(float));
    for (int r = 0; r < b->rows; r++) {
        size_t row = quant_row_bytes(type, b->cols) * (size_t)r;

        type->to_f32(b->file + b->data_start + at + row, got + r * b->cols, b->cols);
    }
    if (memcmp(got, want, n * sizeof(float)) != 0)
        FAIL("%s differs from the reference", name);
    free(got);
}

static void test_values(void)
{
    struct blocks b;
    const cJSON *t;
    size_t at = 0;
    int n_known = 0;

    if (blocks_open(&b)) {
        cJSON_ArrayForEach(t, cJSON_GetObjectItemCaseSensitive(b.index, "tensors"))
        {
            check_tensor(&b, t, at);
            at += padded(tensor_bytes(&b, t));
            n_known += quant_find((uint32_t)number(t, "type_id")) != NULL;
        }
        CHECK(n_known == 14);
    }
    blocks_close(&b);
}

static void test_half(void)
{
    static const struct {
        float f;
        uint16_t h;
    } cases[] = {
        {0.0f, 0x0000},          {-0.0f, 0x8000},      {1.0f, 0x3c00},
        {-2.0f, 0xc000},         {65504.0f, 0x7bff},   {65519.99f, 0x7bff},
        {65520.0f, 0x7c00},      {1e30f, 0x7c00},      {-INFINITY, 0xfc00},
        {0x1p-24f, 0x0001},      {0x1p-25f, 0x0000},   {0x1.8p-25f, 0x0001},
        {0x1.000002p-25f, 1},    {0x1p-14f, 0x0400},   {0x1.ff8p-15f, 0x03ff},
        {0x1.ffcp-15f, 0x0400},  {0x1.002p0f, 0x3c00}, {0x1.006p0f, 0x3c02},
        {0x1.002002p0f, 0x3c01}, {0x1.8p-24f, 0x0002}, {0x1.4p-23f, 0x0002},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (quant_f32_to_f16(cases[i].f) != cases[i].h)
            FAIL("%a gives %04x, expected %04x", (double)cases[i].f,
                 quant_f32_to_f16(cases[i].f), cases[i].h);
    }
    for (uint32_t h = 0; h < 65536; h++) {
        float f = quant_f16_to_f32((uint16_t)h);

        if ((h & 0x7c00) == 0x7c00 && (h & 0x3ff) != 0)
            CHECK(isnan(f) && isnan(quant_f16_to_f32(quant_f32_to_f16(f))));
        else if (quant_f32_to_f16(f) != h)
            FAIL("half %04x comes back as %04x", h, quant_f32_to_f16(f));
    }
}

static void test_table(void)
{
    CHECK(quant_find(4) == NULL);
    CHECK(quant_find(200) == NULL);
    CHECK(quant_find(UINT32_MAX) == NULL);
    CHECK(strcmp(quant_name(4), "Q4_2 (removed)") == 0);
    CHECK(strcmp(quant_name(39), "MXFP4") == 0);
    CHECK(strcmp(quant_name(41), "unknown") == 0);
    CHECK(quant_find(TYPE_I32) != NULL && quant_find(TYPE_I32)->to_f32 == NULL);
    CHECK(quant_row_bytes(quant_find(TYPE_Q4_K), 512) == 288);
    CHECK(quant_bf16_to_f32(0x3fc0) == 1.5f);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"values", test_values},
        {"half", test_half},
        {"table", test_table},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
