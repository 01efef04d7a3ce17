/* SPDX-License-Identifier: MIT
 *
 * Launching a kernel on a stream. tests/cuda/emulate.h has the same function for a CPU,
 * by which the kernels are tested on machines without a GPU.
 */
#ifndef HADAL_MODEL_CUDA_LAUNCH_CUH
#define HADAL_MODEL_CUDA_LAUNCH_CUH

#include <cuda_fp16.h>
#include <cuda_runtime.h>

template <typename... P, typename... A>
static inline cudaError_t launch(void (*kernel)(P...), dim3 grid, int threads,
                                 cudaStream_t stream, A... args)
{
    kernel<<<grid, (unsigned)threads, 0, stream>>>(args...);
    return cudaGetLastError();
}

#endif
