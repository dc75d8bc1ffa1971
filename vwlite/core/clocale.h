/* Numbers that do not depend on the locale of the program that vwlite lives in.
 *
 * strtod and snprintf read and write a decimal comma where LC_NUMERIC of the process says so, and a library may not change
 * that. A thread may take another locale for itself for a moment (POSIX.1-2008), which costs a few nanoseconds. */
#ifndef VWLITE_CLOCALE_H
#define VWLITE_CLOCALE_H
#include <locale.h>
#if defined(__APPLE__)
#include <xlocale.h>
#endif
#include <stdio.h>
#include <stdlib.h>

static locale_t vwl_plain; /* glibc's and musl's "C" is always there, so this cannot fail */

__attribute__((constructor)) static void vwl_make_plain(void) { vwl_plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* Out of line: numbers that need it are few, and what reads the others stays small. */
__attribute__((noinline, cold, unused)) static double vwl_strtod(const char *text, char **end) {
    const locale_t before = uselocale(vwl_plain);
    const double value = strtod(text, end);
    uselocale(before);
    return value;
}

/* Write a number in at most `size` bytes with printf's `format`; returns the bytes written. */
static inline int vwl_print(char *to, size_t size, const char *format, double value) {
    const locale_t before = uselocale(vwl_plain);
    const int n = snprintf(to, size, format, value);
    uselocale(before);
    return n;
}
#endif
