/* Byte scanning in bulk for the parser (SIMD, SWAR): stop-byte search, decimal digits, murmur3, checksum.
 *
 * Design: a) loads may reach up to 64 bytes past a word, so the text must be padded; b) short tokens
 * are handled without branches on their length, because a mispredicted branch costs more than the work;
 * c) plain x86-64 (SSE2) or any other machine: no special compiler flags. */
#ifndef VWLITE_BYTESCAN_H
#define VWLITE_BYTESCAN_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "vwlite reads numbers as little-endian words; big-endian machines are not supported"
#endif

static inline uint32_t vwl_rotl(uint32_t x, int r) { return (x << r) | (x >> (32 - r)); }

static inline uint32_t vwl_load32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }

static inline uint64_t vwl_load64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }

static inline uint32_t vwl_mix(uint32_t k) { return vwl_rotl(k * 0xcc9e2d51u, 15) * 0x1b873593u; }

static inline uint32_t vwl_step(uint32_t h, uint32_t k) { return vwl_rotl(h ^ vwl_mix(k), 13) * 5 + 0xe6546b64u; }

static inline uint32_t vwl_finish(uint32_t h, size_t n) {
    h ^= (uint32_t)n;
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return h ^ (h >> 16);
}

/* One murmur3 round: h after one more word if `take`, else h. Written with a mask, because compilers turn conditions
 * into branches, and lengths of names are unpredictable. */
static inline uint32_t vwl_step_if(int take, uint32_t h, const uint8_t *p) {
    return h ^ ((h ^ vwl_step(h, vwl_load32(p))) & (0u - (uint32_t)take));
}

/* Austin Appleby's MurmurHash3_x86_32 (public domain algorithm); may read up to 16 bytes past the end. */
static inline uint32_t vwl_murmur3_32_padded(const uint8_t *p, size_t n, uint32_t h) {
    const uint8_t *end = p + (n & ~(size_t)3);
    uint32_t tail;
    for (; __builtin_expect(end - p > 12, 0); p += 4) h = vwl_step(h, vwl_load32(p));
    h = vwl_step_if(end - p >= 4, h, p);
    h = vwl_step_if(end - p >= 8, h, p + 4);
    h = vwl_step_if(end - p >= 12, h, p + 8);
    tail = vwl_load32(end) & ((1u << (8 * (n & 3))) - 1);
    return vwl_finish(h ^ vwl_mix(tail), n);
}

/* Bit mask of the stop bytes, which end words: all <= ' ', ':' and '|'. A bit for each of 64 bytes. */
static inline uint64_t vwl_stops(const uint8_t *p) {
    uint64_t mask = 0;
#if defined(__SSE2__)
    const __m128i blank = _mm_set1_epi8(0x20), colon = _mm_set1_epi8(':'), bar = _mm_set1_epi8('|');
    int i;
    for (i = 0; i < 4; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(p + 16 * i));
        __m128i stop = _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(v, blank), v),
                                    _mm_or_si128(_mm_cmpeq_epi8(v, colon), _mm_cmpeq_epi8(v, bar)));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(stop) << (16 * i);
    }
#else
    int i;
    for (i = 0; i < 64; i++) mask |= (uint64_t)(p[i] <= ' ' || p[i] == ':' || p[i] == '|') << i;
#endif
    return mask;
}

/* Whether a text of n bytes has a NUL, '!' or '{', or the word "save". */
static inline int vwl_has_marks(const uint8_t *p, size_t n) {
    size_t i = 0;
#if defined(__SSE2__)
    const __m128i nul = _mm_setzero_si128(), bang = _mm_set1_epi8('!'), brace = _mm_set1_epi8('{');
    const __m128i s = _mm_set1_epi8('s'), a = _mm_set1_epi8('a'), v = _mm_set1_epi8('v'), e = _mm_set1_epi8('e');
#define VWL_IS(at, c) _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(p + i + (at))), c)
    for (; i + 19 <= n; i += 16) {
        const __m128i mark = _mm_or_si128(_mm_or_si128(VWL_IS(0, nul), VWL_IS(0, bang)), VWL_IS(0, brace));
        const __m128i word = _mm_and_si128(_mm_and_si128(VWL_IS(0, s), VWL_IS(1, a)),
                                           _mm_and_si128(VWL_IS(2, v), VWL_IS(3, e)));
        if (_mm_movemask_epi8(_mm_or_si128(mark, word))) return 1;
    }
#undef VWL_IS
#endif
    for (; i < n; i++)
        if (!p[i] || p[i] == '!' || p[i] == '{' || (i + 4 <= n && !memcmp(p + i, "save", 4))) return 1;
    return 0;
}

/* Cursor over stop bytes. The text must have one more stop whenever vwl_next_stop is called. */
typedef struct {
    const uint8_t *base;
    uint64_t mask;
} vwl_cursor;

/* Start after p, which must be a stop byte. */
static inline void vwl_seek(vwl_cursor *cursor, const uint8_t *p) {
    cursor->base = p;
    cursor->mask = vwl_stops(p) & ~(uint64_t)1;
}

static inline const uint8_t *vwl_next_stop(vwl_cursor *cursor) {
    const uint8_t *stop;
    while (!cursor->mask) {
        cursor->base += 64;
        cursor->mask = vwl_stops(cursor->base);
    }
    stop = cursor->base + __builtin_ctzll(cursor->mask);
    cursor->mask &= cursor->mask - 1;
    return stop;
}

/* Checksum against damage (not tampering): four lanes of multiply and rotate, 32 bytes an iteration. */
static inline uint64_t vwl_checksum(const void *data, size_t n, uint64_t sum) {
    const uint8_t *p = (const uint8_t *)data;
    uint64_t lane[4] = {sum, sum ^ 0x9E3779B97F4A7C15ull, ~sum, sum + n};
    uint8_t rest[32] = {0};
    size_t i;
    for (; n >= 32; p += 32, n -= 32)
        for (i = 0; i < 4; i++) {
            lane[i] = (lane[i] ^ vwl_load64(p + 8 * i)) * 0x9FB21C651E98DF25ull;
            lane[i] = (lane[i] << 29) | (lane[i] >> 35);
        }
    memcpy(rest, p, n);
    for (i = 0; i < 4; i++) {
        lane[i] = (lane[i] ^ vwl_load64(rest + 8 * i)) * 0x9FB21C651E98DF25ull;
        sum = (sum ^ lane[i] ^ (lane[i] >> 32)) * 0xC2B2AE3D27D4EB4Full;
    }
    return sum ^ (sum >> 29);
}

/* Parse eight ASCII digits at once (SWAR, see e.g. Lemire 2022, "parsing eight digits"). */
static inline int vwl_are_digits(uint64_t v) {
    return !(((v + 0x4646464646464646ull) | (v - 0x3030303030303030ull)) & 0x8080808080808080ull);
}

static inline uint32_t vwl_eight_digits(uint64_t v) {
    v -= 0x3030303030303030ull;
    v = (v * 10) + (v >> 8);
    return (uint32_t)((((v & 0x000000FF000000FFull) * 0x000F424000000064ull) +
                       (((v >> 16) & 0x000000FF000000FFull) * 0x0000271000000001ull)) >> 32);
}

/* Parse the first n <= 8 bytes as digits; *ok is set to whether all are digits. n = 0 gives 0. */
static inline uint32_t vwl_few_digits(const uint8_t *p, size_t n, int *ok) {
    uint64_t v;
    if (!n) { *ok = 1; return 0; }
    v = vwl_load64(p) << (8 * (8 - n));
    if (n < 8) v |= 0x3030303030303030ull >> (8 * n);
    *ok = vwl_are_digits(v);
    return vwl_eight_digits(v);
}
#endif
