/* SPDX-License-Identifier: MIT
 *
 * JSON: a strict reading layer over cJSON, and a small writer.
 *
 * cJSON alone accepts duplicate keys, trailing text, broken UTF-8, numbers that
 * overflow, and cuts strings at an escaped NUL; json_parse refuses all of these. This
 * is the only module that parses JSON; trees are walked with cJSON's own calls
 * (cJSON_GetObjectItemCaseSensitive; large objects through ->next).
 */
#ifndef HADAL_BASE_JSON_H
#define HADAL_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/buf.h"
#include "src/base/err.h"

/* Parses text[0..len). NULL with err of the given kind, whose text begins with `what`
 * and says where: "messages.json: duplicate key \"role\"". Free with cJSON_Delete. */
cJSON *json_parse(const char *text, size_t len, const char *what, enum err_kind kind,
                  struct err *err) MUST_USE;

/* The member, or NULL. Case matters. */
const cJSON *json_get(const cJSON *object, const char *key);

/* True, and the value, when the item is a number that is exactly this integer and in
 * [min, max]. */
bool json_int(const cJSON *item, int64_t min, int64_t max, int64_t *out);

/* Writing: builds text in a buf. Commas and quotes are the writer's; the caller keeps
 * begin and end in pairs. Text that is not UTF-8 is written with U+FFFD, so that the
 * output is always valid JSON. */
struct json_writer {
    struct buf *out;
    bool need_comma;
};

void json_begin(struct json_writer *w, struct buf *out);
void json_object(struct json_writer *w);      /* { */
void json_end_object(struct json_writer *w);  /* } */
void json_array(struct json_writer *w);       /* [ */
void json_end_array(struct json_writer *w);   /* ] */
void json_key(struct json_writer *w, const char *key);
void json_text(struct json_writer *w, const char *text);  /* NULL writes null */
void json_text_n(struct json_writer *w, const char *text, size_t len);
void json_integer(struct json_writer *w, int64_t value);
void json_unsigned(struct json_writer *w, uint64_t value);
void json_number(struct json_writer *w, double value);    /* null where not finite */
void json_float(struct json_writer *w, float value);      /* 9 digits: exact for float */
void json_bool(struct json_writer *w, bool value);
void json_null(struct json_writer *w);
void json_raw(struct json_writer *w, const char *json, size_t len); /* already JSON */

#endif
