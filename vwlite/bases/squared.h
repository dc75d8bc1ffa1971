/* The usual update of several weight vectors for the squared loss, eight at a time (AVX2): GD.update_lanes with
 * evaluate_squared(), note_norm() and squared_flow(), and with their bits.
 *
 * Each step is done for up to VWL_CHUNK vectors before the next one: a division, a square root and a power of e take
 * long, but those of different vectors go side by side. Products of two floats are computed in single precision where
 * those functions round the product of doubles, which is exact. */
#ifndef VWLITE_SQUARED_H
#define VWLITE_SQUARED_H
#include "vectors.h"
#include "vwlite/core/elementary.h"

#define VWL_CHUNK 64

/* Sums over the examples that each weight vector has learned. */
typedef struct {
    double *t;                             /* of weights, plus initial_t: the clock of the decay of the learning rate */
    double *normalized_sum, *total_weight; /* S and T */
    double *multiplier;                    /* sqrt(T / S) of the last update, in single precision */
} vwl_scales;

typedef struct {
    float weight, rate; /* importance weight; learning rate times that */
    float low, high;    /* the range of predictions */
    float few;          /* below this total step the plain update is exact to rounding */
} vwl_squared;

#ifdef VWL_AVX2
VWL_AVX2 static inline __m256d vwl_low(__m256 v) { return _mm256_cvtps_pd(_mm256_castps256_ps128(v)); }
VWL_AVX2 static inline __m256d vwl_high(__m256 v) { return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1)); }
VWL_AVX2 static inline __m256 vwl_both(__m256d low, __m256d high) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}

/* What _mm256_shuffle_ps made of every second number of two vectors, in their order. */
VWL_AVX2 static inline __m256 vwl_in_order(__m256 v) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
}

/* vwl_brief_exp() of numbers below 650 in size */
VWL_AVX2 static inline __m256d vwl_four_exp(__m256d x) {
    const double *c = vwl_brief_exp_factors;
    const __m256d magic = _mm256_set1_pd(VWL_MAGIC), steps = x * _mm256_set1_pd(VWL_STEPS_OF_E);
    const __m256d shifted = steps + magic, t = steps - (shifted - magic);
    const __m256i k = _mm256_castpd_si256(shifted), low = _mm256_set1_epi64x(63);
    const __m256d row = _mm256_i64gather_pd(&vwl_powers[0].value, _mm256_slli_epi64(_mm256_and_si256(k, low), 1), 8);
    const __m256i scale = _mm256_add_epi64(_mm256_castpd_si256(row),
                                           _mm256_slli_epi64(_mm256_andnot_si256(low, k), 46));
    return (_mm256_castsi256_pd(scale) * (c[0] + c[1] * t)) * (c[2] + t * (c[3] + t));
}

/* note_norm() of four vectors from `i` on, of which the active ones learn; returns their multipliers. */
VWL_AVX2 static inline __m256d vwl_note_norms(const vwl_scales *scales, size_t i, __m128i active, double weight,
                                              __m256d norm) {
    const __m256d learns = _mm256_castsi256_pd(_mm256_cvtepi32_epi64(active));
    const __m256d sum = _mm256_loadu_pd(scales->normalized_sum + i), total = _mm256_loadu_pd(scales->total_weight + i);
    const __m256d sum_now = sum + weight * norm, total_now = total + weight;
    const __m256d root = _mm256_cvtps_pd(_mm256_cvtpd_ps(_mm256_sqrt_pd(total_now / sum_now)));
    const __m256d positive = _mm256_cmp_pd(sum_now, _mm256_setzero_pd(), _CMP_GT_OQ);
    const __m256d multiplier = _mm256_blendv_pd(_mm256_loadu_pd(scales->multiplier + i), root,
                                                _mm256_and_pd(learns, positive));
    _mm256_storeu_pd(scales->normalized_sum + i, _mm256_blendv_pd(sum, sum_now, learns));
    _mm256_storeu_pd(scales->total_weight + i, _mm256_blendv_pd(total, total_now, learns));
    _mm256_storeu_pd(scales->multiplier + i, multiplier);
    return multiplier;
}

/* Returns how many of `count` vectors, at most VWL_CHUNK, left a step out because a weight would not be finite; -1, and
 * nothing is changed, if a score is not finite or a prediction out of range. `scored` has pairs of the two. */
VWL_AVX2 static int vwl_learn_squared(float *const *at, int group, const void *features, size_t n, size_t place,
                                      const vwl_squared *how, const float *scored, const float *labels,
                                      uint32_t count, const vwl_scales *scales, size_t offset) {
    const vwl_feature *f = (const vwl_feature *)features;
    const __m256 size = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)), most = _mm256_set1_ps(FLT_MAX);
    const __m256 none = _mm256_setzero_ps();
    const __m256i order = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i order_a = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    const __m256i order_b = _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7);
    __m256 error[VWL_CHUNK / 8], ppu[VWL_CHUNK / 8], norm[VWL_CHUNK / 8], u[VWL_CHUNK / 8], multiplier[VWL_CHUNK / 8];
    vwl_lanes each[VWL_CHUNK / 8];
    const uint32_t groups = (count + 7) / 8;
    uint32_t k, i;
    int left_out = 0, odd = 0;
    if (!(how->rate < 1e30f)) return -1; /* products of single precision below would be infinite too early */
    for (k = 0; k < groups; k++) {
        const __m256i left = _mm256_set1_epi32((int)(count - 8 * k));
        const __m256i valid = _mm256_cmpgt_epi32(left, order);
        const __m256 a = _mm256_maskload_ps(scored + 16 * k, _mm256_cmpgt_epi32(left, order_a));
        const __m256 b = _mm256_maskload_ps(scored + 16 * k + 8, _mm256_cmpgt_epi32(left, order_b));
        const __m256 s = vwl_in_order(_mm256_shuffle_ps(a, b, 0x88)), p = vwl_in_order(_mm256_shuffle_ps(a, b, 0xdd));
        const __m256 y = _mm256_maskload_ps(labels + 8 * k, valid), d = p - y;
        const __m256 sound = _mm256_cmp_ps(_mm256_and_ps(s, size), most, _CMP_LE_OQ);
        const __m256 inside = _mm256_and_ps(_mm256_cmp_ps(p, _mm256_set1_ps(how->low), _CMP_GE_OQ),
                                            _mm256_cmp_ps(p, _mm256_set1_ps(how->high), _CMP_LE_OQ));
        odd |= _mm256_movemask_ps(_mm256_andnot_ps(_mm256_and_ps(sound, inside), _mm256_castsi256_ps(valid)));
        error[k] = y - p;
        _mm256_storeu_ps(each[k].g2, how->weight * (4.0f * d * d));
        _mm256_storeu_ps((float *)each[k].active, _mm256_cmp_ps(d * d, none, _CMP_GT_OQ));
    }
    if (odd) return -1;
    for (i = 0; i < count; i++) scales->t[offset + i] += how->weight;
    for (k = 0; k < groups; k++)
        vwl_rates_8(at, group, f, n, place + 8 * k, &each[k], (float *)&ppu[k], (float *)&norm[k]);
    for (k = 0; k < groups; k++) {
        const __m256i active = _mm256_loadu_si256((const __m256i *)each[k].active);
        const __m256d low = vwl_note_norms(scales, offset + 8 * k, _mm256_castsi256_si128(active), how->weight,
                                           vwl_low(norm[k]));
        const __m256d high = vwl_note_norms(scales, offset + 8 * k + 4, _mm256_extracti128_si256(active, 1),
                                            how->weight, vwl_high(norm[k]));
        __m256 x, power, usual;
        multiplier[k] = vwl_both(low, high);
        ppu[k] *= multiplier[k];
        x = -2.0f * how->rate * ppu[k];
        power = vwl_both(vwl_four_exp(vwl_low(x)), vwl_four_exp(vwl_high(x)));
        u[k] = vwl_both(vwl_low(error[k]) * (1.0 - vwl_low(power)) / vwl_low(ppu[k]),
                        vwl_high(error[k]) * (1.0 - vwl_high(power)) / vwl_high(ppu[k]));
        usual = _mm256_and_ps(_mm256_cmp_ps(how->rate * ppu[k], _mm256_set1_ps(how->few), _CMP_GE_OQ),
                              _mm256_cmp_ps(x, _mm256_set1_ps(-650), _CMP_GT_OQ));
        odd |= _mm256_movemask_ps(_mm256_andnot_ps(usual, _mm256_castsi256_ps(active)));
    }
    if (VWL_UNLIKELY(odd)) /* squared_flow() of each */
        for (i = 0; i < count; i++) {
            const float e = ((float *)error)[i], move = ((float *)ppu)[i];
            ((float *)u)[i] = how->rate * move < how->few ? (float)(2.0 * e * how->rate)
                                                          : (float)(e * (1.0 - vwl_expf(-2 * how->rate * move)) / move);
        }
    for (k = 0; k < groups; k++) {
        const __m256 active = _mm256_loadu_ps((const float *)each[k].active);
        const __m256 moves = _mm256_and_ps(active, _mm256_cmp_ps(u[k], none, _CMP_NEQ_UQ));
        const __m256 finite = _mm256_cmp_ps(_mm256_and_ps(u[k], size), most, _CMP_LE_OQ);
        int32_t bad[8];
        left_out += __builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_andnot_ps(finite, moves)));
        _mm256_storeu_ps((float *)each[k].active, _mm256_and_ps(moves, finite));
        u[k] *= multiplier[k];
        vwl_steps_8(at, group, f, n, place + 8 * k, &each[k], (const float *)&u[k], bad);
        left_out += __builtin_popcount((unsigned)_mm256_movemask_ps(_mm256_loadu_ps((const float *)bad)));
    }
    return left_out;
}
#else
static inline int vwl_learn_squared(float *const *at, int group, const void *features, size_t n, size_t place,
                                    const vwl_squared *how, const float *scored, const float *labels,
                                    uint32_t count, const vwl_scales *scales, size_t offset) {
    (void)at, (void)group, (void)features, (void)n, (void)place, (void)how, (void)scored, (void)labels, (void)count;
    (void)scales, (void)offset;
    return -1;
}
#endif
#endif
