"""Elementary functions with the same bits on every machine: use these in place of those of libc.math.

Cast to float, brief_exp and brief_log are those of floats.
"""

cdef extern from "vwlite/core/elementary.h" nogil:
    double exp "vwl_exp"(double x) noexcept
    double expm1 "vwl_expm1"(double x) noexcept
    double log "vwl_log"(double x) noexcept
    double log1p "vwl_log1p"(double x) noexcept
    double pow "vwl_pow"(double x, double y) noexcept
    double erfc "vwl_erfc"(double x) noexcept
    float expf "vwl_expf"(float x) noexcept
    float logf "vwl_logf"(float x) noexcept
    float powf "vwl_powf"(float x, float y) noexcept
    double brief_exp "vwl_brief_exp"(double x) noexcept  # to a relative error of 1e-11
    double brief_log "vwl_brief_log"(double x) noexcept  # to one of 1e-9
