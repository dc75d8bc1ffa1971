/* Linear search (SIMD) of a hash among n, four at a time; returns n if absent. */
#ifndef VWLITE_ENTITIES_H
#define VWLITE_ENTITIES_H
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline void vwl_prefetch(const void *place) {
    __builtin_prefetch(place);
}

static inline uint32_t vwl_find(const uint32_t *hashes, uint32_t n, uint32_t hash) {
    uint32_t i = 0;
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi32((int)hash);
    for (; i + 4 <= n; i += 4) {
        const __m128i four = _mm_loadu_si128((const __m128i *)(hashes + i));
        const int found = _mm_movemask_epi8(_mm_cmpeq_epi32(four, wanted));
        if (found) return i + (uint32_t)__builtin_ctz((unsigned)found) / 4;
    }
#endif
    for (; i < n; i++)
        if (hashes[i] == hash) return i;
    return n;
}
#endif
