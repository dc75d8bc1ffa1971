/* FTRL, PiSTOL and coin betting: loops over the features of an example. The equations are in reductions/ftrl.pyx.
 *
 * A slot of --ftrl is weight, z, G and an unused float: the SIMD loop loads and transposes four slots, as in slots.h.
 * If two of four features share a slot, the second must see the update of the first, so such a group goes through the
 * scalar loop, as does one with a number that would not be finite. Both loops make the same operations: results are
 * identical.
 * A slot of --pistol is weight, z, G, M; one of --coin weight, z, G, M, R, L and two unused floats.
 * Numbers beyond single precision are computed again in double precision and clipped to the largest float. */
#ifndef VWLITE_FTRL_H
#define VWLITE_FTRL_H
#include "vwlite/bases/slots.h"
#include "vwlite/core/elementary.h"

static inline float vwl_larger(float a, float b) { return a > b ? a : b; }

static inline float vwl_to_float(double w) {
    if (!(w == w)) return 0;
    return w > FLT_MAX ? FLT_MAX : w < -FLT_MAX ? -FLT_MAX : (float)w;
}

/* --ftrl */

typedef struct {
    float inverse_alpha, beta, l1, l2;
} vwl_proximal;

/* Update of one feature; returns whether it was skipped because a number would not have been finite. */
static inline int vwl_proximal_step(float *slot, float x, float u, const vwl_proximal *by) {
    const float g = u * x;
    float squares = slot[2] + g * g, root, z, w;
    if (!(squares <= FLT_MAX)) squares = FLT_MAX;
    root = sqrtf(squares);
    z = slot[1] + (g - (root - sqrtf(slot[2])) * by->inverse_alpha * slot[0]);
    w = fabsf(z) > by->l1 ? (copysignf(by->l1, z) - z) / (by->l2 + (by->beta + root) * by->inverse_alpha) : 0;
    if (!(fabsf(z) <= FLT_MAX && fabsf(w) <= FLT_MAX)) return 1;
    slot[0] = w;
    slot[1] = z;
    slot[2] = squares;
    return 0;
}

#if defined(__SSE2__)
/* Update of four different slots (SIMD); returns 0 and stores nothing if a number is not finite. */
static inline int vwl_proximal_step4(float *s0, float *s1, float *s2, float *s3, const vwl_feature *f, __m128 u,
                                     __m128 inverse_alpha, __m128 beta, __m128 l1, __m128 l2) {
    const __m128 most = _mm_set1_ps(FLT_MAX), sign = _mm_castsi128_ps(_mm_set1_epi32((int)0x80000000));
    __m128 w = _mm_load_ps(s0), z = _mm_load_ps(s1), squares = _mm_load_ps(s2), r = _mm_load_ps(s3);
    __m128 g, grown, root, finite, size;
    _MM_TRANSPOSE4_PS(w, z, squares, r);
    /* every second of eight words is a value */
    g = _mm_shuffle_ps(_mm_loadu_ps((const float *)f), _mm_loadu_ps((const float *)(f + 2)), _MM_SHUFFLE(3, 1, 3, 1));
    g = _mm_mul_ps(u, g);
    grown = _mm_min_ps(_mm_add_ps(squares, _mm_mul_ps(g, g)), most);
    root = _mm_sqrt_ps(grown);
    w = _mm_mul_ps(_mm_mul_ps(_mm_sub_ps(root, _mm_sqrt_ps(squares)), inverse_alpha), w);
    z = _mm_add_ps(z, _mm_sub_ps(g, w));
    size = _mm_andnot_ps(sign, z);
    w = _mm_sub_ps(_mm_or_ps(l1, _mm_and_ps(sign, z)), z);
    w = _mm_div_ps(w, _mm_add_ps(l2, _mm_mul_ps(_mm_add_ps(beta, root), inverse_alpha)));
    w = _mm_and_ps(w, _mm_cmpgt_ps(size, l1));
    finite = _mm_and_ps(_mm_cmple_ps(size, most), _mm_cmple_ps(_mm_andnot_ps(sign, w), most));
    if (_mm_movemask_ps(finite) != 15) return 0;
    squares = grown;
    _MM_TRANSPOSE4_PS(w, z, squares, r);
    _mm_store_ps(s0, w);
    _mm_store_ps(s1, z);
    _mm_store_ps(s2, squares);
    _mm_store_ps(s3, r);
    return 1;
}
#endif

/* Update of all features by u, the derivative of the loss times the importance weight. */
static inline int vwl_proximal_learn(const vwl_table *table, const void *features, size_t n, float u,
                                     const vwl_proximal *by) {
    int left_out = 0;
    size_t j = 0;
#if defined(__SSE2__)
    size_t k;
    float *s0, *s1, *s2, *s3;
    const __m128 us = _mm_set1_ps(u), inverse_alpha = _mm_set1_ps(by->inverse_alpha), beta = _mm_set1_ps(by->beta);
    const __m128 l1 = _mm_set1_ps(by->l1), l2 = _mm_set1_ps(by->l2);
#define VWL_FOUR(SLOT)                                                                                              \
    for (; j + 4 <= n; j += 4) {                                                                                    \
        s0 = SLOT(f[j]), s1 = SLOT(f[j + 1]), s2 = SLOT(f[j + 2]), s3 = SLOT(f[j + 3]);                             \
        if ((s0 != s1) & (s0 != s2) & (s0 != s3) & (s1 != s2) & (s1 != s3) & (s2 != s3) &&                          \
            vwl_proximal_step4(s0, s1, s2, s3, f + j, us, inverse_alpha, beta, l1, l2))                             \
            continue;                                                                                               \
        for (k = j; k < j + 4; k++) left_out |= vwl_proximal_step(SLOT(f[k]), f[k].value, u, by);                   \
    }
#else
#define VWL_FOUR(SLOT)
#endif
#define VWL_STEPS(SLOT, group)                                                                \
    {                                                                                         \
        VWL_FOUR(SLOT)                                                                        \
        for (; j < n; j++) left_out |= vwl_proximal_step(SLOT(f[j]), f[j].value, u, by);      \
    }
    VWL_EITHER(VWL_STEPS, 2);
#undef VWL_STEPS
#undef VWL_FOUR
    return left_out;
}

/* --pistol */

typedef struct {
    float alpha, beta;
} vwl_betting; /* also used by --coin */

/* Weight of a feature with the value x. */
static inline float vwl_pistol_weight(const float *slot, float x, const vwl_betting *by) {
    const float z = slot[1], sizes = slot[2], m = vwl_larger(slot[3], fabsf(x));
    const float k = 1 / (by->alpha * m * (sizes + m));
    float w = sqrtf(sizes) * by->beta * z * vwl_expf(z * z / 2 * k) * k;
    double wide;
    if (fabsf(w) <= FLT_MAX) return w;
    if (z == 0 || sizes == 0 || m == 0) return 0;
    wide = 1 / ((double)by->alpha * m * ((double)sizes + m));
    return vwl_to_float(sqrt(sizes) * by->beta * z * vwl_exp(fmin((double)z * z / 2 * wide, 700)) * wide);
}

static inline int vwl_pistol_step(float *slot, float x, float u, const vwl_betting *by) {
    const float g = u * x, z = slot[1] - g;
    float sizes = slot[2] + fabsf(g);
    if (!(fabsf(z) <= FLT_MAX)) return 1;
    if (!(sizes <= FLT_MAX)) sizes = FLT_MAX;
    slot[0] = vwl_pistol_weight(slot, x, by);
    slot[1] = z;
    slot[2] = sizes;
    slot[3] = vwl_larger(slot[3], fabsf(x));
    return 0;
}

/* sum w x; `as_vw` leaves weight and M in the slots on the way, as VW does when it learns. */
static inline float vwl_pistol_score(const vwl_table *table, const void *features, size_t n, const vwl_betting *by,
                                     int as_vw) {
    float score = 0, w, *slot;
    size_t j;
#define VWL_SCORE(SLOT, group)                                                            \
    for (j = 0; j < n; j++) {                                                       \
        __builtin_prefetch(SLOT(f[j + VWL_AHEAD]));           \
        slot = SLOT(f[j]);                                    \
        w = vwl_pistol_weight(slot, f[j].value, by);                                \
        score += w * f[j].value;                                                    \
        if (as_vw) slot[0] = w, slot[3] = vwl_larger(slot[3], fabsf(f[j].value));   \
    }
    VWL_EITHER(VWL_SCORE, table->stride);
#undef VWL_SCORE
    return score;
}

static inline int vwl_pistol_learn(const vwl_table *table, const void *features, size_t n, float u,
                                   const vwl_betting *by, int as_vw) {
    int left_out = 0;
    float w, *slot;
    size_t j;
#define VWL_STEPS(SLOT, group)                                            \
    for (j = 0; j < n; j++) {                                       \
        slot = SLOT(f[j]);                    \
        w = slot[0];                                                \
        left_out |= vwl_pistol_step(slot, f[j].value, u, by);       \
        if (as_vw) slot[0] = w;                                     \
    }
    VWL_EITHER(VWL_STEPS, table->stride);
#undef VWL_STEPS
    return left_out;
}

/* --coin */

/* Weight of a feature with the value x, not yet divided by the mean norm. */
static inline float vwl_coin_weight(const float *slot, float x, const vwl_betting *by) {
    const float bound = slot[5] * vwl_larger(slot[3], fabsf(x));
    float w;
    double wide;
    if (!(bound > 0)) return 0;
    w = (by->alpha + slot[4]) / (bound * (bound + slot[2])) * slot[1];
    if (fabsf(w) <= FLT_MAX) return w;
    wide = (double)slot[5] * vwl_larger(slot[3], fabsf(x));
    return vwl_to_float(((double)by->alpha + slot[4]) / (wide * (wide + slot[2])) * slot[1]);
}

static inline int vwl_coin_step(float *slot, float x, float u, float norm, const vwl_betting *by) {
    const float g = u * x, z = slot[1] - g;
    float moved[6], sizes = slot[2] + fabsf(g);
    int i;
    if (!(sizes <= FLT_MAX)) sizes = FLT_MAX;
    for (i = 0; i < 6; i++) moved[i] = slot[i];
    moved[3] = vwl_larger(slot[3], fabsf(x));
    if (fabsf(u) > slot[5]) moved[5] = vwl_larger(fabsf(u), by->beta);
    moved[0] = vwl_coin_weight(moved, 0, by);
    moved[1] = z;
    moved[2] = sizes;
    moved[4] = slot[4] - g * moved[0];
    if (!(fabsf(z) <= FLT_MAX && fabsf(moved[4]) <= FLT_MAX)) return 1;
    moved[0] = vwl_to_float((double)(moved[0] / norm));
    for (i = 0; i < 6; i++) slot[i] = moved[i];
    return 0;
}

/* sum w x; *norm becomes sum x^2 / M^2. */
static inline float vwl_coin_score(const vwl_table *table, const void *features, size_t n, const vwl_betting *by,
                                   float *norm) {
    float score = 0, share, m, *slot;
    size_t j;
    *norm = 0;
#define VWL_SCORE(SLOT, group)                                                    \
    for (j = 0; j < n; j++) {                                               \
        __builtin_prefetch(SLOT(f[j + VWL_AHEAD]));   \
        slot = SLOT(f[j]);                            \
        score += vwl_coin_weight(slot, f[j].value, by) * f[j].value;        \
        m = vwl_larger(slot[3], fabsf(f[j].value));                         \
        share = m > 0 ? f[j].value / m : 0;                                 \
        *norm += share * share;                                             \
    }
    VWL_EITHER(VWL_SCORE, table->stride);
#undef VWL_SCORE
    return score;
}

static inline int vwl_coin_learn(const vwl_table *table, const void *features, size_t n, float u, float norm,
                                 const vwl_betting *by) {
    int left_out = 0;
    size_t j;
#define VWL_STEPS(SLOT, group)                                                                                        \
    for (j = 0; j < n; j++) left_out |= vwl_coin_step(SLOT(f[j]), f[j].value, u, norm, by);
    VWL_EITHER(VWL_STEPS, table->stride);
#undef VWL_STEPS
    return left_out;
}

/* Mean norm, from the sum of norms and of weights. */
static inline float vwl_mean_norm(double sum, double weight) {
    return weight > 0 ? (float)((sum + 1e-6) / weight) : 1;
}

static inline float vwl_normed(float score, float norm) { return score / norm; }
#endif
