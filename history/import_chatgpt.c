/* SPDX-License-Identifier: MIT
 *
 * Import of ChatGPT's conversations.json. A conversation is a tree of nodes by id:
 *
 *   {"title", "create_time", "current_node", "id" or "conversation_id",
 *    "mapping": {id: {"parent": id or null, "message": {"author": {"role"},
 *                "create_time", "content": {"content_type", "parts": [...]},
 *                "metadata": {"model_slug"}} or null}}}
 *
 * The branch shown last is the one that ends in current_node: it is followed up to the
 * root, and stored from there. A file may hold a circle: no more steps are made than
 * there are nodes.
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

static bool take_node(struct import *im, const char *id, const cJSON *node,
                      struct err *err)
{
    const cJSON *message = json_get(node, "message");
    const cJSON *content = json_get(message, "content");
    char *text = import_text(json_get(content, "parts"));
    struct history_message m = {
        .text = text,
        .len = text == NULL ? 0 : strlen(text),
        .model = text_of(json_get(message, "metadata"), "model_slug"),
        .time_ms = import_time(json_get(message, "create_time")),
    };
    bool ok = true;

    if (m.len > 0 && import_role(text_of(json_get(message, "author"), "role"), &m.role))
        ok = import_message(im, id, &m, err);
    free(text);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string,
                  (*(const cJSON *const *)b)->string);
}

/* The nodes of the mapping sorted by id: a branch may have thousands. Owned. */
static const cJSON **sort_nodes(const cJSON *mapping, size_t n)
{
    const cJSON **sorted = mem_array(n + 1, sizeof(*sorted));
    size_t at = 0;

    for (const cJSON *node = mapping->child; node != NULL && at < n; node = node->next)
        sorted[at++] = node;
    qsort(sorted, n, sizeof(*sorted), by_name);
    return sorted;
}

static const cJSON *find_node(const cJSON *const *sorted, size_t n, const char *id)
{
    size_t from = 0;
    size_t to = n;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(id, sorted[middle]->string);

        if (order == 0)
            return sorted[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

/* The nodes from the root to the current one; *n of them, owned. */
static const cJSON **find_branch(const cJSON *chat, size_t *n)
{
    const cJSON *mapping = json_get(chat, "mapping");
    size_t n_nodes = (size_t)cJSON_GetArraySize(mapping);
    const cJSON **sorted = sort_nodes(mapping, n_nodes);
    const cJSON **branch = mem_array(n_nodes + 1, sizeof(*branch));
    const char *at = text_of(chat, "current_node");
    size_t first = n_nodes; /* filled from the end */

    while (at != NULL && first > 0) {
        const cJSON *node = find_node(sorted, n_nodes, at);

        if (node == NULL)
            break;
        branch[--first] = node;
        at = text_of(node, "parent");
    }
    *n = n_nodes - first;
    memmove(branch, branch + first, *n * sizeof(*branch));
    free(sorted);
    return branch;
}

bool import_chatgpt(struct import *im, const cJSON *chat, struct err *err)
{
    const char *theirs = text_of(chat, "conversation_id");
    struct history_session session = {
        .id = theirs != NULL ? theirs : text_of(chat, "id"),
        .title = text_of(chat, "title"),
        .created_ms = import_time(json_get(chat, "create_time")),
    };
    char id[HISTORY_ID_CAP];
    const cJSON **branch;
    size_t n;
    bool known;
    bool ok = import_session(im, &session, id, &known, err);

    if (!ok || known)
        return ok;
    branch = find_branch(chat, &n);
    for (size_t i = 0; ok && i < n; i++)
        ok = take_node(im, id, branch[i], err);
    free(branch);
    return ok;
}
