/* Colour, rectangles and the output, a row of planes of floats at a time. Compiled once for each instruction set. */

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

/* Run the steps [from, to) on row y. mean: the luma that the first of them may ask for. */
static void FN(step_row)(const Step *steps, int from, int to, float mean, float white, int y, float *row, size_t stride,
                         int n, int channels) {
    float *g = row + stride, *b = row + 2 * stride;
    for (int k = from; k < to; k++) {
        const Step *step = steps + k;
        if (step->code == COLOR_MATRIX) FN(color_row)(step, step->mean ? mean : 0, white, row, g, b, n, channels);
        else if (step->code == ERASE) FN(erase_row)(step, y, row, stride, n, channels);
        else if (step->code == HUE) FN(hue_row)(step->matrix[0], row, g, b, n);
    }
}

/* Add up the luma of a row. Sixteen sums, whatever the width of a vector, so that the bits are the same anywhere. */
static double FN(luma_row)(const Output *out, const float *row, size_t stride, int n) {
    float sums[16] = {0}, w0 = out->channels == 3 ? out->luma[0] : 1, w1 = out->luma[1], w2 = out->luma[2];
    const float *g = row + stride, *b = row + 2 * stride;
    int i = 0;
    if (out->channels == 3)
        for (; i + 16 <= n; i += 16)
            for (int j = 0; j < 16; j++) sums[j] += w0 * row[i + j] + w1 * g[i + j] + w2 * b[i + j];
    else
        for (; i + 16 <= n; i += 16)
            for (int j = 0; j < 16; j++) sums[j] += row[i + j];
    for (int j = 0; i < n; i++, j++) sums[j] += out->channels == 3 ? w0 * row[i] + w1 * g[i] + w2 * b[i] : row[i];
    double total = 0;
    for (int j = 0; j < 16; j++) total += sums[j];
    return total;
}

static inline uint16_t FN(bfloat)(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline uint8_t FN(byte)(float value) {
    /* 1.5 * 2**23 rounds to the nearest whole number, ties to even. */
    return (uint8_t)(int32_t)FN(bound)((value + 12582912.0f) - 12582912.0f, 255);
}

/* Write a row of one channel, scaled; `step` elements from pixel to pixel. */
static void FN(write_plane)(int to, const float *restrict row, float scale, float offset, void *at, ptrdiff_t start,
                            ptrdiff_t step, int n) {
    if (to == UINT8) {
        uint8_t *restrict into = (uint8_t *)at + start;
        if (step == 1) for (int i = 0; i < n; i++) into[i] = FN(byte)(row[i] * scale + offset);
        else for (int i = 0; i < n; i++) into[i * step] = FN(byte)(row[i] * scale + offset);
    } else if (to == BFLOAT16) {
        uint16_t *restrict into = (uint16_t *)at + start;
        if (step == 1) for (int i = 0; i < n; i++) into[i] = FN(bfloat)(row[i] * scale + offset);
        else for (int i = 0; i < n; i++) into[i * step] = FN(bfloat)(row[i] * scale + offset);
    } else {
        float *restrict into = (float *)at + start;
        if (step == 1) for (int i = 0; i < n; i++) into[i] = row[i] * scale + offset;
        else for (int i = 0; i < n; i++) into[i * step] = row[i] * scale + offset;
    }
}

static void FN(write_row)(const Output *out, const Row *row, int y, const float *planes, size_t stride) {
    const int h = row->size[0], w = row->size[1], channels = out->channels;
    for (int c = 0; c < channels; c++) {
        ptrdiff_t start = out->interleaved ? (ptrdiff_t)y * w * channels + c : ((ptrdiff_t)c * h + y) * w;
        FN(write_plane)(out->to, planes + c * stride, out->scale[c], out->offset[c], (void *)row->target, start,
                        out->interleaved ? channels : 1, w);
    }
}
