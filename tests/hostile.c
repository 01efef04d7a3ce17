/* SPDX-License-Identifier: MIT
 *
 * The hostile set: see hostile.h. manifest.json keeps most cases as edits of
 * control_ok.gguf: [offset in the original, bytes taken out, bytes put in as hex].
 */
#include "tests/hostile.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "tests/test.h"

/* The manifest of the running hostile_each. */
static cJSON *manifest;

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static const cJSON *find_case(const char *name)
{
    const cJSON *rec;

    cJSON_ArrayForEach(rec, cJSON_GetObjectItemCaseSensitive(manifest, "cases"))
    {
        if (strcmp(text_of(rec, "name"), name) == 0)
            return rec;
    }
    return NULL;
}

static int hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Bytes [from, to) of the original are kept. */
static void keep(struct hostile_case *c, const char *original, size_t from, size_t to)
{
    memcpy(c->data + c->len, original + from, to - from);
    c->len += to - from;
}

static void apply_edits(struct hostile_case *c, const cJSON *edits,
                        const char *original, size_t len)
{
    size_t room = len;
    size_t at = 0;
    const cJSON *edit;

    cJSON_ArrayForEach(edit, edits) room +=
        strlen(cJSON_GetArrayItem(edit, 2)->valuestring) / 2;
    c->data = malloc(room);
    c->len = 0;
    cJSON_ArrayForEach(edit, edits)
    {
        size_t from = (size_t)cJSON_GetArrayItem(edit, 0)->valuedouble;
        const char *hex = cJSON_GetArrayItem(edit, 2)->valuestring;

        keep(c, original, at, from);
        for (; hex[0] != '\0'; hex += 2)
            c->data[c->len++] = (char)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
        at = from + (size_t)cJSON_GetArrayItem(edit, 1)->valuedouble;
    }
    keep(c, original, at, len);
}

static void run_case(const cJSON *rec, const char *original, size_t len,
                     void (*fn)(const struct hostile_case *c))
{
    const cJSON *splice = cJSON_GetObjectItemCaseSensitive(rec, "splice");
    struct hostile_case c = {0};
    char path[256];

    c.name = text_of(rec, "name");
    c.family = text_of(rec, "family");
    c.what = text_of(cJSON_GetObjectItemCaseSensitive(rec, "expect"), "class");
    snprintf(path, sizeof(path), "hostile/%s", text_of(rec, "model"));
    if (splice == NULL)
        c.path = test_data(path);
    else
        apply_edits(&c, cJSON_GetObjectItemCaseSensitive(splice, "edits"), original,
                    len);
    if (c.path != NULL || c.data != NULL)
        fn(&c);
    else
        FAIL("%s is missing", path);
    free(c.data);
}

void hostile_each(void (*fn)(const struct hostile_case *c))
{
    char *text = test_read(test_data("hostile/manifest.json"), NULL);
    size_t len = 0;
    char *original = test_read(test_data("hostile/control_ok.gguf"), &len);
    const cJSON *rec;

    manifest = text == NULL ? NULL : cJSON_Parse(text);
    free(text);
    if (manifest == NULL || original == NULL) {
        FAIL("the hostile set cannot be read");
        goto done;
    }
    cJSON_ArrayForEach(rec, cJSON_GetObjectItemCaseSensitive(manifest, "cases"))
    {
        if (strstr(text_of(rec, "model"), ".gguf") != NULL)
            run_case(rec, original, len, fn);
    }
done:
    cJSON_Delete(manifest);
    manifest = NULL;
    free(original);
}

/* The pattern with {BIG} and {TRUNC} written out. Words of the manifest. */
static void expand(char *out, size_t size, const char *pattern)
{
    const cJSON *words = cJSON_GetObjectItemCaseSensitive(manifest, "words");
    size_t len = 0;

    out[0] = '\0';
    while (*pattern != '\0' && len + 1 < size) {
        const char *word = NULL;

        if (strncmp(pattern, "{BIG}", 5) == 0)
            word = text_of(words, "BIG");
        else if (strncmp(pattern, "{TRUNC}", 7) == 0)
            word = text_of(words, "TRUNC");
        if (word != NULL) {
            len += (size_t)snprintf(out + len, size - len, "%s", word);
            pattern = strchr(pattern, '}') + 1;
        } else {
            out[len++] = *pattern++;
            out[len] = '\0';
        }
    }
}

bool hostile_is_named(const struct hostile_case *c, const char *text)
{
    const cJSON *rec = find_case(c->name);
    const char *pattern =
        text_of(cJSON_GetObjectItemCaseSensitive(rec, "expect"), "stderr_any");
    char expanded[2048];
    regex_t regex;
    bool found;

    if (pattern == NULL)
        return true;
    expand(expanded, sizeof(expanded), pattern);
    if (regcomp(&regex, expanded, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
        return FAIL("%s: pattern \"%s\" is not understood", c->name, expanded);
    found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}
