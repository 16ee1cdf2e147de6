/* `augsynth/elementary.py` in C: the same operations in the same order, and so the same bits. */

#ifndef AUGSYNTH_ELEMENTARY_H
#define AUGSYNTH_ELEMENTARY_H

#include <math.h>

static const double RADIAN = 0x1.1df46a2529d39p-6;
static const double LN2_HIGH = 0x1.62e42fee00000p-1, LN2_LOW = 0x1.a39ef35793c76p-33, LOG2_E = 0x1.71547652b82fep+0;
static const double HALF_ROOT = 0x1.6a09e667f3bcdp-1;

/* 1 / n! with alternating signs, odd and even n; 1 / n!; 1 / (2 n + 1). */
static const double SINE[] = {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800.0,
                              -1.0 / 1307674368000.0};
static const double COSINE[] = {1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320, -1.0 / 3628800, 1.0 / 479001600.0,
                                -1.0 / 87178291200.0, 1.0 / 20922789888000.0};
static const double POWERS[] = {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
                                1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600.0, 1.0 / 6227020800.0};
static const double ODD[] = {1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19,
                             1.0 / 21, 1.0 / 23};

static double series(const double *coefficients, int count, double x) {
    double total = coefficients[count - 1];
    for (int i = count - 2; i >= 0; i--) total = total * x + coefficients[i];
    return total;
}

static void cos_sin(double degrees, double *cos, double *sin) {
    const double turns = rint(degrees / 90.0), rest = (degrees - 90.0 * turns) * RADIAN, square = rest * rest;
    const double c = series(COSINE, 9, square), s = rest * series(SINE, 8, square);
    const int quarter = (int)(turns - 4.0 * floor(turns / 4.0)), odd = quarter & 1;
    const double x = odd ? s : c, y = odd ? c : s;
    *cos = quarter == 1 || quarter == 2 ? -x : x;
    *sin = quarter >= 2 ? -y : y;
}

static double exponential(double x) {
    const double power = rint(x * LOG2_E), rest = (x - power * LN2_HIGH) - power * LN2_LOW;
    return ldexp(series(POWERS, 14, rest), (int)power);
}

static double logarithm(double x) {
    int power;
    double part = frexp(x, &power);
    if (part < HALF_ROOT) part *= 2.0, power--;
    const double ratio = (part - 1.0) / (part + 1.0), square = ratio * ratio;
    return power * LN2_HIGH + (2.0 * ratio * series(ODD, 12, square) + power * LN2_LOW);
}

#endif
