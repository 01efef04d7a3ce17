/* SPDX-License-Identifier: MIT
 *
 * Tools for tests of the model: see model_kit.h.
 */
#include "config.h"

#include "tests/model_kit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

enum { MAX_LOGITS = 256, MAX_STEP = 512 };

bool kit_open(struct kit *kit, const char *path, const struct backend_ops *ops)
{
    struct err err = {.text = ""};

    *kit = (struct kit){.decoder = {.ops = ops}};
    kit->gguf = gguf_open(path, &err);
    if (kit->gguf == NULL || !shape_read(&kit->shape, kit->gguf, &err) ||
        !weights_open(&kit->weights, kit->gguf, &kit->shape, &err))
        goto fail;
    kit->decoder.shape = &kit->shape;
    kit->decoder.weights = &kit->weights;
    kit->decoder.be = ops->open(0, &err);
    if (kit->decoder.be == NULL)
        goto fail;
    kit->adopted = ops->adopt(kit->decoder.be, &kit->weights, &kit->shape, &err);
    if (!kit->adopted)
        goto fail;
    return true;
fail:
    FAIL("%s", err.text);
    kit_close(kit);
    return false;
}

void kit_close(struct kit *kit)
{
    if (kit->adopted)
        kit->decoder.ops->disown(kit->decoder.be, &kit->weights);
    if (kit->decoder.be != NULL)
        kit->decoder.ops->close(kit->decoder.be);
    weights_release(&kit->weights);
    shape_release(&kit->shape);
    gguf_close(kit->gguf);
    *kit = (struct kit){.gguf = NULL};
}

bool line_open(struct line *line, const struct kit *kit, enum cache_type cache,
               int max_tokens, int max_rows)
{
    const struct decoder *d = &kit->decoder;
    struct err err = {.text = ""};

    *line = (struct line){.kit = kit, .max_rows = max_rows};
    line->kv = d->ops->kv_open(d->be, &kit->shape, cache, max_tokens, &err);
    if (line->kv != NULL)
        line->forward = forward_open(d, max_rows, MAX_LOGITS, &err);
    if (line->forward == NULL)
        FAIL("%s", err.text);
    return line->forward != NULL;
}

void line_close(struct line *line)
{
    const struct decoder *d = &line->kit->decoder;

    forward_close(line->forward);
    if (line->kv != NULL)
        d->ops->kv_close(d->be, line->kv);
    *line = (struct line){.kit = line->kit};
}

bool line_step(struct line *line, const int32_t *id, int n, struct forward_probe *probe,
               int n_logits, float *out)
{
    int32_t pos[MAX_STEP];
    struct kv *kv[MAX_STEP];
    struct rows rows = {.n = n, .token = id, .pos = pos, .kv = kv};
    struct err err = {.text = ""};

    for (int i = 0; i < n; i++) {
        pos[i] = line->len + i;
        kv[i] = line->kv;
    }
    if (!forward_run(line->forward, &rows, n_logits, NULL, probe, &err) ||
        (n_logits > 0 &&
         !forward_logits(line->forward, n - n_logits, n_logits, out, &err)))
        return FAIL("%s", err.text);
    line->len += n;
    return true;
}

bool line_run(struct line *line, const int32_t *id, int n, float *out)
{
    for (int at = 0; at < n;) {
        int step = n - at < line->max_rows ? n - at : line->max_rows;

        if (!line_step(line, id + at, step, NULL, at + step == n, out))
            return false;
        at += step;
    }
    return true;
}

int32_t argmax(const float *x, int n)
{
    int32_t best = 0;

    for (int32_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

double max_difference(const float *a, const float *b, int n)
{
    double max = 0.0;

    for (int i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);

        if (!(d <= max))
            max = d; /* NaN too */
    }
    return max;
}

double rms_difference(const float *a, const float *b, int n)
{
    double sum = 0.0;

    for (int i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / n);
}

cJSON *expected_open(const char *model)
{
    char name[256];
    const char *path;
    cJSON *root = NULL;
    struct err err = {.text = ""};
    size_t len;
    char *text;

    snprintf(name, sizeof(name), "models/%s/expected.json", model);
    path = test_data(name);
    if (path == NULL) {
        snprintf(name, sizeof(name), "%s/expected.json", model);
        path = test_shared(name);
    }
    if (path == NULL)
        return NULL;
    text = test_read(path, &len);
    if (text != NULL)
        root = json_parse(text, len, path, ERR_IO, &err);
    if (root == NULL)
        FAIL("%s", err.text);
    free(text);
    return root;
}

const cJSON *named(const cJSON *array, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, array)
    {
        const cJSON *text = json_get(item, "name");

        if (cJSON_IsString(text) && strcmp(text->valuestring, name) == 0)
            return item;
    }
    return NULL;
}

float *floats_of(const cJSON *array, int *n)
{
    int len = cJSON_GetArraySize(array);
    float *out = calloc((size_t)len + 1, sizeof(*out));
    const cJSON *item;
    int i = 0;

    cJSON_ArrayForEach(item, array)
    {
        out[i++] = (float)item->valuedouble;
    }
    if (n != NULL)
        *n = len;
    return out;
}

int32_t *ints_of(const cJSON *array, int *n)
{
    int len = cJSON_GetArraySize(array);
    int32_t *out = calloc((size_t)len + 1, sizeof(*out));
    const cJSON *item;
    int i = 0;

    cJSON_ArrayForEach(item, array)
    {
        out[i++] = (int32_t)item->valuedouble;
    }
    if (n != NULL)
        *n = len;
    return out;
}

double number_of(const cJSON *object, const char *key)
{
    const cJSON *item = json_get(object, key);

    if (!cJSON_IsNumber(item)) {
        FAIL("no number '%s'", key);
        return NAN;
    }
    return item->valuedouble;
}

int int_of(const cJSON *object, const char *key)
{
    return (int)number_of(object, key);
}
