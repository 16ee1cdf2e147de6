/* What a step has to know of the whole image, and the steps on whole levels. Compiled once for each instruction set. */

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

/* 1.5 * 2**23 rounds to the nearest whole number, ties to even. */
static inline float FN(level)(float value) { return (value + 12582912.0f) - 12582912.0f; }

/* --- what is known before a step --------------------------------------------------------------------------------- */

static void FN(open_facts)(Facts *facts) {
    facts->luma = 0;
    for (int c = 0; c < 3; c++) facts->low[c] = 255, facts->high[c] = 0;
    memset(facts->count, 0, sizeof facts->count);
}

static void FN(extrema)(const float *restrict row, int n, float *low, float *high) {
    float least = *low, most = *high;
    for (int i = 0; i < n; i++) {
        float value = FN(level)(row[i]);
        least = value < least ? value : least, most = value > most ? value : most;
    }
    *low = least, *high = most;
}

static void FN(gather_facts)(Facts *facts, int need, const Output *out, float *row, size_t stride, int n) {
    if (need == MEAN) facts->luma += FN(luma_row)(out, row, stride, n);
    for (int c = 0; c < out->channels && need != MEAN; c++) {
        float *at = row + c * stride;
        if (need == EXTREMA) FN(extrema)(at, n, facts->low + c, facts->high + c);
        else if (need == HISTOGRAM)
            for (int i = 0; i < n; i++) facts->count[c][(int)FN(bound)(FN(level)(at[i]), 255)]++;
        else
            for (int i = 0; i < n; i++) at[i] = FN(level)(at[i]);
    }
}

/* Make the table that evens out a histogram of n pixels, as PIL does. */
static void FN(even_out)(const int32_t *count, int n, float *table) {
    int last = 255, before = 0;
    while (last > 0 && count[last] == 0) last--;
    const int step = (n - count[last]) / 255;
    for (int i = 0; i < 256; i++) {
        int value = step ? (before + step / 2) / step : i;
        table[i] = (float)(value < 255 ? value : 255);
        before += count[i];
    }
}

static void FN(close_facts)(Facts *facts, int need, int channels, int n) {
    facts->mean = (float)(facts->luma / n);
    for (int c = 0; c < channels && need == HISTOGRAM; c++) FN(even_out)(facts->count[c], n, facts->table[c]);
}

/* --- steps ------------------------------------------------------------------------------------------------------- */

static void FN(posterize_row)(float *restrict row, int n, float step) {
    const float part = 1 / step; /* a power of two */
    for (int i = 0; i < n; i++) row[i] = floorf(FN(level)(row[i]) * part) * step;
}

static void FN(solarize_row)(float *restrict row, int n, float limit) {
    for (int i = 0; i < n; i++) {
        float value = FN(level)(row[i]);
        row[i] = value >= limit ? 255 - value : value;
    }
}

/* Spread low to high over all levels. The steps and their order decide what is cut off: they are torchvision's. */
static void FN(stretch_row)(float *restrict row, int n, float low, float high) {
    const float scale = low < high ? (high - low) * (float)(1.0 / 255) : 1, start = low < high ? low : 0;
    for (int i = 0; i < n; i++) row[i] = floorf(FN(bound)((FN(level)(row[i]) - start) / scale, 255));
}

/* Blend with a 3 x 3 blur; the outermost pixels stay. above, below: the rows beside this one, before their steps. */
static void FN(sharpen_row)(const Step *step, float *restrict row, const float *above, const float *kept,
                            const float *below, int n) {
    const float high = step->vector[0], low = step->vector[1];
    for (int i = 1; i + 1 < n; i++) {
        float sum = (above[i - 1] + above[i] + above[i + 1]) + (kept[i - 1] + kept[i + 1]);
        sum += below[i - 1] + below[i] + below[i + 1];
        float middle = kept[i], change = FN(level)((sum + 5 * middle) * (float)(1.0 / 13)) - middle;
        row[i] = floorf(FN(bound)((middle + high * change) + low * change, 255));
    }
}

static void FN(level_row)(const Step *step, const Facts *facts, float *row, size_t stride, int n, int channels) {
    for (int c = 0; c < channels; c++) {
        float *at = row + c * stride;
        if (step->code == POSTERIZE) FN(posterize_row)(at, n, step->vector[0]);
        else if (step->code == SOLARIZE) FN(solarize_row)(at, n, step->vector[0]);
        else if (step->code == AUTOCONTRAST) FN(stretch_row)(at, n, facts->low[c], facts->high[c]);
        else if (step->code == EQUALIZE)
            for (int i = 0; i < n; i++) at[i] = facts->table[c][(int)FN(bound)(FN(level)(at[i]), 255)];
        else
            for (int i = 0; i < n; i++) at[i] = 255 - FN(level)(at[i]);
    }
}
