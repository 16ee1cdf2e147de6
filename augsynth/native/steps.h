/* Colour and rectangles, a row of planes of floats at a time. Compiled once for each instruction set. */

static inline float FN(bound)(float value, float high) {
    value = value > 0 ? value : 0;
    return value < high ? value : high;
}

static void FN(clamp_row)(float *restrict row, int n, float white) {
    for (int i = 0; i < n; i++) row[i] = FN(bound)(row[i], white);
}

/* A x + m v, then the clamp. */
static void FN(color_row)(const Step *step, float mean, float white, float *r, float *g, float *b, int n, int channels) {
    const float *a = step->matrix;
    const float v0 = mean * step->vector[0], v1 = mean * step->vector[1], v2 = mean * step->vector[2];
    if (channels == 1) {
        for (int i = 0; i < n; i++) r[i] = FN(bound)(a[0] * r[i] + v0, white);
        return;
    }
    const float a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3], a4 = a[4], a5 = a[5], a6 = a[6], a7 = a[7], a8 = a[8];
#pragma GCC ivdep
    for (int i = 0; i < n; i++) {
        float x = r[i], y = g[i], z = b[i];
        r[i] = FN(bound)(a0 * x + a1 * y + a2 * z + v0, white);
        g[i] = FN(bound)(a3 * x + a4 * y + a5 * z + v1, white);
        b[i] = FN(bound)(a6 * x + a7 * y + a8 * z + v2, white);
    }
}

/* One channel of the colour with this value, spread and hue, in sixths of the circle. */
static inline float FN(turned)(float value, float spread, float sector) {
    float k = sector - 6 * floorf(sector * (1.0f / 6));
    float other = 4 - k;
    return value - spread * FN(bound)(k < other ? k : other, 1);
}

/* Shift the HSV hue by a fraction of the circle. */
static void FN(hue_row)(float shift, float *r, float *g, float *b, int n) {
#pragma GCC ivdep
    for (int i = 0; i < n; i++) {
        float red = r[i], green = g[i], blue = b[i];
        float most = red > green ? red : green, least = red < green ? red : green;
        most = most > blue ? most : blue, least = least < blue ? least : blue;
        float spread = most - least, inverse = 1 / (spread > 0 ? spread : 1);
        float from_red = (green - blue) * inverse, from_green = (blue - red) * inverse + 2;
        float hue = (red - green) * inverse + 4;
        hue = most == green ? from_green : hue;
        hue = (most == red ? from_red : hue) + 6 * shift;
        r[i] = FN(turned)(most, spread, hue + 5);
        g[i] = FN(turned)(most, spread, hue + 3);
        b[i] = FN(turned)(most, spread, hue + 1);
    }
}

static void FN(erase_row)(const Step *step, int y, float *row, size_t stride, int n, int channels) {
    int top = step->rectangle[0], left = step->rectangle[1];
    int bottom = top + step->rectangle[2], right = left + step->rectangle[3];
    if (y < top || y >= bottom) return;
    for (int c = 0; c < channels; c++)
        for (int x = left < 0 ? 0 : left; x < right && x < n; x++) row[c * stride + x] = step->vector[c];
}
