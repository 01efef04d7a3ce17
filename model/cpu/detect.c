/* SPDX-License-Identifier: MIT
 *
 * Chooses the kernels: asks the processor and the operating system (who must save the
 * wide registers) what they offer. No compiler built-ins, whose names of features
 * differ between versions.
 */
#include "config.h"

#include "model/cpu/detect.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* Bits of cpuid's registers, by leaf. */
enum {
    LEAF1_ECX_FMA = 1 << 12,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF1_ECX_F16C = 1 << 29,
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_EBX_AVX512F = 1 << 16,
    LEAF7_EBX_AVX512DQ = 1 << 17,
    LEAF7_EBX_AVX512BW = 1 << 30,
    LEAF7_ECX_AVX512VNNI = 1 << 11,
    LEAF7_1_EAX_AVX512BF16 = 1 << 5,
    XCR0_YMM = 0x06,
    XCR0_ZMM = 0xe6,
};
static const unsigned LEAF7_EBX_AVX512VL = 1u << 31;

struct features {
    unsigned leaf1_ecx, leaf7_ebx, leaf7_ecx, leaf7_1_eax, xcr0;
};

static struct features ask(void)
{
    struct features f = {0};
    unsigned eax, ebx, ecx, edx, high;

    if (!__get_cpuid(1, &eax, &ebx, &f.leaf1_ecx, &edx))
        return f;
    if (f.leaf1_ecx & LEAF1_ECX_OSXSAVE)
        __asm__ volatile("xgetbv" : "=a"(f.xcr0), "=d"(high) : "c"(0));
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        return f;
    f.leaf7_ebx = ebx;
    f.leaf7_ecx = ecx;
    if (eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx))
        f.leaf7_1_eax = eax;
    return f;
}

static bool has_all(unsigned have, unsigned want)
{
    return (have & want) == want;
}

static bool has_avx2(void)
{
    struct features f = ask();

    return has_all(f.xcr0, XCR0_YMM) && has_all(f.leaf7_ebx, LEAF7_EBX_AVX2) &&
           has_all(f.leaf1_ecx, LEAF1_ECX_FMA | LEAF1_ECX_F16C);
}

static bool has_avx512(void)
{
    struct features f = ask();

    return has_avx2() && has_all(f.xcr0, XCR0_ZMM) &&
           has_all(f.leaf7_ebx, LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ |
                                    LEAF7_EBX_AVX512BW | LEAF7_EBX_AVX512VL) &&
           has_all(f.leaf7_ecx, LEAF7_ECX_AVX512VNNI);
}

const struct wide_kernels *detect_bf16(const struct cpu_kernels *k)
{
    bool here = k == &cpu_kernels_avx512 && has_avx512() &&
                has_all(ask().leaf7_1_eax, LEAF7_1_EAX_AVX512BF16);

    return here ? &wide_avx512_bf16 : NULL;
}
#else
const struct wide_kernels *detect_bf16(const struct cpu_kernels *k)
{
    (void)k;
    return NULL;
}
#endif

static bool always(void)
{
    return true;
}

static const struct {
    const struct cpu_kernels *kernels;
    bool (*runs_here)(void);
} tables[] = {
#if defined(__x86_64__)
    {&cpu_kernels_avx512, has_avx512},
    {&cpu_kernels_avx2, has_avx2},
#endif
    {&cpu_kernels_scalar, always},
};

enum { N_TABLES = sizeof(tables) / sizeof(tables[0]) };

const struct cpu_kernels *detect_nth(int i)
{
    for (size_t t = 0; t < N_TABLES; t++)
        if (tables[t].runs_here() && i-- == 0)
            return tables[t].kernels;
    return NULL;
}

const struct cpu_kernels *detect_kernels(struct err *err)
{
    const char *want = getenv("HADAL_CPU");

    if (want == NULL || *want == '\0')
        return detect_nth(0);
    for (size_t t = 0; t < N_TABLES; t++) {
        if (strcmp(want, tables[t].kernels->name) != 0)
            continue;
        if (tables[t].runs_here())
            return tables[t].kernels;
        err_set(err, ERR_DEVICE,
                "HADAL_CPU=%s: this processor cannot run these kernels", want);
        return NULL;
    }
    err_set(err, ERR_DEVICE, "HADAL_CPU='%.32s' is unknown; use scalar, avx2 or avx512",
            want);
    return NULL;
}

bool detect_activation_bits(int *bits, struct err *err)
{
    const char *want = getenv("HADAL_ACTIVATIONS");

    if (want == NULL || *want == '\0')
        return true;
    if (strcmp(want, "8") != 0 && strcmp(want, "16") != 0)
        return err_set(err, ERR_DEVICE,
                       "HADAL_ACTIVATIONS='%.32s' is unknown; use 8 or 16", want);
    *bits = want[0] == '8' ? 8 : 16;
    return true;
}
