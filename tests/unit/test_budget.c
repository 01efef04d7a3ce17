/* SPDX-License-Identifier: MIT
 *
 * The context length that memory allows.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "model/budget.h"
#include "tests/test.h"

static const uint64_t mib = 1024 * 1024;

static const struct budget v2_lite = {
    .weights_bytes = (size_t)10000 * 1024 * 1024,
    .token_bytes = 31104,
    .scratch_bytes = (size_t)50 * 1024 * 1024,
};

static struct meminfo memory(uint64_t bytes)
{
    return (struct meminfo){.available_bytes = bytes, .limit = "free memory"};
}

static void fits(void)
{
    struct meminfo mem = memory(16000 * mib);
    struct err err;

    CHECK(budget_check(&v2_lite, &mem, 32768, &err));
    CHECK(budget_reduce(&v2_lite, &mem, 32768) == 32768);
}

/* The message carries the numbers and a context that then does fit. */
static void too_much(void)
{
    struct meminfo mem = memory(512 * mib);
    struct err err;
    const char *remedy;
    int ctx = 0;

    CHECK(!budget_check(&v2_lite, &mem, 131072, &err));
    CHECK(err.kind == ERR_MEMORY);
    CHECK(strstr(err.text, "weights 9.77 GiB") != NULL);
    CHECK(strstr(err.text, "cache 3.80 GiB for 131072 tokens") != NULL);
    CHECK(strstr(err.text, "512.0 MiB available (free memory)") != NULL);
    remedy = strstr(err.text, "--ctx ");
    if (!CHECK(remedy != NULL && sscanf(remedy, "--ctx %d fits", &ctx) == 1))
        return;
    CHECK(ctx > 10000 && ctx < 20000);
    CHECK(budget_check(&v2_lite, &mem, ctx, &err));
    CHECK(!budget_check(&v2_lite, &mem, ctx + 1000, &err));
}

static void nothing_fits(void)
{
    struct meminfo mem = memory(40 * mib);
    struct err err;

    CHECK(!budget_check(&v2_lite, &mem, 1, &err));
    CHECK(strstr(err.text, "--ctx") == NULL);
    CHECK(budget_reduce(&v2_lite, &mem, 32768) == 1);
}

/* The default leaves room for the weights where there is any. */
static void default_leaves_room(void)
{
    struct meminfo mem = memory(11300 * mib);
    struct meminfo less = memory(2000 * mib);
    struct err err;
    int ctx = budget_reduce(&v2_lite, &mem, 1000000);

    CHECK(ctx > 0 && (uint64_t)ctx * v2_lite.token_bytes < 2900 * mib);
    ctx = budget_reduce(&v2_lite, &less, 32768);
    CHECK(ctx > 0 && ctx < 32768);
    CHECK(budget_check(&v2_lite, &less, ctx, &err));
}

static void no_limit_known(void)
{
    struct meminfo mem = memory(UINT64_MAX);
    struct err err;

    CHECK(budget_check(&v2_lite, &mem, INT32_MAX, &err));
    CHECK(budget_reduce(&v2_lite, &mem, 32768) == 32768);
}

static void machine(void)
{
    struct meminfo mem;

    meminfo_read(&mem);
    CHECK(mem.limit != NULL);
    CHECK(mem.available_bytes > 0);
}

int main(int argc, char **argv)
{
    static const struct test_case cases[] = {
        {"fits", fits},
        {"too_much", too_much},
        {"nothing_fits", nothing_fits},
        {"default_leaves_room", default_leaves_room},
        {"no_limit_known", no_limit_known},
        {"machine", machine},
    };

    return test_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
