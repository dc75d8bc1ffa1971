/* Checks that bytes are UTF-8 (RFC 3629). */
#ifndef VWLITE_UTF8_H
#define VWLITE_UTF8_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* The place of the first byte that is not part of UTF-8 text; n if there is none. */
static size_t vwl_utf8_problem(const uint8_t *text, size_t n) {
    size_t i = 0, k, more;
    uint32_t code;
    uint64_t eight;
    while (i < n) {
#if defined(__SSE2__)
        while (i + 32 <= n) { /* ASCII */
            const __m128i one = _mm_loadu_si128((const __m128i *)(text + i));
            const __m128i two = _mm_loadu_si128((const __m128i *)(text + i + 16));
            if (_mm_movemask_epi8(_mm_or_si128(one, two))) break;
            i += 32;
        }
        if (i == n) return n;
#endif
        if (i + 8 <= n) {
            memcpy(&eight, text + i, 8);
            if (!(eight & 0x8080808080808080ull)) {
                i += 8;
                continue;
            }
        }
        if (text[i] < 0x80) {
            i++;
            continue;
        }
        more = text[i] >= 0xF0 ? 3 : text[i] >= 0xE0 ? 2 : 1;
        if (text[i] < 0xC2 || text[i] > 0xF4 || i + more >= n) return i;
        code = text[i] & (0x3Fu >> more);
        for (k = 1; k <= more; k++) {
            if ((text[i + k] & 0xC0) != 0x80) return i;
            code = code << 6 | (text[i + k] & 0x3F);
        }
        /* too long for its code, a surrogate, or beyond Unicode */
        if ((more == 2 && (code < 0x800 || (code >= 0xD800 && code < 0xE000))) ||
            (more == 3 && (code < 0x10000 || code > 0x10FFFF)))
            return i;
        i += more + 1;
    }
    return n;
}
#endif
