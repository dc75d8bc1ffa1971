/* Eight names hashed and eight numbers read at a time (AVX2), for a parser that meets them one by one.
 *
 * Design: a) a queue holds what is to be done and where the result goes, and works through eight entries when the
 * eighth is added; the rest is done by plain code (vwl_flush), with the same bits; b) whether the processor and its
 * operating system have AVX2 is asked once, when the program runs; c) names may be read up to 16 bytes past their end,
 * as in bytescan.h, and decimals 8 bytes back from their end, so these are not queued at the start of a text. */
#ifndef VWLITE_EIGHT_H
#define VWLITE_EIGHT_H
#include "cpu.h"
#include "number.h"

#define VWL_LONGEST_NAME 15 /* of a queued name: it and its padding are one 16 byte word */
#define VWL_MOST_DIGITS 8   /* of a queued number's name, and after its point */

typedef struct { uint32_t hash; float value; } vwl_hashed;

typedef struct {
    struct {
        const uint8_t *name[8];
        uint32_t length[8], seed[8];
        uint32_t *to[8];
        int n;
    } names;
    struct { /* hash = name + seed; value = (whole + digits) * unit */
        uint64_t name[8], digits[8];
        double whole[8], unit[8];
        uint32_t seed[8];
        vwl_hashed *to[8];
        int n;
    } numbers;
} vwl_queue;

/* Do what is left in the queue. */
static void vwl_flush(vwl_queue *q) {
    int i;
    for (i = 0; i < q->names.n; i++)
        *q->names.to[i] = vwl_murmur3_32_padded(q->names.name[i], q->names.length[i], q->names.seed[i]);
    for (i = 0; i < q->numbers.n; i++) {
        const double digits = vwl_eight_digits(q->numbers.digits[i] | 0x3030303030303030ull);
        q->numbers.to[i]->hash = vwl_eight_digits(q->numbers.name[i] | 0x3030303030303030ull) + q->numbers.seed[i];
        q->numbers.to[i]->value = (float)((q->numbers.whole[i] + digits) * q->numbers.unit[i]);
    }
    q->names.n = q->numbers.n = 0;
}

#ifdef VWL_AVX2
/* 16 bytes of a name, those past its end 0. */
VWL_AVX2 static inline __m128i vwl_name(const vwl_queue *q, int i) {
    static const uint8_t ones_then_zeros[32] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                255, 255, 255, 255, 255, 255, 255, 255};
    return _mm_and_si128(_mm_loadu_si128((const __m128i *)q->names.name[i]),
                         _mm_loadu_si128((const __m128i *)(ones_then_zeros + 16 - q->names.length[i])));
}

VWL_AVX2 static inline __m256i vwl_turned(__m256i v, int bits) {
    return _mm256_or_si256(_mm256_slli_epi32(v, bits), _mm256_srli_epi32(v, 32 - bits));
}

/* murmur3 of eight names. A word that is there in part is mixed in as the tail; words past the end are 0, and mixing
 * in 0 changes nothing. */
VWL_AVX2 static void vwl_hash_eight(vwl_queue *q) {
    const __m256i length = _mm256_loadu_si256((const __m256i *)q->names.length);
    __m256i a[4], word[4], h = _mm256_loadu_si256((const __m256i *)q->names.seed), k, stepped;
    uint32_t hashes[8];
    int i;
    for (i = 0; i < 4; i++)
        a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(vwl_name(q, i)), vwl_name(q, i + 4), 1);
    /* a 4 x 4 transpose of words in each half: word[i] has the i-th word of each name */
    word[0] = _mm256_unpacklo_epi32(a[0], a[1]), word[1] = _mm256_unpacklo_epi32(a[2], a[3]);
    word[2] = _mm256_unpackhi_epi32(a[0], a[1]), word[3] = _mm256_unpackhi_epi32(a[2], a[3]);
    a[0] = _mm256_unpacklo_epi64(word[0], word[1]), a[1] = _mm256_unpackhi_epi64(word[0], word[1]);
    a[2] = _mm256_unpacklo_epi64(word[2], word[3]), a[3] = _mm256_unpackhi_epi64(word[2], word[3]);
    for (i = 0; i < 4; i++) {
        k = _mm256_mullo_epi32(a[i], _mm256_set1_epi32((int)0xcc9e2d51u));
        k = _mm256_mullo_epi32(vwl_turned(k, 15), _mm256_set1_epi32(0x1b873593));
        h = _mm256_xor_si256(h, k);
        if (i == 3) break; /* a name of at most 15 bytes has three whole words at most */
        stepped = vwl_turned(h, 13);
        stepped = _mm256_add_epi32(_mm256_add_epi32(_mm256_slli_epi32(stepped, 2), stepped),
                                   _mm256_set1_epi32((int)0xe6546b64u));
        h = _mm256_blendv_epi8(h, stepped, _mm256_cmpgt_epi32(length, _mm256_set1_epi32(4 * i + 3)));
    }
    h = _mm256_xor_si256(h, length);
    h = _mm256_mullo_epi32(_mm256_xor_si256(h, _mm256_srli_epi32(h, 16)), _mm256_set1_epi32((int)0x85ebca6bu));
    h = _mm256_mullo_epi32(_mm256_xor_si256(h, _mm256_srli_epi32(h, 13)), _mm256_set1_epi32((int)0xc2b2ae35u));
    h = _mm256_xor_si256(h, _mm256_srli_epi32(h, 16));
    _mm256_storeu_si256((__m256i *)hashes, h);
    for (i = 0; i < 8; i++) *q->names.to[i] = hashes[i];
    q->names.n = 0;
}

/* Four words of eight digits each (0 to 9, the first in the lowest byte) to numbers. */
VWL_AVX2 static inline __m128i vwl_four_numbers(const uint64_t *words) {
    __m256i v = _mm256_loadu_si256((const __m256i *)words);
    v = _mm256_maddubs_epi16(v, _mm256_set1_epi16(0x010A));     /* 10, 1: pairs of digits */
    v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00010064));    /* 100, 1 */
    v = _mm256_packus_epi32(v, v);
    v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00012710));    /* 10000, 1 */
    return _mm_unpacklo_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

VWL_AVX2 static void vwl_read_eight(vwl_queue *q) {
    int i;
    for (i = 0; i < 8; i += 4) {
        const __m128i names = _mm_add_epi32(vwl_four_numbers(q->numbers.name + i),
                                            _mm_loadu_si128((const __m128i *)(q->numbers.seed + i)));
        const __m256d digits = _mm256_cvtepi32_pd(vwl_four_numbers(q->numbers.digits + i));
        const __m256d sums = _mm256_add_pd(_mm256_loadu_pd(q->numbers.whole + i), digits);
        const __m128 values = _mm256_cvtpd_ps(_mm256_mul_pd(sums, _mm256_loadu_pd(q->numbers.unit + i)));
        const __m128 low = _mm_unpacklo_ps(_mm_castsi128_ps(names), values);
        const __m128 high = _mm_unpackhi_ps(_mm_castsi128_ps(names), values);
        _mm_storel_pi((__m64 *)q->numbers.to[i], low), _mm_storeh_pi((__m64 *)q->numbers.to[i + 1], low);
        _mm_storel_pi((__m64 *)q->numbers.to[i + 2], high), _mm_storeh_pi((__m64 *)q->numbers.to[i + 3], high);
    }
    q->numbers.n = 0;
}
#endif

/* Queue the hash of a name of at most VWL_LONGEST_NAME bytes. */
static inline void vwl_hash_later(vwl_queue *q, const uint8_t *name, size_t n, uint32_t seed, uint32_t *to) {
    const int k = q->names.n++;
    q->names.name[k] = name;
    q->names.length[k] = (uint32_t)n;
    q->names.seed[k] = seed;
    q->names.to[k] = to;
    if (k < 7) return;
#ifdef VWL_AVX2
    vwl_hash_eight(q);
#else
    vwl_flush(q);
#endif
}

/* The n <= 8 bytes before `end` in the highest bytes, as digits 0 to 9 if that is what they are; the others 0. */
static inline uint64_t vwl_last_digits(const uint8_t *end, size_t n) {
    return (vwl_load64(end - 8) ^ 0x3030303030303030ull) & (~(uint64_t)0 << (8 * (8 - n)));
}

static inline int vwl_are_small(uint64_t digits) {
    return !(((digits + 0x7676767676767676ull) | digits) & 0x8080808080808080ull);
}

/* Queue a feature such as 123:0.4567, if it is one: a name of digits, a digit, a point and digits, not all 0. Returns
 * whether it is. The name ends where the colon is, at `colon`, and at least 8 bytes are readable before that. */
static inline int vwl_read_later(vwl_queue *q, const uint8_t *colon, size_t n, size_t n_text, uint32_t seed, void *to) {
    const uint8_t *text = colon + 1;
    const uint8_t first = (uint8_t)(text[0] - '0');
    uint64_t name, digits;
    int k;
    if (!((n - 1 < VWL_MOST_DIGITS) & (n_text - 3 < VWL_MOST_DIGITS) & (first < 10) & (text[1] == '.'))) return 0;
    name = vwl_last_digits(colon, n), digits = vwl_last_digits(text + n_text, n_text - 2);
    if (!(vwl_are_small(name) & vwl_are_small(digits) & ((digits | first) != 0))) return 0;
    k = q->numbers.n++;
    q->numbers.name[k] = name;
    q->numbers.digits[k] = digits;
    q->numbers.whole[k] = first * vwl_power[n_text - 2];
    q->numbers.unit[k] = vwl_inverse[n_text - 2];
    q->numbers.seed[k] = seed;
    q->numbers.to[k] = (vwl_hashed *)to;
    if (k < 7) return 1;
#ifdef VWL_AVX2
    vwl_read_eight(q);
#else
    vwl_flush(q);
#endif
    return 1;
}
#endif
