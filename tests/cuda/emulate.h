/* SPDX-License-Identifier: MIT
 *
 * Enough of CUDA to run model/cuda on a CPU, for tests on machines without a GPU.
 *
 * Compiled as C++ with HADAL_CUDA_EMULATED. Blocks run one after another; the threads of
 * a block are fibers (ucontext) that switch at __syncthreads and at warp shuffles, so
 * that the arithmetic, the indexing and the barriers of the real kernels are what is
 * tested. Says nothing about speed, memory models or the driver.
 */
#ifndef HADAL_TESTS_CUDA_EMULATE_H
#define HADAL_TESTS_CUDA_EMULATE_H

#include <functional>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define __global__
#define __device__
#define __shared__ static

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

/* Where the running fiber is; set by the scheduler. */
extern dim3 blockIdx, blockDim, threadIdx;

void __syncthreads(void);
float __shfl_xor_sync(unsigned mask, float value, int lane_mask);

typedef uint16_t __half;
float __half2float(__half h);
__half __float2half(float x);

static inline __half __ushort_as_half(uint16_t bits)
{
    return bits;
}

static inline float __uint_as_float(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}

typedef int cudaError_t;
typedef void *cudaStream_t;
enum { cudaSuccess, cudaErrorMemoryAllocation = 2 };
enum { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
enum { cudaStreamNonBlocking = 1 };

struct cudaDeviceProp {
    char name[32];
    int major, minor;
};

static inline cudaError_t cudaMalloc(void **p, size_t bytes)
{
    *p = calloc(1, bytes);
    return *p == NULL ? cudaErrorMemoryAllocation : cudaSuccess;
}

static inline cudaError_t cudaFree(void *p)
{
    free(p);
    return cudaSuccess;
}

static inline cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, int kind)
{
    (void)kind;
    memcpy(to, from, bytes);
    return cudaSuccess;
}

static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind,
                                          cudaStream_t stream)
{
    (void)stream;
    return cudaMemcpy(to, from, bytes, kind);
}

static inline cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from,
                                            size_t from_pitch, size_t width, size_t height,
                                            int kind, cudaStream_t stream)
{
    (void)kind;
    (void)stream;
    for (size_t i = 0; i < height; i++)
        memcpy((char *)to + i * to_pitch, (const char *)from + i * from_pitch, width);
    return cudaSuccess;
}

static inline cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    (void)stream;
    return cudaSuccess;
}

static inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    (void)flags;
    *stream = NULL;
    return cudaSuccess;
}

static inline cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    (void)stream;
    return cudaSuccess;
}

static inline cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 1;
    return cudaSuccess;
}

static inline cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *prop, int device)
{
    (void)device;
    memcpy(prop->name, "emulated", sizeof("emulated"));
    prop->major = prop->minor = 0;
    return cudaSuccess;
}

static inline const char *cudaGetErrorString(cudaError_t code)
{
    return code == cudaSuccess ? "no error" : "out of memory";
}

/* Runs body once for each thread of each block. */
void emulate_grid(dim3 grid, int threads, const std::function<void()> &body);

template <typename... P, typename... A>
static inline cudaError_t launch(void (*kernel)(P...), dim3 grid, int threads,
                                 cudaStream_t stream, A... args)
{
    (void)stream;
    emulate_grid(grid, threads, [=]() { kernel(args...); });
    return cudaSuccess;
}

#endif
