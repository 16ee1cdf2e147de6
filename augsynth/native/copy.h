/* Bytes that are only moved: from interleaved or planar pixels to planes. Compiled once for each instruction set. */

/* Split n interleaved pixels of three bytes into planes. */
static void FN(split_planes)(const uint8_t *restrict from, uint8_t *const into[3], int n) {
    int i = 0;
#if WIDTH >= 8
    for (; i + 16 <= n; i += 16)
        for (int c = 0; c < 3; c++) _mm_storeu_si128((__m128i *)(into[c] + i), FN(channel_of)(from + 3 * i, c));
#endif
    for (; i < n; i++)
        for (int c = 0; c < 3; c++) into[c][i] = from[3 * i + c];
}

static void FN(reverse)(const uint8_t *restrict from, uint8_t *restrict into, int n) {
    int i = 0;
#if WIDTH >= 8
    for (; i + 16 <= n; i += 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(from + n - 16 - i));
        _mm_storeu_si128((__m128i *)(into + i), _mm_shuffle_epi8(block, _mm_load_si128((const __m128i *)BACKWARDS)));
    }
#endif
    for (; i < n; i++) into[i] = from[n - 1 - i];
}

/* Copy row v of a sample whose pixels are only moved; 0 where it is no strip. room: for a row of three channels. */
static int FN(copy_row)(const Lines *lines, const Row *row, int v, uint8_t *room) {
    const Image *image = lines->image;
    const int n = lines->x.n;
    Strip strip;
    if (!strip_of(lines, v, &strip)) return 0;
    uint8_t *into[3], *inner[3];
    for (int c = 0; c < image->channels; c++) {
        into[c] = (uint8_t *)row->target + ((ptrdiff_t)c * row->size[0] + v) * n;
        inner[c] = strip.back ? room + c * n : into[c] + strip.left;
    }
    if (strip.inside > 0) {
        if (strip.step == 3) FN(split_planes)(strip.from, inner, strip.inside);
        for (int c = 0; c < image->channels; c++) {
            const uint8_t *from = strip.step == 3 ? inner[c] : strip.from + c * image->c;
            if (strip.back) FN(reverse)(from, into[c] + strip.left, strip.inside);
            else if (strip.step == 1) memcpy(inner[c], from, strip.inside);
        }
    }
    for (int c = 0; c < image->channels && (strip.left || strip.right); c++) {
        if (strip.constant) {
            const int fill = FN(byte)(image->fill[c]);
            memset(into[c], fill, strip.left), memset(into[c] + n - strip.right, fill, strip.right);
            continue;
        }
        for (int i = strip.left ? 0 : n - strip.right; i < n; i = i + 1 == strip.left ? n - strip.right : i + 1)
            into[c][i] = (uint8_t)value_at(image, strip.line, shown_at(lines, &strip, i), c);
    }
    return 1;
}

#if WIDTH >= 8
static inline void FN(spread_16)(const uint8_t *from, int step, int c, int backwards, float *into, VECTOR scale, VECTOR offset) {
    __m128i block = step == 3 ? FN(channel_of)(from, c) : _mm_loadu_si128((const __m128i *)from);
    if (backwards) block = _mm_shuffle_epi8(block, _mm_load_si128((const __m128i *)BACKWARDS));
    for (int k = 0; k < 16; k += WIDTH, block = _mm_srli_si128(block, WIDTH % 16))
        STORE(into + k, ADD(MULTIPLY(BYTES(block), scale), offset));
}
#endif

/* Scale channel c of n pixels, `step` bytes apart, from the last to the first where `backwards`; 3 bytes are all there is
   of a pixel, else c is 0. */
static inline void FN(spread)(const uint8_t *restrict from, int step, int c, int backwards, float *restrict into, int n,
                              float scale, float offset) {
#if WIDTH >= 8
    /* The last block may begin before the end of the one before it. */
    const VECTOR factor = scale + (VECTOR){0}, shift = offset + (VECTOR){0};
    for (int i = 0; n >= 16 && i < n; i += 16) {
        const int at = i + 16 <= n ? i : n - 16;
        FN(spread_16)(from + step * (backwards ? n - 16 - at : at), step, c, backwards, into + at, factor, shift);
    }
    if (n >= 16) return;
#endif
    for (int i = 0; i < n; i++) into[i] = from[step * (backwards ? n - 1 - i : i) + c] * scale + offset;
}

/* Give the first `left` and the last `right` of n pixels a value, and perhaps some between, which are written after. */
static inline void FN(flood)(float *into, int n, int left, int right, float value) {
#if WIDTH >= 8
    if (n >= WIDTH && left <= WIDTH && right <= WIDTH) {
        const VECTOR all = value + (VECTOR){0};
        if (left) STORE(into, all);
        if (right) STORE(into + n - WIDTH, all);
        return;
    }
#endif
    for (int i = 0; i < left; i++) into[i] = value;
    for (int i = n - right; i < n; i++) into[i] = value;
}

/* Write row v of a sample whose pixels are only moved as planes of floats; 0 where it is no strip. */
static int FN(move_row)(const Lines *lines, const Row *row, const Output *out, int v) {
    const Image *image = lines->image;
    const int n = lines->x.n;
    Strip strip;
    if (!strip_of(lines, v, &strip)) return 0;
    for (int c = 0; c < image->channels; c++) {
        const float scale = out->scale[c], offset = out->offset[c];
        float *into = (float *)row->target + ((ptrdiff_t)c * row->size[0] + v) * n;
        if (strip.constant) FN(flood)(into, n, strip.left, strip.right, image->fill[c] * scale + offset);
        if (strip.inside > 0) {
            float *at = into + strip.left;
            if (strip.step == 3) FN(spread)(strip.from, 3, c, strip.back, at, strip.inside, scale, offset);
            else FN(spread)(strip.from + c * image->c, 1, 0, strip.back, at, strip.inside, scale, offset);
        }
        if (strip.constant) continue;
        for (int i = strip.left ? 0 : n - strip.right; i < n; i = i + 1 == strip.left ? n - strip.right : i + 1)
            into[i] = value_at(image, strip.line, shown_at(lines, &strip, i), c) * scale + offset;
    }
    return 1;
}
