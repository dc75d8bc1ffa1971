/* Finds the end of strings in JSON. */
#ifndef VWLITE_JSON_TEXT_H
#define VWLITE_JSON_TEXT_H
#include "bytescan.h"

/* The first quote, backslash or control character at or after p; loads reach up to 15 bytes past it. */
static inline const uint8_t *vwl_string_stop(const uint8_t *p) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(31);
    for (;; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, control), v),
                                    _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
        int mask = _mm_movemask_epi8(stop);
        if (mask) return p + __builtin_ctz((unsigned)mask);
    }
#else
    while (*p != '"' && *p != '\\' && *p >= 32) p++;
    return p;
#endif
}

/* Copies n bytes, at most 16, unless one of them separates words in VW's text or is another control character; returns
 * whether it did. Both sides need 16 bytes, and may not overlap. */
static inline int vwl_copy_word(uint8_t *to, const uint8_t *from, size_t n) {
#if defined(__SSE2__)
    const __m128i v = _mm_loadu_si128((const __m128i *)from), blank = _mm_set1_epi8(32);
    const __m128i odd = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, blank), v),
                                     _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(':')),
                                                  _mm_cmpeq_epi8(v, _mm_set1_epi8('|'))));
    if ((uint32_t)_mm_movemask_epi8(odd) & ((1u << n) - 1)) return 0;
    _mm_storeu_si128((__m128i *)to, v);
    return 1;
#else
    (void)to, (void)from, (void)n;
    return 0;
#endif
}
#endif
