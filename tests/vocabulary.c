/* SPDX-License-Identifier: MIT
 *
 * Vocabularies for tests: see vocabulary.h.
 */
#include "config.h"

#include "tests/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/json.h"
#include "tests/test.h"

static bool ends_with(const char *text, const char *tail)
{
    size_t n = strlen(text);
    size_t m = strlen(tail);

    return n >= m && strcmp(text + n - m, tail) == 0;
}

/* The bytes of a file, unpacked by gzip where its name says so. */
static bool read_unpacked(const char *path, struct buf *out)
{
    struct err err;
    char command[4200];
    FILE *pipe;
    bool ok;

    if (!ends_with(path, ".gz"))
        return file_read(path, ERR_IO, out, &err);
    snprintf(command, sizeof(command), "gzip -dc '%s'", path);
    pipe = popen(command, "r");
    if (pipe == NULL)
        return false;
    ok = file_read_fd(fileno(pipe), path, out, &err);
    return pclose(pipe) == 0 && ok;
}

/* The text of a tokenizer.json becomes a folder for the moment. */
static struct tokenizer *open_text(const char *text, size_t len, struct err *err)
{
    char folder[] = "/tmp/hadal-test-XXXXXX";
    char file[64];
    struct tokenizer *t = NULL;

    if (mkdtemp(folder) == NULL)
        return NULL;
    snprintf(file, sizeof(file), "%s/tokenizer.json", folder);
    if (file_replace(file, text, len, err))
        t = tokenizer_open_folder(folder, err);
    unlink(file);
    rmdir(folder);
    return t;
}

static struct tokenizer *open_json(const char *path, struct err *err)
{
    struct buf text;
    struct tokenizer *t = NULL;

    buf_init(&text, 64 << 20);
    if (read_unpacked(path, &text))
        t = open_text(buf_text(&text), text.len, err);
    buf_release(&text);
    return t;
}

static struct tokenizer *open_gguf(const char *path, struct err *err)
{
    struct gguf *g = gguf_open(path, err);
    struct tokenizer *t = g == NULL ? NULL : tokenizer_open_gguf(g, 0, err);

    gguf_close(g);
    return t;
}

struct tokenizer *vocabulary_open(const char *name, bool *missing)
{
    const char *path = name[0] == '/' || name[0] == '\0' ? name : test_fixture(name);
    struct err err = {.text = "cannot be read"};
    struct tokenizer *t;

    *missing = path == NULL || access(path, R_OK) != 0;
    if (*missing)
        return NULL;
    if (ends_with(path, ".gguf"))
        t = open_gguf(path, &err);
    else if (ends_with(path, ".json") || ends_with(path, ".gz"))
        t = open_json(path, &err);
    else
        t = tokenizer_open_folder(path, &err);
    if (t == NULL)
        FAIL("%s: %s", name, err.text);
    return t;
}

static void add_token(cJSON *list, const char *text, int id)
{
    cJSON *token = cJSON_CreateObject();

    cJSON_AddNumberToObject(token, "id", id);
    cJSON_AddStringToObject(token, "content", text);
    cJSON_AddBoolToObject(token, "special", true);
    cJSON_AddItemToArray(list, token);
}

struct tokenizer *vocabulary_with_added(const char *name)
{
    static const char *const more[] = {
        "<|im_system|>", "<|im_user|>",  "<|im_assistant|>", "<|im_middle|>",
        "<|im_end|>",    "[EOS]",        "[gMASK]",          "<sop>",
        "<|system|>",    "<|user|>",     "<|assistant|>",    "<|observation|>",
        "<|im_start|>",  "<｜System｜>", "<|endoftext|>",    "<|EOT|>",
        "<think>",       "</think>"};
    bool missing;
    cJSON *json = vocabulary_json(name, &missing);
    cJSON *added = cJSON_GetObjectItemCaseSensitive(json, "added_tokens");
    struct err err = {.text = ""};
    struct tokenizer *t = NULL;
    int id = 1000; /* beyond the plain tokens of the small vocabularies */
    char *text;

    if (json == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        const cJSON *item;
        bool there = false;

        cJSON_ArrayForEach(item, added) there =
            there || strcmp(json_get(item, "content")->valuestring, more[i]) == 0;
        if (!there)
            add_token(added, more[i], id++);
    }
    text = cJSON_PrintUnformatted(json);
    t = open_text(text, strlen(text), &err);
    if (t == NULL)
        FAIL("%s: %s", name, err.text);
    free(text);
    cJSON_Delete(json);
    return t;
}

void vocabulary_model(const char *model, const char *file, char out[200])
{
    snprintf(out, 200, "tokenizer/models/%s/%s", model, file);
    if (test_data(out) == NULL)
        snprintf(out, 200, "%s/%s", model, file);
}

cJSON *vocabulary_json(const char *name, bool *missing)
{
    const char *path = test_fixture(name);
    struct err err;
    size_t len;
    char *text;
    cJSON *json;

    *missing = path == NULL;
    if (*missing)
        return NULL;
    text = test_read(path, &len);
    if (text == NULL)
        return NULL;
    json = json_parse(text, len, name, ERR_FAILED, &err);
    if (json == NULL)
        FAIL("%s", err.text);
    free(text);
    return json;
}

static void add_base64(struct buf *out, const char *text)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned value = 0;
    int n_bits = 0;

    for (; *text != '\0' && *text != '='; text++) {
        value = value << 6 | (unsigned)(strchr(digits, *text) - digits);
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            buf_add_char(out, (char)(value >> n_bits & 0xFF));
        }
    }
}

void vocabulary_text(const cJSON *item, struct buf *out)
{
    const cJSON *text = json_get(item, "text");

    buf_clear(out);
    if (cJSON_IsString(text))
        buf_add_text(out, text->valuestring);
    else
        add_base64(out, json_get(item, "bytes_b64")->valuestring);
}

bool vocabulary_check_ids(const struct tokens *got, const cJSON *expected,
                          const char *what)
{
    size_t i = 0;
    const cJSON *id;

    cJSON_ArrayForEach(id, expected)
    {
        if (i >= got->len || got->id[i] != id->valueint)
            return FAIL("%s: token %zu is %d, expected %d", what, i,
                        i < got->len ? (int)got->id[i] : -1, id->valueint);
        i++;
    }
    if (i != got->len)
        return FAIL("%s: %zu tokens, expected %zu", what, got->len, i);
    return true;
}
