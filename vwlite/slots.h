/* The rates of gd's usual update (adaptive, normalized, power_t 0.5), four features at a time.
 *
 * A slot is four neighbouring floats: weight, adaptive (G), normalizer (N), rate (R). Four slots are loaded whole,
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

/* Update G and N (and W where N grows), leave the rates in R; adds sum x^2 r to *ppu and sum x^2/N^2 to *norm. */
static inline void vwl_usual_rates(float *values, size_t mask, int width, uint32_t offset, const void *feature_array,
                                   size_t n, float g2, float *ppu, float *norm) {
    const vwl_feature *f = (const vwl_feature *)feature_array;
    float sums[4] = {0, 0, 0, 0}, norms[4] = {0, 0, 0, 0};
    float *slot[4];
    size_t j = 0, k;
#define VWL_SLOT(i) (values + ((((size_t)(uint32_t)((f[i].hash << width) + offset)) & mask) << 2))
#if defined(__SSE2__)
    const __m128 tiny = _mm_set1_ps(VWL_TINY), one = _mm_set1_ps(1.0f), g2s = _mm_set1_ps(g2),
                 most = _mm_set1_ps(FLT_MAX);
    const __m128 positive = _mm_castsi128_ps(_mm_set1_epi32(0x7FFFFFFF));
    __m128 sum = _mm_setzero_ps(), norm_sum = _mm_setzero_ps();
#endif
    for (; j + 4 <= n; j += 4) {
        for (k = 0; k < 4; k++) slot[k] = VWL_SLOT(j + k);
        if (slot[0] == slot[1] || slot[0] == slot[2] || slot[0] == slot[3] || slot[1] == slot[2] ||
            slot[1] == slot[3] || slot[2] == slot[3]) {
#if defined(__SSE2__)
            _mm_storeu_ps(sums, sum);
            _mm_storeu_ps(norms, norm_sum);
#endif
            for (k = 0; k < 4; k++) vwl_rate(slot[k], f[j + k].value, g2, &sums[k], &norms[k]);
#if defined(__SSE2__)
            sum = _mm_loadu_ps(sums);
            norm_sum = _mm_loadu_ps(norms);
#endif
            continue;
        }
#if defined(__SSE2__)
        {
            __m128 w = _mm_load_ps(slot[0]), g = _mm_load_ps(slot[1]), m = _mm_load_ps(slot[2]),
                   r = _mm_load_ps(slot[3]);
            __m128 x, x2, grown, shrink, inverse;
            _MM_TRANSPOSE4_PS(w, g, m, r);
            x = _mm_max_ps(_mm_and_ps(_mm_set_ps(f[j + 3].value, f[j + 2].value, f[j + 1].value, f[j].value), positive),
                           tiny);
            x2 = _mm_mul_ps(x, x);
            g = _mm_min_ps(_mm_add_ps(g, _mm_mul_ps(g2s, x2)), most);
            grown = _mm_cmpgt_ps(x, m);
            if (_mm_movemask_ps(grown)) {
                /* where 0 < N < |x| the weight shrinks by N/|x| */
                shrink = _mm_and_ps(grown, _mm_cmpgt_ps(m, _mm_setzero_ps()));
                w = _mm_or_ps(_mm_andnot_ps(shrink, w), _mm_and_ps(shrink, _mm_mul_ps(w, _mm_div_ps(m, x))));
                m = _mm_max_ps(m, x);
            }
            inverse = _mm_div_ps(one, m);
            r = _mm_div_ps(inverse, _mm_sqrt_ps(g));
            sum = _mm_add_ps(sum, _mm_mul_ps(x2, r));
            x = _mm_mul_ps(x, inverse); /* at most 1, so no value of a feature makes the sum infinite */
            norm_sum = _mm_add_ps(norm_sum, _mm_mul_ps(x, x));
            _MM_TRANSPOSE4_PS(w, g, m, r);
            _mm_store_ps(slot[0], w);
            _mm_store_ps(slot[1], g);
            _mm_store_ps(slot[2], m);
            _mm_store_ps(slot[3], r);
        }
#else
        for (k = 0; k < 4; k++) vwl_rate(slot[k], f[j + k].value, g2, &sums[k], &norms[k]);
#endif
    }
#if defined(__SSE2__)
    _mm_storeu_ps(sums, sum);
    _mm_storeu_ps(norms, norm_sum);
#endif
    for (k = 0; j < n; j++, k++) vwl_rate(VWL_SLOT(j), f[j].value, g2, &sums[k], &norms[k]);
#undef VWL_SLOT
    *ppu += (sums[0] + sums[1]) + (sums[2] + sums[3]);
    *norm += (norms[0] + norms[1]) + (norms[2] + norms[3]);
}
#endif
