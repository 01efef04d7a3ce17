/* SPDX-License-Identifier: MIT
 *
 * Import of JSON: hadal's own exports and OpenAI-style messages, whole or a line each;
 * an object with a "mapping" is ChatGPT's and goes on to import_chatgpt.c.
 *
 * A session is {"messages": [{"role", "content", ...}...]} with or without more
 * members; hadal's own has "session", "title", "created_ms" and so on.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "history/import.h"
#include "src/base/mem.h"

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = json_get(object, key);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static int64_t time_of(const cJSON *object, const char *exact, const char *readable)
{
    const cJSON *item = json_get(object, exact);
    int64_t ms;

    if (json_int(item, INT64_MIN, INT64_MAX, &ms))
        return ms;
    return import_time(json_get(object, readable));
}

/* Token ids as record.c packs them; NULL where there are none. */
static int32_t *pack_ids(const cJSON *list, size_t *bytes)
{
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    int32_t *ids;
    int at = 0;

    *bytes = 0;
    if (n <= 0)
        return NULL;
    ids = mem_array((size_t)n, sizeof(*ids));
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        int64_t id;

        if (json_int(item, INT32_MIN, INT32_MAX, &id))
            ids[at++] = (int32_t)id;
    }
    *bytes = (size_t)at * sizeof(*ids);
    return ids;
}

static bool take_message(struct import *im, const char *id, const cJSON *item,
                         struct err *err)
{
    struct history_message m = {.time_ms = time_of(item, "time_ms", "time")};
    char *text = import_text(json_get(item, "content"));
    char *thinking = import_text(json_get(item, "thinking"));
    int32_t *ids = pack_ids(json_get(item, "token_ids"), &m.tokens_len);
    int64_t seed = 0;
    bool ok = true;

    if (thinking == NULL)
        thinking = import_text(json_get(item, "reasoning_content"));
    m.text = text;
    m.len = text == NULL ? 0 : strlen(text);
    m.thinking = thinking;
    m.thinking_len = thinking == NULL ? 0 : strlen(thinking);
    m.model = text_of(item, "model");
    m.stop_reason = text_of(item, "stop_reason");
    m.settings = text_of(item, "settings");
    m.has_seed = json_int(json_get(item, "seed"), 0, INT64_MAX, &seed);
    m.seed = (uint64_t)seed;
    m.tokens = ids;
    if (text != NULL && import_role(text_of(item, "role"), &m.role))
        ok = import_message(im, id, &m, err);
    free(ids);
    free(thinking);
    free(text);
    return ok;
}

static bool take_messages(struct import *im, const struct history_session *session,
                          const cJSON *list, struct err *err)
{
    char id[HISTORY_ID_CAP];
    bool known;

    if (!import_session(im, session, id, &known, err))
        return false;
    for (const cJSON *item = known ? NULL : list->child; item != NULL;
         item = item->next)
        if (!take_message(im, id, item, err))
            return false;
    return true;
}

static bool take_session(struct import *im, const cJSON *object, struct err *err)
{
    const cJSON *messages = json_get(object, "messages");
    struct history_session session = {
        .id = text_of(object, "session"),
        .title = text_of(object, "title"),
        .model = text_of(object, "model"),
        .created_ms = time_of(object, "created_ms", "created"),
    };

    if (cJSON_IsObject(json_get(object, "mapping")))
        return import_chatgpt(im, object, err);
    if (cJSON_IsArray(messages))
        return take_messages(im, &session, messages, err);
    return err_set(err, ERR_USAGE,
                   "'%s': no sessions found; an object has neither \"messages\" nor"
                   " \"mapping\"",
                   im->path);
}

static bool take_document(struct import *im, const cJSON *tree, struct err *err)
{
    const struct history_session nameless = {0};

    if (cJSON_IsObject(tree))
        return take_session(im, tree, err);
    if (!cJSON_IsArray(tree))
        return err_set(err, ERR_USAGE, "'%s': no sessions found", im->path);
    if (tree->child != NULL && json_get(tree->child, "role") != NULL)
        return take_messages(im, &nameless, tree, err);
    for (const cJSON *item = tree->child; item != NULL; item = item->next)
        if (!take_session(im, item, err))
            return false;
    return true;
}

static bool take_text(struct import *im, const char *text, size_t len, struct err *err)
{
    cJSON *tree = json_parse(text, len, im->path, ERR_USAGE, err);
    bool ok = tree != NULL && take_document(im, tree, err);

    cJSON_Delete(tree);
    return ok;
}

/* Whether the first line that is not blank is JSON by itself and another follows. */
static bool is_lines(const char *text, size_t len)
{
    const char *end;
    cJSON *tree;

    while (len > 0 && (*text == '\n' || *text == '\r' || *text == ' ')) {
        text++;
        len--;
    }
    end = memchr(text, '\n', len);
    if (end == NULL || *text != '{')
        return false;
    tree = json_parse(text, (size_t)(end - text), "line", ERR_USAGE, NULL);
    cJSON_Delete(tree);
    return tree != NULL;
}

bool import_json(struct import *im, const char *text, size_t len, struct err *err)
{
    if (!is_lines(text, len))
        return take_text(im, text, len, err);
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end == NULL ? len : (size_t)(end - text);
        size_t used = end == NULL ? len : n + 1;

        if (n > 0 && text[n - 1] == '\r')
            n--;
        if (n > 0 && !take_text(im, text, n, err))
            return false;
        text += used;
        len -= used;
    }
    return true;
}
