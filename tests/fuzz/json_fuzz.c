/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: JSON. What is accepted must be accepted again when it is written; any
 * bytes, written as a string, must be read back as their repaired text.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/json.h"
#include "src/base/utf8.h"
#include "tests/fuzz/fuzz.h"

#define MAX_BYTES ((size_t)1 << 22)

static void demand(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "json_fuzz: %s\n", what);
    abort();
}

static void read_again(const cJSON *tree)
{
    struct err err = {.text = ""};
    char *text = cJSON_PrintUnformatted(tree);
    cJSON *again = json_parse(text, strlen(text), "again", ERR_FAILED, &err);

    demand(again != NULL, err.text);
    cJSON_Delete(again);
    free(text);
}

static void write_text(const char *text, size_t len)
{
    struct json_writer w;
    struct buf out;
    struct buf repaired;
    struct err err = {.text = ""};
    cJSON *tree;

    buf_init(&out, 8 * MAX_BYTES);
    buf_init(&repaired, 3 * MAX_BYTES);
    json_begin(&w, &out);
    json_text_n(&w, text, len);
    tree = json_parse(buf_text(&out), out.len, "text", ERR_FAILED, &err);
    utf8_repair(&repaired, text, len);
    if (memchr(text, '\0', len) != NULL) /* \u0000, which cJSON cannot hold */
        demand(tree == NULL, "NUL accepted");
    else
        demand(tree != NULL && strcmp(tree->valuestring, buf_text(&repaired)) == 0,
               "a text is read back as another");
    cJSON_Delete(tree);
    buf_release(&out);
    buf_release(&repaired);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {.text = ""};
    cJSON *tree;

    if (size > MAX_BYTES)
        return 0;
    tree = json_parse((const char *)data, size, "fuzz.json", ERR_FAILED, &err);
    if (tree != NULL)
        read_again(tree);
    else
        demand(strncmp(err.text, "fuzz.json: ", 11) == 0, err.text);
    cJSON_Delete(tree);
    if (size > 0)
        write_text((const char *)data, size);
    return 0;
}
