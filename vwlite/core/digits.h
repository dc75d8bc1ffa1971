/* Decimal digits of numbers, two at a time. */
#ifndef VWLITE_DIGITS_H
#define VWLITE_DIGITS_H
#include <math.h>
#include <stdint.h>
#include <string.h>

static const char vwl_pairs[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354"
    "555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static inline void vwl_pair(char *to, uint32_t number) { memcpy(to, vwl_pairs + 2 * number, 2); }

/* Write a whole number below 10^6; returns the end. */
static inline char *vwl_whole(char *to, uint32_t number) {
    const int n = 1 + (number > 9) + (number > 99) + (number > 999) + (number > 9999) + (number > 99999);
    char six[6];
    if (n == 1) {
        *to = (char)('0' + number);
        return to + 1;
    }
    vwl_pair(six, number / 10000), vwl_pair(six + 2, number / 100 % 100), vwl_pair(six + 4, number % 100);
    memcpy(to, six + 6 - n, (size_t)n);
    return to + n;
}

/* Write a number with six decimals, a float of 0 <= size < 10^6; returns the end.
 *
 * Such a float times 10^6 is exact in double precision, so this rounds as printf does: ties to even. */
static inline char *vwl_millionths(char *to, double size) {
    const uint64_t millionths = (uint64_t)llrint(size * 1e6);
    const uint32_t part = (uint32_t)(millionths % 1000000);
    to = vwl_whole(to, (uint32_t)(millionths / 1000000));
    *to = '.';
    vwl_pair(to + 1, part / 10000), vwl_pair(to + 3, part / 100 % 100), vwl_pair(to + 5, part % 100);
    return to + 7;
}
#endif
