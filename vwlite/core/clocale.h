/* Locale-independent strtod and snprintf, whatever the locale of the host process.
 *
 * strtod and snprintf use the decimal point of the process's LC_NUMERIC, which may be a comma, and a library must not
 * change that. uselocale() switches the locale of one thread (POSIX.1-2008), which costs a few nanoseconds. */
#ifndef VWLITE_CLOCALE_H
#define VWLITE_CLOCALE_H
#include <locale.h>
#if defined(__APPLE__)
#include <xlocale.h>
#endif
#include <stdio.h>
#include <stdlib.h>

static locale_t vwl_plain; /* glibc and musl always have "C", so this cannot fail */

__attribute__((constructor)) static void vwl_make_plain(void) { vwl_plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* Not inlined: few numbers need it, and the code that reads the others stays small. */
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
