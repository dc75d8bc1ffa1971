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

/* The rate of a feature. Its columns W, G, N and R are 2^group floats apart. */
static inline void vwl_rate(float *slot, int group, float x, float g2, float *ppu, float *norm) {
    float *const g = slot + ((size_t)1 << group), *const largest = slot + ((size_t)2 << group);
    float x2, inverse, rate, share;
    x = fabsf(x);
    x = x < VWL_TINY ? VWL_TINY : x;
    x2 = x * x;
    *g = *g + g2 * x2;
    if (!(*g <= FLT_MAX)) *g = FLT_MAX;
    if (x > *largest) {
        if (*largest > 0) slot[0] *= *largest / x;
        *largest = x;
    }
    inverse = 1 / *largest;
    rate = inverse / sqrtf(*g);
    slot[(size_t)3 << group] = rate;
    *ppu += x2 * rate;
    share = x * inverse;
    *norm += share * share;
}

/* A table of mask + 1 slots of 2^stride floats. The slot of a feature is (hash << width) + offset; both are nearly always
 * 0: VWL_EITHER compiles a loop, a macro of how a slot is found and of the group, once for that case and once for any.
 *
 * The floats of a slot are adjacent, or, if `group` is not 0, 2^group slots lie in planes: all their weights, then all
 * their second columns, and so on. Column j of a slot is j << group floats after its weight. */
typedef struct {
    float *values;
    size_t mask;
    uint32_t offset;
    int width, stride, group;
} vwl_table;

/* The weight of a slot. */
static inline float *vwl_slot(const vwl_table *table, size_t slot) {
    const size_t lane = slot & (((size_t)1 << table->group) - 1);
    return table->values + (((slot - lane) << table->stride) + lane);
}

#define VWL_INDEX(f) ((size_t)(uint32_t)(((f).hash << table->width) + table->offset) & table->mask)
#define VWL_PLAIN_SLOT(f) (values + (((size_t)(f).hash & mask) << stride))
#define VWL_ANY_SLOT(f) vwl_slot(table, VWL_INDEX(f))
#define VWL_EITHER(LOOP, floats)                                              \
    do {                                                                      \
        const vwl_feature *f = (const vwl_feature *)features;                 \
        float *const values = table->values;                                  \
        const size_t mask = table->mask;                                      \
        const int stride = floats;                                            \
        if (table->width == 0 && table->offset == 0) LOOP(VWL_PLAIN_SLOT, 0)  \
        else LOOP(VWL_ANY_SLOT, table->group)                                 \
    } while (0)

#define VWL_AHEAD 32 /* features between prefetch and use */

/* Dot product sum w x over n features, in four lanes. Features must be readable VWL_AHEAD + 4 past the end. */
static inline float vwl_dot(const vwl_table *table, const void *features, size_t n) {
    float a = 0, b = 0, c = 0, d = 0;
    size_t j = 0;
#define VWL_DOT(SLOT, group)                                     \
    {                                                            \
        for (; j + 4 <= n; j += 4) {                             \
            __builtin_prefetch(SLOT(f[j + VWL_AHEAD]));          \
            __builtin_prefetch(SLOT(f[j + VWL_AHEAD + 1]));      \
            __builtin_prefetch(SLOT(f[j + VWL_AHEAD + 2]));      \
            __builtin_prefetch(SLOT(f[j + VWL_AHEAD + 3]));      \
            a += *SLOT(f[j]) * f[j].value;                       \
            b += *SLOT(f[j + 1]) * f[j + 1].value;               \
            c += *SLOT(f[j + 2]) * f[j + 2].value;               \
            d += *SLOT(f[j + 3]) * f[j + 3].value;               \
        }                                                        \
        for (; j < n; j++) {                                     \
            __builtin_prefetch(SLOT(f[j + VWL_AHEAD]));          \
            a += *SLOT(f[j]) * f[j].value;                       \
        }                                                        \
    }
    VWL_EITHER(VWL_DOT, table->stride);
#undef VWL_DOT
    return (a + b) + (c + d);
}

/* Step w += u x, times the rate if slots have one; skips a weight that would not be finite. Returns whether any was. */
static inline int vwl_add(const vwl_table *table, const void *features, size_t n, float u) {
    size_t j;
    float *slot, w;
    int left_out = 0;
#define VWL_STEP(SLOT, x)                        \
    for (j = 0; j < n; j++) {                    \
        slot = SLOT(f[j]);                       \
        w = slot[0] + u * (x);                   \
        if (fabsf(w) <= FLT_MAX) slot[0] = w;    \
        else left_out = 1;                       \
    }
#define VWL_ADD_RATED(SLOT, group) VWL_STEP(SLOT, f[j].value * slot[3 << (group)])
#define VWL_ADD(SLOT, group) VWL_STEP(SLOT, f[j].value)
    if (table->stride)
        VWL_EITHER(VWL_ADD_RATED, 2);
    else
        VWL_EITHER(VWL_ADD, 0);
#undef VWL_STEP
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
    size_t j = 0, k;
#define VWL_RATE_OF_EACH(SLOT, group) \
    for (k = 0; k < 4; k++) vwl_rate(SLOT(f[j + k]), group, f[j + k].value, g2, &sums[k], &norms[k]);
#if defined(__SSE2__)
    const __m128 g2s = _mm_set1_ps(g2);
    __m128 sum = _mm_setzero_ps(), norm_sum = _mm_setzero_ps();
    float *s0, *s1, *s2, *s3;
#define VWL_RATE4(SLOT, group)                                                                                     \
    s0 = SLOT(f[j]), s1 = SLOT(f[j + 1]), s2 = SLOT(f[j + 2]), s3 = SLOT(f[j + 3]);                                \
    if ((group) == 0 && ((s0 != s1) & (s0 != s2) & (s0 != s3) & (s1 != s2) & (s1 != s3) & (s2 != s3))) {           \
        vwl_rate4(s0, s1, s2, s3, vwl_values(f + j), g2s, &sum, &norm_sum);                                        \
    } else {                                                                                                       \
        _mm_storeu_ps(sums, sum);                                                                                  \
        _mm_storeu_ps(norms, norm_sum);                                                                            \
        VWL_RATE_OF_EACH(SLOT, group)                                                                              \
        sum = _mm_loadu_ps(sums);                                                                                  \
        norm_sum = _mm_loadu_ps(norms);                                                                            \
    }
#define VWL_STORE_SUMS() _mm_storeu_ps(sums, sum), _mm_storeu_ps(norms, norm_sum)
#else
#define VWL_RATE4 VWL_RATE_OF_EACH
#define VWL_STORE_SUMS() (void)0
#endif
#define VWL_RATES(SLOT, group)                                                             \
    {                                                                                      \
        for (; j + 4 <= n; j += 4) {                                                       \
            VWL_RATE4(SLOT, group)                                                         \
        }                                                                                  \
        VWL_STORE_SUMS();                                                                  \
        for (; j < n; j++) vwl_rate(SLOT(f[j]), group, f[j].value, g2, ppu, norm);         \
    }
    VWL_EITHER(VWL_RATES, 2);
#undef VWL_RATES
#undef VWL_RATE4
#undef VWL_RATE_OF_EACH
#undef VWL_STORE_SUMS
    *ppu += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    *norm += (norms[0] + norms[1]) + (norms[2] + norms[3]);
}
#endif
