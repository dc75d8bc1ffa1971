/* gd's loops over the features of an example: prediction, rates of the usual update (adaptive, normalized,
 * power_t 0.5), and the step.
 *
 * A slot of the rates is four neighbouring floats: weight, adaptive (G), normalizer (N), rate (R). Four slots are loaded whole,
 * transposed so that each vector holds one of the four numbers, worked on, transposed back and stored. Divisions and
 * square roots, which bound the scalar loop, then cost a quarter. Two of four features in one slot (an accident of
 * hashing, or a name twice in a line) must see each other's update, so such a group goes through the scalar loop.
 * Sums run in four lanes; machines without SSE2 keep the same four lanes, so results are the same everywhere. */
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

#define VWL_TINY 1.084202e-19f /* |x| below this counts as this: its square is the smallest normal float */

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

/* How features find their slots: slot (hash << width) + offset of a table of mask + 1 slots of 2^stride floats. Nearly
 * always width and offset are 0; VWL_EITHER compiles a loop once for that case and once for any. */
typedef struct {
    float *values;
    size_t mask;
    uint32_t offset;
    int width, stride;
} vwl_table;

#define VWL_PLAIN_INDEX(f) ((size_t)(f).hash & mask)
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

/* sum w x over n features, in four lanes. Features must be readable VWL_AHEAD + 4 past the end. */
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

/* vwl_dot for `count` weight vectors, `step` slots apart, in one pass over the features; bit for bit what it makes of
 * each. `lanes` has room for 4 * count floats; the sums end in its first `count`. */
static inline void vwl_dot_many(const vwl_table *table, const void *features, size_t n, uint32_t count, uint32_t step,
                                float *lanes) {
    const vwl_feature *f = (const vwl_feature *)features;
    const float *const values = table->values;
    const size_t mask = table->mask, whole = n & ~(size_t)3, apart = (size_t)step << table->stride;
    size_t j;
    uint32_t k;
    for (k = 0; k < 4 * count; k++) lanes[k] = 0;
    for (j = 0; j < n; j++) {
        float *const lane = lanes + (j < whole ? (j & 3) * (size_t)count : 0);
        const uint32_t first = (f[j].hash << table->width) + table->offset;
        const uint32_t later = (f[j + 8].hash << table->width) + table->offset;
        const float x = f[j].value;
        __builtin_prefetch(values + (((size_t)later & mask) << table->stride));
        if (((size_t)first & mask) + (size_t)count * step <= mask) { /* no end of the table in between */
            const float *w = values + (((size_t)first & mask) << table->stride);
            for (k = 0; k < count; k++, w += apart) lane[k] += *w * x;
        } else {
            for (k = 0; k < count; k++)
                lane[k] += values[((size_t)(uint32_t)(first + k * step) & mask) << table->stride] * x;
        }
    }
    for (k = 0; k < count; k++) lanes[k] = (lanes[k] + lanes[count + k]) + (lanes[2 * count + k] + lanes[3 * count + k]);
}

/* w += u x, times the rate where slots have one; a weight that would not be finite stays. Returns whether one did. */
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

/* Four different slots at once. */
#if defined(__SSE2__)
static inline void vwl_rate4(float *s0, float *s1, float *s2, float *s3, const vwl_feature *f, __m128 g2, __m128 *sum,
                             __m128 *norm) {
    const __m128 tiny = _mm_set1_ps(VWL_TINY), one = _mm_set1_ps(1.0f), most = _mm_set1_ps(FLT_MAX);
    const __m128 positive = _mm_castsi128_ps(_mm_set1_epi32(0x7FFFFFFF));
    __m128 w = _mm_load_ps(s0), g = _mm_load_ps(s1), m = _mm_load_ps(s2), r = _mm_load_ps(s3);
    __m128 x, x2, grown, shrink, inverse;
    _MM_TRANSPOSE4_PS(w, g, m, r);
    /* every second of eight words is a value */
    x = _mm_shuffle_ps(_mm_loadu_ps((const float *)f), _mm_loadu_ps((const float *)(f + 2)), _MM_SHUFFLE(3, 1, 3, 1));
    x = _mm_max_ps(_mm_and_ps(x, positive), tiny);
    x2 = _mm_mul_ps(x, x);
    g = _mm_min_ps(_mm_add_ps(g, _mm_mul_ps(g2, x2)), most);
    grown = _mm_cmpgt_ps(x, m);
    if (_mm_movemask_ps(grown)) {
        /* where 0 < N < |x| the weight shrinks by N/|x| */
        shrink = _mm_and_ps(grown, _mm_cmpgt_ps(m, _mm_setzero_ps()));
        w = _mm_or_ps(_mm_andnot_ps(shrink, w), _mm_and_ps(shrink, _mm_mul_ps(w, _mm_div_ps(m, x))));
        m = _mm_max_ps(m, x);
    }
    inverse = _mm_div_ps(one, m);
    r = _mm_div_ps(inverse, _mm_sqrt_ps(g));
    *sum = _mm_add_ps(*sum, _mm_mul_ps(x2, r));
    x = _mm_mul_ps(x, inverse); /* at most 1, so no value of a feature makes the sum infinite */
    *norm = _mm_add_ps(*norm, _mm_mul_ps(x, x));
    _MM_TRANSPOSE4_PS(w, g, m, r);
    _mm_store_ps(s0, w);
    _mm_store_ps(s1, g);
    _mm_store_ps(s2, m);
    _mm_store_ps(s3, r);
}
#endif

/* Update G and N (and W where N grows), leave the rates in R; add sum x^2 r to *ppu and sum x^2/N^2 to *norm. */
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
        vwl_rate4(values + (i0 << 2), values + (i1 << 2), values + (i2 << 2), values + (i3 << 2), f + j, g2s, &sum, \
                  &norm_sum);                                                                                     \
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
#endif
