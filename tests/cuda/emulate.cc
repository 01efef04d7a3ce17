/* SPDX-License-Identifier: MIT
 *
 * The scheduler of emulated CUDA blocks: see emulate.h.
 */
#include "tests/cuda/emulate.h"

#include <ucontext.h>
#include <vector>

extern "C" {
#include "model/quant.h"
}

dim3 blockIdx, blockDim, threadIdx;

namespace {
enum { STACK_BYTES = 64 * 1024, LANES = 32 };

struct barrier {
    int waiting, generation;
};

struct fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool done;
};

struct block {
    std::vector<fiber> fibers;
    std::vector<barrier> warp_barrier;
    std::vector<float> slot; /* a value a thread, for shuffles */
    barrier all;
    ucontext_t scheduler;
    const std::function<void()> *body;
    int current, n;
};

struct block the_block;

void yield_fiber()
{
    struct block &b = the_block;

    swapcontext(&b.fibers[b.current].context, &b.scheduler);
}

void wait_at(struct barrier *at, int n)
{
    int generation = at->generation;

    if (++at->waiting == n) {
        at->waiting = 0;
        at->generation++;
        return;
    }
    while (at->generation == generation)
        yield_fiber();
}

void enter_fiber()
{
    struct block &b = the_block;

    (*b.body)();
    b.fibers[b.current].done = true;
    yield_fiber();
}

void start_fibers(int n)
{
    struct block &b = the_block;

    b.n = n;
    b.fibers.resize(n);
    b.slot.assign(n, 0.0f);
    b.all = {0, 0};
    b.warp_barrier.assign((n + LANES - 1) / LANES, {0, 0});
    for (int i = 0; i < n; i++) {
        struct fiber &f = b.fibers[i];

        f.stack.resize(STACK_BYTES);
        f.done = false;
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack.data();
        f.context.uc_stack.ss_size = STACK_BYTES;
        f.context.uc_link = NULL;
        makecontext(&f.context, enter_fiber, 0);
    }
}

void run_block(int n)
{
    struct block &b = the_block;
    bool alive = true;

    start_fibers(n);
    while (alive) {
        alive = false;
        for (int i = 0; i < n; i++) {
            if (b.fibers[i].done)
                continue;
            alive = true;
            b.current = i;
            threadIdx = dim3((unsigned)i, 0, 0);
            swapcontext(&b.scheduler, &b.fibers[i].context);
        }
    }
}
} // namespace

void __syncthreads(void)
{
    wait_at(&the_block.all, the_block.n);
}

float __shfl_xor_sync(unsigned mask, float value, int lane_mask)
{
    struct block &b = the_block;
    int me = b.current, warp = me / LANES;
    float result;

    (void)mask;
    b.slot[me] = value;
    wait_at(&b.warp_barrier[warp], LANES);
    result = b.slot[me ^ lane_mask];
    wait_at(&b.warp_barrier[warp], LANES);
    return result;
}

float __half2float(__half h)
{
    return quant_f16_to_f32(h);
}

__half __float2half(float x)
{
    return quant_f32_to_f16(x);
}

void emulate_grid(dim3 grid, int threads, const std::function<void()> &body)
{
    the_block.body = &body;
    blockDim = dim3((unsigned)threads);
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3(x, y, z);
                run_block(threads);
            }
}
