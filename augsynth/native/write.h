/* The output, a row at a time. Compiled once for each instruction set. */

static inline uint16_t FN(bfloat)(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static inline uint8_t FN(byte)(float value) {
    return (uint8_t)(int32_t)FN(bound)(FN(level)(value), 255);
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

/* The same with one colour step more, `A x + m v` and the clamp, on the way to planes of floats. */
static void FN(color_and_write)(const Output *out, const Row *row, const Step *step, float mean, int y, const float *planes,
                                size_t stride) {
    const float *restrict r = planes, *restrict g = planes + stride, *restrict b = planes + 2 * stride;
    const int h = row->size[0], w = row->size[1];
    for (int c = 0; c < 3; c++) {
        const float *a = step->matrix + 3 * c, shift = mean * step->vector[c], scale = out->scale[c], offset = out->offset[c];
        const float a0 = a[0], a1 = a[1], a2 = a[2], white = out->white;
        float *restrict into = (float *)row->target + ((ptrdiff_t)c * h + y) * w;
        for (int i = 0; i < w; i++) into[i] = FN(bound)(a0 * r[i] + a1 * g[i] + a2 * b[i] + shift, white) * scale + offset;
    }
}
