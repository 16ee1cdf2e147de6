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

/* Copy row v of a sample whose pixels are only moved, in x by a shift or a mirror; 0 where it shows more than that. */
static int FN(copy_row)(const Lines *lines, const Row *row, int v, uint8_t *room) {
    const Image *image = lines->image;
    const Axis *x = &lines->x;
    const int line = bounded(lines->y.first[v] + lines->y.low, image->h, image->border), n = x->n;
    if (line < 0 || x->low < 0 || x->low + n > image->w || !(x->shifted || x->reversed)) return 0;
    const uint8_t *from = (const uint8_t *)image->data + line * image->y + x->low * image->x;
    uint8_t *into[3], *target[3];
    for (int c = 0; c < image->channels; c++) {
        target[c] = (uint8_t *)row->target + ((ptrdiff_t)c * row->size[0] + v) * n;
        into[c] = x->shifted ? target[c] : room + c * n;
    }
    if (image->channels == 3 && image->x == 3 && image->c == 1) FN(split_planes)(from, into, n);
    else if (image->x == 1) for (int c = 0; c < image->channels; c++) memcpy(into[c], from + c * image->c, n);
    else return 0;
    for (int c = 0; c < image->channels && !x->shifted; c++) FN(reverse)(into[c], target[c], n);
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

/* Write row v of a sample whose pixels are only moved as planes of floats; 0 where it is no shift and no mirror. */
static int FN(move_row)(const Lines *lines, const Row *row, const Output *out, int v) {
    const Image *image = lines->image;
    const Axis *x = &lines->x;
    const int mixed = image->channels == 3 && image->x == 3 && image->c == 1;
    if (!(x->ascends || x->descends) || !(image->x == 1 || mixed)) return 0;
    const int line = bounded(lines->y.first[v] + lines->y.low, image->h, image->border), n = x->n, back = !x->ascends;
    /* The first pixel of the source, and how many of the n pixels lie before and behind what it has. */
    const int low = back ? x->start - (n - 1) : x->start, over = low + n - image->w;
    const int before = line < 0 || low < -n ? n : low < 0 ? -low : 0;
    const int behind = before == n || over <= 0 ? 0 : over > n ? n : over;
    const int left = back ? behind : before, right = back ? before : behind, inside = n - left - right;
    const uint8_t *from = (const uint8_t *)image->data + line * image->y + (low + before) * image->x;
    const int constant = line < 0 || image->border == CONSTANT;
    for (int c = 0; c < image->channels; c++) {
        const float scale = out->scale[c], offset = out->offset[c];
        float *into = (float *)row->target + ((ptrdiff_t)c * row->size[0] + v) * n;
        if (constant) FN(flood)(into, n, left, right, image->fill[c] * scale + offset);
        if (inside > 0) {
            if (mixed) FN(spread)(from, 3, c, back, into + left, inside, scale, offset);
            else FN(spread)(from + c * image->c, 1, 0, back, into + left, inside, scale, offset);
        }
        for (int i = left ? 0 : n - right; i < n && !constant; i = i + 1 == left ? n - right : i + 1) {
            const int pixel = bounded(back ? x->start - i : x->start + i, image->w, image->border);
            into[i] = value_at(image, line, pixel, c) * scale + offset;
        }
    }
    return 1;
}
