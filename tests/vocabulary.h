/* SPDX-License-Identifier: MIT
 *
 * Tokenizers of the fixtures for tests: opened by the name of a vocabulary, and their
 * cases.
 */
#ifndef HADAL_TESTS_VOCABULARY_H
#define HADAL_TESTS_VOCABULARY_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "model/tokenizer.h"
#include "src/base/buf.h"

/* The tokenizer of a file: NAME.gguf, NAME.tokenizer.json, NAME.tokenizer.json.gz, or a
 * model's folder; the name is below the fixtures. NULL when it is not there (*missing)
 * or cannot be opened (then a failure was counted). */
struct tokenizer *vocabulary_open(const char *name, bool *missing);

/* The tokenizer.json of a fixture, with the special tokens of every chat format added
 * to it. NULL when it is not there; failures are counted. */
struct tokenizer *vocabulary_with_added(const char *name);

/* Where a model of the fixtures is, or one of its files ("v3", "tokenizer_cases.json"):
 * some have their tokenizers copied below tests/data. */
void vocabulary_model(const char *model, const char *file, char out[200]);

/* The JSON of a fixture; NULL when it is not there (*missing) or broken. */
cJSON *vocabulary_json(const char *name, bool *missing);

/* The text of a case: "text", or "bytes_b64". */
void vocabulary_text(const cJSON *item, struct buf *out);

/* Compares ids with a JSON list; counts a failure that names `what`. */
bool vocabulary_check_ids(const struct tokens *got, const cJSON *expected,
                          const char *what);

#endif
