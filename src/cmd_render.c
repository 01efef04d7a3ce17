/* SPDX-License-Identifier: MIT
 *
 * hadal render: the exact prompt text that a conversation becomes.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/tokens.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/mem.h"
#include "src/command.h"
#include "src/model_open.h"
#include "src/output.h"

enum { INPUT_MAX_BYTES = 64 << 20 };

static const char source[] = "standard input";

/* ---- the request ---- */

static bool read_role(const cJSON *item, enum role *role, struct err *err)
{
    const char *name = cJSON_IsString(item) ? item->valuestring : "?";

    return role_find(name, role) ||
           err_set(err, ERR_USAGE, "%s: role '%s' is none of system, user, assistant",
                   source, name);
}

/* The text of a member; absent and null are no text. */
static bool read_text(const cJSON *object, const char *key, const char **text,
                      size_t *len, struct err *err)
{
    const cJSON *item = json_get(object, key);

    if (item == NULL || cJSON_IsNull(item))
        return true;
    if (!cJSON_IsString(item))
        return err_set(err, ERR_USAGE, "%s: \"%s\" is no text", source, key);
    *text = item->valuestring;
    *len = strlen(item->valuestring);
    return true;
}

static bool read_message(const cJSON *item, struct message *msg, struct err *err)
{
    *msg = (struct message){.text = ""};
    if (!cJSON_IsObject(item))
        return err_set(err, ERR_USAGE, "%s: a message is no object", source);
    if (json_get(item, "tool_calls") != NULL)
        return err_set(err, ERR_USAGE, "%s: tool calls are not supported", source);
    if (json_get(item, "content") == NULL)
        return err_set(err, ERR_USAGE, "%s: a message has no \"content\"", source);
    return read_role(json_get(item, "role"), &msg->role, err) &&
           read_text(item, "content", &msg->text, &msg->len, err) &&
           read_text(item, "reasoning_content", &msg->thinking, &msg->thinking_len,
                     err) &&
           read_text(item, "thinking", &msg->thinking, &msg->thinking_len, err);
}

static bool read_bool(const cJSON *object, const char *key, bool *value, bool *given,
                      struct err *err)
{
    const cJSON *item = json_get(object, key);

    *given = item != NULL && !cJSON_IsNull(item);
    if (*given && !cJSON_IsBool(item))
        return err_set(err, ERR_USAGE, "%s: \"%s\" is neither true nor false", source,
                       key);
    if (*given)
        *value = cJSON_IsTrue(item);
    return true;
}

/* Fills req; its messages (in *msg, owned by the caller) borrow from root. */
static bool read_request(const cJSON *root, struct chat_request *req,
                         struct message **msg, struct err *err)
{
    const cJSON *list = json_get(root, "messages");
    bool thinking = false;
    bool given;

    if (!cJSON_IsArray(list))
        return err_set(err, ERR_USAGE, "%s: \"messages\" is no array", source);
    *msg = mem_array((size_t)cJSON_GetArraySize(list) + 1, sizeof(**msg));
    for (const cJSON *item = list->child; item != NULL; item = item->next)
        if (!read_message(item, &(*msg)[req->n++], err))
            return false;
    req->msg = *msg;
    req->add_generation_prompt = true;
    if (!read_bool(root, "add_generation_prompt", &req->add_generation_prompt, &given,
                   err) ||
        !read_bool(root, "thinking", &thinking, &given, err))
        return false;
    if (given)
        req->think = thinking ? THINK_ON : THINK_OFF;
    return true;
}

/* ---- the answer ---- */

static bool write_json(const struct engine *engine, const struct buf *text,
                       const struct tokens *ids, struct err *err)
{
    struct json_writer w;
    struct buf out;
    bool ok;

    buf_init(&out, BUF_UNLIMITED);
    json_begin(&w, &out);
    json_object(&w);
    json_key(&w, "format");
    json_text(&w, engine_info(engine)->chat_format);
    json_key(&w, "text");
    json_text_n(&w, buf_text(text), text->len);
    json_key(&w, "token_ids");
    json_array(&w);
    for (size_t i = 0; i < ids->len; i++)
        json_integer(&w, ids->id[i]);
    json_end_array(&w);
    json_end_object(&w);
    buf_add_char(&out, '\n');
    ok = output_write_text(out.data, out.len, err);
    buf_release(&out);
    return ok;
}

static bool render(const struct options *opt, const struct engine *engine,
                   const cJSON *root, struct err *err)
{
    const struct engine_info *info = engine_info(engine);
    enum chat_format format = engine_chat_format(engine);
    struct chat_request req = {.think = (enum think_mode)opt->think};
    struct message *msg = NULL;
    struct tokens ids = {0};
    struct buf text;
    bool ok = false;

    buf_init(&text, BUF_UNLIMITED);
    if (!read_request(root, &req, &msg, err))
        goto done;
    if (format == CHAT_NONE) {
        err_set(err, ERR_MODEL, "%s: %s; name one with --chat-format", info->path,
                info->chat_note != NULL ? info->chat_note : "no known chat format");
        goto done;
    }
    ok = chat_render(format, engine_tokenizer(engine), &req, &ids, &text, err) &&
         (opt->json ? write_json(engine, &text, &ids, err)
                    : output_write_text(buf_text(&text), text.len, err));
done:
    free(msg);
    tokens_release(&ids);
    buf_release(&text);
    return ok;
}

bool cmd_render(const struct options *opt, struct err *err)
{
    struct engine *engine = model_open(opt, MODEL_VOCABULARY, err);
    cJSON *root = NULL;
    struct buf input;
    bool ok = false;

    buf_init(&input, INPUT_MAX_BYTES);
    if (engine != NULL && file_read_fd(STDIN_FILENO, source, &input, err))
        root = json_parse(buf_text(&input), input.len, source, ERR_USAGE, err);
    if (root != NULL)
        ok = render(opt, engine, root, err);
    cJSON_Delete(root);
    buf_release(&input);
    engine_close(engine);
    return ok;
}
