/* What the processor and its operating system can do, asked when the program runs. */
#ifndef VWLITE_CPU_H
#define VWLITE_CPU_H
#if defined(__x86_64__) && defined(__GNUC__) && !defined(VWLITE_PLAIN)
#include <immintrin.h>
#define VWL_AVX2 __attribute__((target("avx2")))
#endif

static inline int vwl_has_avx2(void) {
#ifdef VWL_AVX2
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
#else
    return 0;
#endif
}
#endif
