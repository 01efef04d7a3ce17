/* SPDX-License-Identifier: MIT
 *
 * What tests of the model need: a decoder over one back end without tokenizer and
 * engine, a timeline on it, and the expectations of the fixtures as arrays.
 */
#ifndef HADAL_TESTS_MODEL_KIT_H
#define HADAL_TESTS_MODEL_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/backend.h"
#include "model/forward.h"
#include "src/base/json.h"

struct kit {
    struct gguf *gguf;
    struct shape shape;
    struct weights weights;
    struct decoder decoder;
    bool adopted;
};

/* False, and a failure counted, when the model cannot be opened. */
bool kit_open(struct kit *kit, const char *path, const struct backend_ops *ops);
void kit_close(struct kit *kit);

/* One timeline: evaluates tokens after those that it has. */
struct line {
    const struct kit *kit;
    struct forward *forward;
    struct kv *kv;
    int len;
    int max_rows;
};

/* Room for max_tokens, at most max_rows a step. */
bool line_open(struct line *line, const struct kit *kit, enum cache_type cache,
               int max_tokens, int max_rows);
void line_close(struct line *line);

/* One step of n <= max_rows tokens; logits of the last n_logits of them go to out
 * [n_logits][vocab] (n_logits may be 0). */
bool line_step(struct line *line, const int32_t *id, int n, struct forward_probe *probe,
               int n_logits, float *out);

/* All tokens in steps of max_rows; the last one's logits. */
bool line_run(struct line *line, const int32_t *id, int n, float *out);

int32_t argmax(const float *x, int n);
double max_difference(const float *a, const float *b, int n);
double rms_difference(const float *a, const float *b, int n);

/* expected.json of a model folder, or NULL (skip). Free with cJSON_Delete. */
cJSON *expected_open(const char *model);
/* The member of an array whose "name" is this. */
const cJSON *named(const cJSON *array, const char *name);
/* Number arrays; free(). *n may be NULL. */
float *floats_of(const cJSON *array, int *n);
int32_t *ints_of(const cJSON *array, int *n);
double number_of(const cJSON *object, const char *key);
int int_of(const cJSON *object, const char *key);

#endif
