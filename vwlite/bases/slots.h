/* SIMD loops of gd over the features of an example: prediction, learning rates of the usual update (adaptive,
 * normalized, power_t 0.5), and the step.
 *
 * A slot is four adjacent floats: weight, adaptive (G), normalizer (N), rate (R). Four slots are loaded, transposed so
 * that each vector has one of the four columns, processed, transposed back and stored. Divisions and square roots,
 * which limit the scalar loop, then cost a quarter. If two of four features share a slot (a hash collision, or a name
 * twice in a line), the second must see the update of the first, so such a group goes through the scalar loop. Sums run
 * in four lanes, also on machines without SSE2, so results are identical. */
#ifndef VWLITE_SLOTS_H
#define VWLITE_SLOTS_H
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

typedef struct { uint32_t hash; float value; } vwl_feature;

#define VWL_TINY 1.084202e-19f /* lower bound of |x|: its square is the smallest normal float */

static inline void vwl_rate(float *slot, float x, float g2, float *ppu, float *norm) {
    float x2, inverse, rate, share;
    x = fabsf(x);
    x = x < VWL_TINY ? VWL_TINY : x;
    x2 = x * x;
    slot[1] = slot[1] + g2 * x2;
    if (!(slot[1] <= FLT_MAX)) slot[1] = FLT_MAX;
    if (x > slot[2]) {
        if (slot[2] > 0) slot[0] *= slot[2] / x;
        slot[2] = x;
    }
    inverse = 1 / slot[2];
    rate = inverse / sqrtf(slot[1]);
    slot[3] = rate;
    *ppu += x2 * rate;
    share = x * inverse;
    *norm += share * share;
}

/* Address of a slot: (hash << width) + offset in a table of mask + 1 slots of 2^stride floats. Width and offset are
 * nearly always 0; VWL_EITHER compiles a loop once for that case and once for any. */
typedef struct {
    float *values;
    size_t mask;
    uint32_t offset;
    int width, stride;
} vwl_table;

#define VWL_PLAIN_INDEX(f) ((size_t)(f).hash & mask)
#define VWL_FOUND(f) ((size_t)(uint32_t)(((f).hash << table->width) + table->offset) & mask)
#define VWL_ANY_INDEX(f) ((size_t)(uint32_t)(((f).hash << width) + offset) & mask)
#define VWL_EITHER(INDEXED)                                                             \
    do {                                                                                \
        const vwl_feature *f = (const vwl_feature *)features;                           \
        float *const values = table->values;                                            \
        const size_t mask = table->mask;                                                \
        const int width = table->width;                                                 \
        const uint32_t offset = table->offset;                                          \
        if (width == 0 && offset == 0) INDEXED(VWL_PLAIN_INDEX) else INDEXED(VWL_ANY_INDEX) \
    } while (0)

#define VWL_AHEAD 32 /* features between prefetch and use */

/* Dot product sum w x over n features, in four lanes. Features must be readable VWL_AHEAD + 4 past the end. */
static inline float vwl_dot(const vwl_table *table, const void *features, size_t n) {
    float a = 0, b = 0, c = 0, d = 0;
    size_t j = 0;
    const int stride = table->stride;
#define VWL_DOT(INDEX)                                                                    \
    {                                                                                     \
        for (; j + 4 <= n; j += 4) {                                                      \
            __builtin_prefetch(values + (INDEX(f[j + VWL_AHEAD]) << stride));             \
            __builtin_prefetch(values + (INDEX(f[j + VWL_AHEAD + 1]) << stride));         \
            __builtin_prefetch(values + (INDEX(f[j + VWL_AHEAD + 2]) << stride));         \
            __builtin_prefetch(values + (INDEX(f[j + VWL_AHEAD + 3]) << stride));         \
            a += values[INDEX(f[j]) << stride] * f[j].value;                              \
            b += values[INDEX(f[j + 1]) << stride] * f[j + 1].value;                      \
            c += values[INDEX(f[j + 2]) << stride] * f[j + 2].value;                      \
            d += values[INDEX(f[j + 3]) << stride] * f[j + 3].value;                      \
        }                                                                                 \
        for (; j < n; j++) {                                                              \
            __builtin_prefetch(values + (INDEX(f[j + VWL_AHEAD]) << stride));             \
            a += values[INDEX(f[j]) << stride] * f[j].value;                              \
        }                                                                                 \
    }
    VWL_EITHER(VWL_DOT);
#undef VWL_DOT
    return (a + b) + (c + d);
}

/* Several weight vectors, `step` slots apart: their slots of a feature are adjacent, so four vectors are processed at a
 * time, one in each lane; `at` has pointers to each feature's slot of the first one. */
typedef float vwl_four __attribute__((vector_size(16)));

#define VWL_LINES 4 /* cache lines prefetched for a feature; later ones follow with earlier vectors */

/* Whether no two weight vectors share a slot: false if the table has fewer slots than a feature has vectors. */
static inline int vwl_are_apart(const vwl_table *table, uint32_t count, uint32_t step) {
    const uint64_t last = table->offset + (uint64_t)(count - 1) * step;
    return count > 0 && last >> table->width == 0 && ((uint64_t)table->mask + 1) >> table->width != 0;
}

static inline void vwl_find(const vwl_table *table, const void *features, size_t n, size_t bytes, float **at) {
    const vwl_feature *f = (const vwl_feature *)features;
    const size_t mask = table->mask, lines = bytes < 64 * VWL_LINES ? (bytes + 63) / 64 : VWL_LINES;
    size_t j, k;
    for (j = 0; j < n; j++) {
        const float *later = table->values + (VWL_FOUND(f[j + VWL_AHEAD / 2]) << table->stride);
        at[j] = table->values + (VWL_FOUND(f[j]) << table->stride);
        for (k = 0; k < lines; k++) __builtin_prefetch(later + 16 * k);
    }
}

/* vwl_dot for `count` weight vectors, with identical bits. `at` has n pointers, `sums` `count` + 3 floats. */
static inline void vwl_dot_many(const vwl_table *table, const void *features, size_t n, uint32_t count, uint32_t step,
                                float **at, float *sums) {
    const vwl_feature *f = (const vwl_feature *)features;
    const size_t apart = (size_t)step << table->stride, ahead = 8 * apart;
    size_t j;
    uint32_t k;
    if (!vwl_are_apart(table, count, step)) {
        vwl_table one = *table;
        for (k = 0; k < count; k++, one.offset += step) sums[k] = vwl_dot(&one, features, n);
        return;
    }
    vwl_find(table, features, n, count * apart * sizeof(float), at);
    for (k = 0; k < count; k += 4) {
        /* unused lanes of the last four repeat the last vector */
        const uint32_t left = count - k - 1;
        const size_t i0 = k * apart, i1 = i0 + (left < 1 ? left : 1) * apart, i2 = i0 + (left < 2 ? left : 2) * apart,
                     i3 = i0 + (left < 3 ? left : 3) * apart;
        vwl_four a = {0, 0, 0, 0}, b = a, c = a, d = a;
#define VWL_TIMES(j) ((vwl_four){at[j][i0], at[j][i1], at[j][i2], at[j][i3]} * f[j].value)
        for (j = 0; j + 4 <= n; j += 4) {
            if (left > 7) {
                __builtin_prefetch(at[j] + i0 + ahead);
                __builtin_prefetch(at[j + 1] + i0 + ahead);
                __builtin_prefetch(at[j + 2] + i0 + ahead);
                __builtin_prefetch(at[j + 3] + i0 + ahead);
            }
            a += VWL_TIMES(j);
            b += VWL_TIMES(j + 1);
            c += VWL_TIMES(j + 2);
            d += VWL_TIMES(j + 3);
        }
        for (; j < n; j++) {
            if (left > 7) __builtin_prefetch(at[j] + i0 + ahead);
            a += VWL_TIMES(j);
        }
#undef VWL_TIMES
        a = (a + b) + (c + d);
        __builtin_memcpy(sums + k, &a, sizeof a);
    }
}

/* Step w += u x, times the rate if slots have one; skips a weight that would not be finite. Returns whether any was. */
static inline int vwl_add(const vwl_table *table, const void *features, size_t n, float u) {
    size_t j;
    float *slot, w;
    int left_out = 0;
    const int stride = table->stride;
#define VWL_ADD_RATED(INDEX)                                    \
    for (j = 0; j < n; j++) {                                   \
        slot = values + (INDEX(f[j]) << 2);                     \
        w = slot[0] + u * (f[j].value * slot[3]);               \
        if (fabsf(w) <= FLT_MAX) slot[0] = w;                   \
        else left_out = 1;                                      \
    }
#define VWL_ADD(INDEX)                                          \
    for (j = 0; j < n; j++) {                                   \
        slot = values + INDEX(f[j]);                            \
        w = slot[0] + u * f[j].value;                           \
        if (fabsf(w) <= FLT_MAX) slot[0] = w;                   \
        else left_out = 1;                                      \
    }
    if (stride)
        VWL_EITHER(VWL_ADD_RATED);
    else
        VWL_EITHER(VWL_ADD);
#undef VWL_ADD_RATED
#undef VWL_ADD
    return left_out;
}

/* Step of four different slots (SIMD). */
#if defined(__SSE2__)
static inline void vwl_rate4(float *s0, float *s1, float *s2, float *s3, __m128 x, __m128 g2, __m128 *sum,
                             __m128 *norm) {
    const __m128 tiny = _mm_set1_ps(VWL_TINY), one = _mm_set1_ps(1.0f), most = _mm_set1_ps(FLT_MAX);
    const __m128 positive = _mm_castsi128_ps(_mm_set1_epi32(0x7FFFFFFF));
    __m128 w = _mm_load_ps(s0), g = _mm_load_ps(s1), m = _mm_load_ps(s2), r = _mm_load_ps(s3);
    __m128 x2, grown, shrink, inverse;
    _MM_TRANSPOSE4_PS(w, g, m, r);
    x = _mm_max_ps(_mm_and_ps(x, positive), tiny);
    x2 = _mm_mul_ps(x, x);
    g = _mm_min_ps(_mm_add_ps(g, _mm_mul_ps(g2, x2)), most);
    grown = _mm_cmpgt_ps(x, m);
    if (_mm_movemask_ps(grown)) {
        /* if 0 < N < |x|, the weight shrinks by N/|x| */
        shrink = _mm_and_ps(grown, _mm_cmpgt_ps(m, _mm_setzero_ps()));
        w = _mm_or_ps(_mm_andnot_ps(shrink, w), _mm_and_ps(shrink, _mm_mul_ps(w, _mm_div_ps(m, x))));
        m = _mm_max_ps(m, x);
    }
    inverse = _mm_div_ps(one, m);
    r = _mm_div_ps(inverse, _mm_sqrt_ps(g));
    *sum = _mm_add_ps(*sum, _mm_mul_ps(x2, r));
    x = _mm_mul_ps(x, inverse); /* at most 1, so the sum stays finite */
    *norm = _mm_add_ps(*norm, _mm_mul_ps(x, x));
    _MM_TRANSPOSE4_PS(w, g, m, r);
    _mm_store_ps(s0, w);
    _mm_store_ps(s1, g);
    _mm_store_ps(s2, m);
    _mm_store_ps(s3, r);
}

/* Values of four features: every second of eight words. */
static inline __m128 vwl_values(const vwl_feature *f) {
    return _mm_shuffle_ps(_mm_loadu_ps((const float *)f), _mm_loadu_ps((const float *)(f + 2)), _MM_SHUFFLE(3, 1, 3, 1));
}
#endif

/* Rates: update G and N (and W if N grows), store rates in R; add sum x^2 r to *ppu and sum x^2/N^2 to *norm. */
static inline void vwl_usual_rates(const vwl_table *table, const void *features, size_t n, float g2, float *ppu,
                                   float *norm) {
    float sums[4] = {0, 0, 0, 0}, norms[4] = {0, 0, 0, 0};
    size_t j = 0, k, i0, i1, i2, i3;
#if defined(__SSE2__)
    const __m128 g2s = _mm_set1_ps(g2);
    __m128 sum = _mm_setzero_ps(), norm_sum = _mm_setzero_ps();
#define VWL_RATE4(INDEX)                                                                                          \
    i0 = INDEX(f[j]), i1 = INDEX(f[j + 1]), i2 = INDEX(f[j + 2]), i3 = INDEX(f[j + 3]);                           \
    if ((i0 != i1) & (i0 != i2) & (i0 != i3) & (i1 != i2) & (i1 != i3) & (i2 != i3)) {                            \
        vwl_rate4(values + (i0 << 2), values + (i1 << 2), values + (i2 << 2), values + (i3 << 2),                 \
                  vwl_values(f + j), g2s, &sum, &norm_sum);                                                       \
    } else {                                                                                                      \
        _mm_storeu_ps(sums, sum);                                                                                 \
        _mm_storeu_ps(norms, norm_sum);                                                                           \
        for (k = 0; k < 4; k++)                                                                                   \
            vwl_rate(values + (INDEX(f[j + k]) << 2), f[j + k].value, g2, &sums[k], &norms[k]);                   \
        sum = _mm_loadu_ps(sums);                                                                                 \
        norm_sum = _mm_loadu_ps(norms);                                                                           \
    }
#define VWL_STORE_SUMS() _mm_storeu_ps(sums, sum), _mm_storeu_ps(norms, norm_sum)
#else
#define VWL_RATE4(INDEX)    \
    (void)i0, (void)i1, (void)i2, (void)i3; \
    for (k = 0; k < 4; k++) vwl_rate(values + (INDEX(f[j + k]) << 2), f[j + k].value, g2, &sums[k], &norms[k]);
#define VWL_STORE_SUMS() (void)0
#endif
#define VWL_RATES(INDEX)                                                                                             \
    {                                                                                                                \
        for (; j + 4 <= n; j += 4) {                                                                                 \
            VWL_RATE4(INDEX)                                                                                         \
        }                                                                                                            \
        VWL_STORE_SUMS();                                                                                            \
        for (; j < n; j++) vwl_rate(values + (INDEX(f[j]) << 2), f[j].value, g2, ppu, norm);                         \
    }
    VWL_EITHER(VWL_RATES);
#undef VWL_RATES
#undef VWL_RATE4
#undef VWL_STORE_SUMS
    *ppu += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    *norm += (norms[0] + norms[1]) + (norms[2] + norms[3]);
}

/* vwl_usual_rates of m <= 4 weight vectors, with identical bits: `at` is from vwl_find, `places` has the offset of each
 * vector in floats. Unused places repeat one: all are loaded before any is stored, so this has no effect. `ppu` and
 * `norm` are the sums. */
static inline void vwl_usual_rates_of_four(float *const *at, const void *features, size_t n, const size_t *places,
                                           uint32_t m, const float *g2, float *ppu, float *norm) {
    const vwl_feature *f = (const vwl_feature *)features;
    const size_t whole = n & ~(size_t)3;
    vwl_four sums[5] = {{0}}, norms[5] = {{0}}; /* the last: features after the last four */
    size_t j;
    (void)m;
    for (j = 0; j < n; j++) {
        const size_t lane = j < whole ? j & 3 : 4;
        float *const first = at[j];
#if defined(__SSE2__)
        vwl_rate4(first + places[0], first + places[1], first + places[2], first + places[3], _mm_set1_ps(f[j].value),
                  _mm_loadu_ps(g2), (__m128 *)&sums[lane], (__m128 *)&norms[lane]);
#else
        float s[4], t[4];
        uint32_t k;
        __builtin_memcpy(s, &sums[lane], sizeof s), __builtin_memcpy(t, &norms[lane], sizeof t);
        for (k = 0; k < m; k++) vwl_rate(first + places[k], f[j].value, g2[k], &s[k], &t[k]);
        __builtin_memcpy(&sums[lane], s, sizeof s), __builtin_memcpy(&norms[lane], t, sizeof t);
#endif
    }
    sums[4] += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    norms[4] += (norms[0] + norms[1]) + (norms[2] + norms[3]);
    __builtin_memcpy(ppu, &sums[4], sizeof sums[4]);
    __builtin_memcpy(norm, &norms[4], sizeof norms[4]);
}
#endif
