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
