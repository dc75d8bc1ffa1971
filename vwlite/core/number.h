/* Number parser for VW's text format: VW's own decimal grammar, and what else C's strtod reads, in any locale.
 *
 * A number is [-] digits [. digits] [(e|E) [-] digits]. Without any digit it is 0 if a blank or the line's end follows
 * (`x:-`, `x:.`, `x:e5`), as in VW. Values are correctly rounded, except the short decimals of vwl_number, which may be
 * off by one unit once in 2^28 times; VW's own decimals are often off by one in the last place. */
#ifndef VWLITE_NUMBER_H
#define VWLITE_NUMBER_H
#include "bytescan.h"
#include "clocale.h"

static const double vwl_power[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
static const double vwl_inverse[9] = {1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8};

static inline int vwl_is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }

static inline int vwl_ends_line(const uint8_t *p) { return *p == '\n' || (*p == '\r' && p[1] == '\n'); }

typedef struct {
    uint64_t mantissa;
    int exponent, digits, exact;
} vwl_decimal;

static inline const uint8_t *vwl_digits(const uint8_t *p, vwl_decimal *number, int step) {
    for (; vwl_is_digit(*p); p++) {
        number->digits++;
        if (number->mantissa < 100000000000000ull) { /* ten times this and a digit are exact in double precision */
            number->mantissa = number->mantissa * 10 + (uint64_t)(*p - '0');
            number->exponent -= step;
        } else {
            number->exact = 0;
        }
    }
    return p;
}

/* Parse any number; returns the position after it, `start` itself if there is none. */
static const uint8_t *vwl_any_number(const uint8_t *start, float *value) {
    vwl_decimal number = {0, 0, 0, 1};
    int written = 0, sign = 1;
    char *end;
    double result;
    const uint8_t *p = vwl_digits(start + (*start == '-'), &number, 0);
    if (*p == '.') p = vwl_digits(p + 1, &number, 1);
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-') {
            sign = -1;
            p++;
        }
        for (; vwl_is_digit(*p); p++)
            if (written < 10000) written = written * 10 + (*p - '0');
        number.exponent += sign * written;
    }
    if (*p == ' ' || *p == '\t' || vwl_ends_line(p)) {
        if (!number.digits) {
            *value = 0;
        } else if (number.exact && number.exponent >= -22 && number.exponent <= 22) {
            result = (double)number.mantissa;
            result = number.exponent < 0 ? result / vwl_power[-number.exponent] : result * vwl_power[number.exponent];
            *value = (float)(*start == '-' ? -result : result);
        } else {
            *value = (float)vwl_strtod((const char *)start, NULL);
        }
        return p;
    }
    if (*start <= ' ') return start; /* strtod would skip the blank */
    *value = (float)vwl_strtod((const char *)start, &end);
    return (const uint8_t *)end;
}

/* The same for a word of n bytes before a stop byte; fast paths for up to 8 digits, for a digit, a point and up to 8
 * digits, and for the latter with an exponent of e-dd, as C's %e writes it. */
static inline const uint8_t *vwl_number(const uint8_t *p, size_t n, float *value) {
    int ok;
    uint32_t digits;
    if (n == 0) return p;
    if (n > 2 && n <= 10 && p[1] == '.') {
        digits = vwl_few_digits(p + 2, n - 2, &ok);
        if (ok && vwl_is_digit(*p)) {
            *value = (float)(((double)(*p - '0') * vwl_power[n - 2] + digits) * vwl_inverse[n - 2]);
            return p + n;
        }
    } else if (n <= 8) {
        digits = vwl_few_digits(p, n, &ok);
        if (ok) {
            *value = (float)digits;
            return p + n;
        }
    }
    if (n > 6 && n <= 14 && p[1] == '.' && p[n - 4] == 'e' && p[n - 3] == '-' && vwl_is_digit(p[n - 2]) &&
        vwl_is_digit(p[n - 1]) && vwl_is_digit(*p)) {
        const size_t exponent = (size_t)(p[n - 2] - '0') * 10 + (size_t)(p[n - 1] - '0') + (n - 6);
        digits = vwl_few_digits(p + 2, n - 6, &ok);
        if (ok && exponent <= 22) { /* the operations of vwl_any_number, so the same bits */
            *value = (float)(((double)(*p - '0') * vwl_power[n - 6] + digits) / vwl_power[exponent]);
            return p + n;
        }
    }
    return vwl_any_number(p, value);
}
#endif
