/* SPDX-License-Identifier: MIT
 *
 * Memory for a timeline: see budget.h.
 */
#include "config.h"

#include "model/budget.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

/* Left for the rest of the program: tokenizer, history, the terminal. */
#define RESERVE_BYTES ((uint64_t)16 << 20)
#define CTX_STEP 256 /* suggestions are multiples of this */

/* "1.50 GiB", "20.0 MiB". */
static const char *size_text(char out[32], uint64_t bytes)
{
    double mib = (double)bytes / (1024.0 * 1024.0);

    if (mib < 1024.0)
        snprintf(out, 32, "%.1f MiB", mib);
    else
        snprintf(out, 32, "%.2f GiB", mib / 1024.0);
    return out;
}

/* What may be used: never quite all, since others allocate too. */
static uint64_t usable(uint64_t available)
{
    uint64_t reserve = RESERVE_BYTES + available / 16;

    return available > reserve ? available - reserve : 0;
}

/* The largest context within this many bytes. */
static int fitting(const struct budget *b, uint64_t bytes)
{
    uint64_t n;

    if (bytes <= b->scratch_bytes)
        return 0;
    n = (bytes - b->scratch_bytes) / b->token_bytes;
    if (n > CTX_STEP)
        n -= n % CTX_STEP;
    return n > INT_MAX ? INT_MAX : (int)n;
}

bool budget_check(const struct budget *b, const struct meminfo *mem, int ctx_tokens,
                  struct err *err)
{
    uint64_t room = usable(mem->available_bytes);
    uint64_t cache = (uint64_t)ctx_tokens * b->token_bytes;
    int fits = fitting(b, room);
    char remedy[64] = "use a smaller model";
    char size[4][32];

    if (cache + b->scratch_bytes <= room)
        return true;
    if (fits > 0)
        snprintf(remedy, sizeof(remedy), "--ctx %d fits", fits);
    return err_set(err, ERR_MEMORY,
                   "not enough memory: weights %s, cache %s for %d tokens, scratch %s; "
                   "%s available (%s); %s",
                   size_text(size[0], b->weights_bytes), size_text(size[1], cache),
                   ctx_tokens, size_text(size[2], b->scratch_bytes),
                   size_text(size[3], mem->available_bytes), mem->limit, remedy);
}

int budget_reduce(const struct budget *b, const struct meminfo *mem, int wanted)
{
    uint64_t room = usable(mem->available_bytes);
    uint64_t beside = room > b->weights_bytes ? room - b->weights_bytes : 0;
    int fits;

    /* Weights larger than memory are read from the disk again and again anyway. */
    fits = fitting(b, beside > room / 4 ? beside : room / 4);
    if (fits >= wanted)
        return wanted;
    return fits > 0 ? fits : 1;
}
