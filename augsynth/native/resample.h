/* Resampling row by row into planes of floats. Compiled once for each instruction set. */

/* --- reading a line of the source as floats ---------------------------------------------------------------------- */

#if WIDTH >= 8
/* Pick a channel's 16 bytes from 16 interleaved pixels, which are 48: of each 16 of them a shuffle takes what belongs. */
static inline __m128i FN(channel_of)(const uint8_t *from, int c) {
    __m128i all = _mm_setzero_si128();
    for (int k = 0; k < 3; k++) {
        __m128i part = _mm_loadu_si128((const __m128i *)(from + 16 * k));
        all = _mm_or_si128(all, _mm_shuffle_epi8(part, _mm_load_si128((const __m128i *)SPLIT[c][k])));
    }
    return all;
}
#endif

/* Split n interleaved pixels of three bytes into planes of floats. */
static void FN(split_bytes)(const uint8_t *restrict from, float *r, float *g, float *b, int n) {
    int i = 0;
#if WIDTH >= 8
    for (; i + 16 <= n; i += 16) {
        float *into[3] = {r + i, g + i, b + i};
        for (int c = 0; c < 3; c++) {
            __m128i all = FN(channel_of)(from + 3 * i, c);
            _mm256_storeu_ps(into[c], _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(all)));
            _mm256_storeu_ps(into[c] + 8, _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(all, 8))));
        }
    }
#endif
    for (; i < n; i++) r[i] = from[3 * i], g[i] = from[3 * i + 1], b[i] = from[3 * i + 2];
}

static void FN(read_plane)(const Image *image, ptrdiff_t start, float *restrict into, int n) {
    const ptrdiff_t step = image->x;
    if (image->type == UINT8) {
        const uint8_t *from = (const uint8_t *)image->data + start;
        if (step == 1) for (int i = 0; i < n; i++) into[i] = from[i];
        else for (int i = 0; i < n; i++) into[i] = from[i * step];
    } else {
        const float *from = (const float *)image->data + start;
        if (step == 1) memcpy(into, from, n * sizeof(float));
        else for (int i = 0; i < n; i++) into[i] = from[i * step];
    }
}

/* Read pixels [low, high) of a line, one plane per channel, `stride` apart; those outside come from the border. */
static void FN(read_line)(const Image *image, int line, int low, int high, float *into, size_t stride) {
    int from = low < 0 ? 0 : low, to = high > image->w ? image->w : high;
    if (from >= to) from = to = high;
    else {
        ptrdiff_t start = line * image->y + from * image->x;
        float *at = into + (from - low);
        if (image->type == UINT8 && image->channels == 3 && image->x == 3 && image->c == 1)
            FN(split_bytes)((const uint8_t *)image->data + start, at, at + stride, at + 2 * stride, to - from);
        else
            for (int c = 0; c < image->channels; c++)
                FN(read_plane)(image, start + c * image->c, at + c * stride, to - from);
    }
    for (int i = low; i < high; i++) {
        if (i == from) i = to;
        if (i >= high) break;
        int pixel = bounded(i, image->w, image->border);
        for (int c = 0; c < image->channels; c++)
            into[c * stride + (i - low)] = pixel < 0 ? image->fill[c] : value_at(image, line, pixel, c);
    }
}

/* --- maps that keep the axes: each axis by itself ---------------------------------------------------------------- */

/* into[c][u] = sum over k of weight[k][u] line[c][first[u] + k], for one channel or for three that share the weights */
static inline __attribute__((always_inline)) void FN(weigh)(const Axis *axis, const float *line, size_t stride, float *into,
                                                             const int channels) {
    const int padded = axis->padded, taps = axis->taps;
    for (int start = 0; start < padded; start += WIDTH) {
        const int32_t *first = axis->first + start;
        const float *weight = axis->weight + start;
#if WIDTH >= 8
        int a = first[0], b = first[WIDTH - 1], low = a < b ? a : b;
        if (!axis->folded && (a < b ? b : a) - low + taps <= 2 * WIDTH) {
            /* Everything that these pixels need lies in two vectors. */
            VECTOR one[3], two[3], sum[3];
            INDICES at = RELATIVE(first, low);
            VECTOR w = LOAD(weight);
            for (int c = 0; c < channels; c++) {
                one[c] = LOAD(line + c * stride + low), two[c] = LOAD(line + c * stride + low + WIDTH);
                sum[c] = MULTIPLY(w, PICK(one[c], at, two[c]));
            }
            for (int k = 1; k < taps; k++) {
                at = NEXT(at), w = LOAD(weight + k * padded);
                for (int c = 0; c < channels; c++) sum[c] = ADD(sum[c], MULTIPLY(w, PICK(one[c], at, two[c])));
            }
            for (int c = 0; c < channels; c++) STORE(into + c * padded + start, sum[c]);
            continue;
        }
#endif
        for (int c = 0; c < channels; c++)
            for (int u = 0; u < WIDTH; u++) {
                const float *from = line + c * stride + first[u];
                float sum = weight[u] * from[0];
                for (int k = 1; k < taps; k++) sum += weight[k * padded + u] * from[k];
                into[c * padded + start + u] = sum;
            }
    }
}

/* Make line `number` of the source with its x axis resampled: planes, `padded` apart. */
static void FN(make_line)(Lines *lines, int number, float *into) {
    const Image *image = lines->image;
    const int line = bounded(number, image->h, image->border);
    const size_t plane = lines->x.padded;
    if (line < 0) {
        for (int c = 0; c < image->channels; c++)
            for (size_t u = 0; u < plane; u++) into[c * plane + u] = image->fill[c];
    } else if (lines->x.shifted) {
        FN(read_line)(image, line, lines->x.low, lines->x.low + lines->x.n, into, plane);
    } else {
        FN(read_line)(image, line, lines->x.low, lines->x.high, lines->raw, lines->raw_stride);
        if (image->channels == 3) FN(weigh)(&lines->x, lines->raw, lines->raw_stride, into, 3);
        else FN(weigh)(&lines->x, lines->raw, lines->raw_stride, into, 1);
    }
}

/* Return such a line from among those that are kept. */
static const float *FN(line_of)(Lines *lines, int number) {
    int slot = number % lines->room;
    if (slot < 0) slot += lines->room;
    float *into = lines->kept + slot * (size_t)lines->image->channels * lines->x.padded;
    if (lines->number[slot] != number) FN(make_line)(lines, lines->number[slot] = number, into);
    return into;
}

/* Add up n weighted lines; begun: `to` holds a sum already. */
static void FN(add_lines)(float *restrict to, const float *one, float w, const float *two, float v, int begun, int n) {
    if (begun && two) for (int u = 0; u < n; u++) to[u] += w * one[u] + v * two[u];
    else if (begun) for (int u = 0; u < n; u++) to[u] += w * one[u];
    else if (two) for (int u = 0; u < n; u++) to[u] = w * one[u] + v * two[u];
    else if (w != 1) for (int u = 0; u < n; u++) to[u] = w * one[u];
    else memcpy(to, one, n * sizeof(float));
}

/* Resample row v of the output into planes `x.padded` apart. */
static void FN(straight_row)(Lines *lines, int v, float *into) {
    const Axis *y = &lines->y;
    const float *weight = y->weight + v, *waiting = NULL;
    const int n = lines->image->channels * lines->x.padded;
    float w = 0;
    int begun = 0;
    if (y->taps == 1) {
        FN(make_line)(lines, y->first[v] + y->low, into);
        return;
    }
    /* Two lines at a time; the ring keeps one more than all taps need, so that none is overwritten. */
    for (int k = 0; k < y->taps; k++) {
        const float next = weight[k * y->padded];
        if (next == 0) continue;
        const float *line = FN(line_of)(lines, y->first[v] + y->low + k);
        if (waiting) FN(add_lines)(into, waiting, w, line, next, begun, n), begun = 1, waiting = NULL;
        else waiting = line, w = next;
    }
    if (waiting) FN(add_lines)(into, waiting, w, NULL, 0, begun, n);
}

/* --- all other maps: four channels beside each other, so that one load reads a pixel ----------------------------- */

/* Copy the pixels [from, to) of a line, counted from `left`, one by one. */
static void FN(edge_pixels)(const Image *image, int line, int left, int from, int to, uint8_t *into) {
    for (int i = from; i < to; i++) {
        int pixel = bounded(left + i, image->w, image->border);
        for (int c = 0; c < 3; c++) into[4 * i + c] = (uint8_t)(pixel < 0 ? image->fill[c] : value_at(image, line, pixel, c));
        into[4 * i + 3] = 0;
    }
}

/* Copy a line of the source into pixels of four, those outside by the border. */
static void FN(read_pixels)(const Warp *warp, const Image *image, int line, float *raw, size_t stride, char *into) {
    int n = warp->right - warp->left;
#if WIDTH >= 8
    if (warp->bytes && image->channels == 3 && image->x == 3 && image->c == 1 && line >= 0) {
        /* Four pixels at a time, where 16 bytes can be read. */
        int i = warp->left < 0 ? -warp->left : 0, end = (warp->right < image->w ? warp->right : image->w) - warp->left;
        const uint8_t *from = (const uint8_t *)image->data + line * image->y + 3 * (ptrdiff_t)warp->left;
        int done = i;
        for (; done + 6 <= end; done += 4)
            _mm_storeu_si128((__m128i *)(into + 4 * done),
                             _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(from + 3 * done)), *(const __m128i *)WIDEN));
        FN(edge_pixels)(image, line, warp->left, 0, i, (uint8_t *)into);
        FN(edge_pixels)(image, line, warp->left, done, n, (uint8_t *)into);
        return;
    }
#endif
    if (line < 0)
        for (int c = 0; c < image->channels; c++)
            for (int i = 0; i < n; i++) raw[c * stride + i] = image->fill[c];
    else
        FN(read_line)(image, line, warp->left, warp->right, raw, stride);
    const float *r = raw, *g = raw + (image->channels == 3) * stride, *b = raw + 2 * (image->channels == 3) * stride;
    if (warp->bytes) {
        uint8_t *restrict to = (uint8_t *)into;
        for (int i = 0; i < n; i++) to[4 * i] = r[i], to[4 * i + 1] = g[i], to[4 * i + 2] = b[i], to[4 * i + 3] = 0;
    } else {
        float *restrict to = (float *)into;
        for (int i = 0; i < n; i++) to[4 * i] = r[i], to[4 * i + 1] = g[i], to[4 * i + 2] = b[i], to[4 * i + 3] = 0;
    }
}

typedef float FN(Pixel) __attribute__((vector_size(16), aligned(4)));
typedef float FN(Pair) __attribute__((vector_size(32), aligned(4)));

/* Read a pixel, or two beside each other. */
static inline FN(Pixel) FN(pixel)(const char *at, int bytes) {
    if (!bytes) return *(const FN(Pixel) *)at;
#if WIDTH >= 8
    int32_t four;
    memcpy(&four, at, 4);
    return (FN(Pixel))_mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)));
#else
    const uint8_t *from = (const uint8_t *)at;
    return (FN(Pixel)){from[0], from[1], from[2], from[3]};
#endif
}

static inline FN(Pair) FN(pair)(const char *at, int bytes) {
    if (!bytes) return *(const FN(Pair) *)at;
#if WIDTH >= 8
    return (FN(Pair))_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)at)));
#else
    const uint8_t *from = (const uint8_t *)at;
    return (FN(Pair)){from[0], from[1], from[2], from[3], from[4], from[5], from[6], from[7]};
#endif
}

/* Sum up the pixels of a footprint of taps x taps whose first is at `at`; t: how far the point lies behind it. */
static inline FN(Pixel) FN(footprint)(const char *at, ptrdiff_t pitch, int bytes, int taps, float tx, float ty) {
    const int item = bytes ? 4 : 16;
    if (taps == 1) return FN(pixel)(at, bytes);
    if (taps == 2) {
        FN(Pair) above = FN(pair)(at, bytes), below = FN(pair)(at + pitch, bytes);
        above += ty * (below - above);
        FN(Pixel) left, right;
        memcpy(&left, &above, 16), memcpy(&right, (char *)&above + 16, 16);
        return left + tx * (right - left);
    }
    FN(Pixel) sum = {0, 0, 0, 0};
    for (int i = 0; i < 4; i++) {
        FN(Pixel) line = {0, 0, 0, 0};
        for (int j = 0; j < 4; j++) line += tap_weight(tx, j, 4) * FN(pixel)(at + i * pitch + j * item, bytes);
        sum += tap_weight(ty, i, 4) * line;
    }
    return sum;
}

static inline __attribute__((always_inline)) void FN(warp_pixels)(
    const Warp *warp, const int32_t *offset, const float *tx, const float *ty, float *restrict into, int bytes, int taps) {
    for (int u = 0; u < warp->n; u++) {
        FN(Pixel) value = FN(footprint)(warp->pixels + offset[u], warp->pitch, bytes, taps, tx[u], ty[u]);
        memcpy(into + 4 * u, &value, 16);
    }
}

/* Find where the points of row v lie in the grid. */
static void FN(locate)(const Warp *warp, int v, double *restrict at_x, double *restrict at_y) {
    const double *m = warp->row->matrix, y = v + 0.5;
    const double mx = m[0], my = m[3], mz = m[6], x0 = m[1] * y + m[2], y0 = m[4] * y + m[5], z0 = m[7] * y + m[8];
    const int n = warp->n, border = warp->row->border;
    for (int u = 0; u < n; u++) at_x[u] = mx * (u + 0.5) + x0, at_y[u] = my * (u + 0.5) + y0;
    if (warp->row->projective)
        for (int u = 0; u < n; u++) {
            /* On the horizon itself a point lies very far out. */
            double depth = mz * (u + 0.5) + z0;
            depth = fabs(depth) > 1e-12 ? depth : 1e-12;
            at_x[u] /= depth, at_y[u] /= depth;
        }
    if (border >= REFLECT)
        for (int u = 0; u < n; u++) at_x[u] = folded(at_x[u], warp->w, border), at_y[u] = folded(at_y[u], warp->h, border);
}

/* Find the first pixel of each point's footprint, in bytes from the first of all, and how far the point lies behind. */
static void FN(place)(const Warp *warp, const double *restrict at_x, const double *restrict at_y) {
    const int n = warp->n, taps = warp->row->taps, item = warp->bytes ? 4 : 16, pitch = (int)warp->pitch;
    const int back = taps / 2 - (taps > 1), left = warp->left + back, top = warp->top + back;
    const double half = taps == 1 ? 0 : 0.5;
    const double low_x = warp->low_x, high_x = warp->high_x, low_y = warp->low_y, high_y = warp->high_y;
    int32_t *restrict offset = warp->offset;
    float *restrict tx = warp->tx, *restrict ty = warp->ty;
    for (int u = 0; u < n; u++) {
        /* What lies further out looks the same. */
        double x = at_x[u] > low_x ? at_x[u] : low_x, y = at_y[u] > low_y ? at_y[u] : low_y;
        x = (x < high_x ? x : high_x) - half, y = (y < high_y ? y : high_y) - half;
        double fx = floor(x), fy = floor(y);
        tx[u] = (float)(x - fx), ty[u] = (float)(y - fy);
        offset[u] = ((int32_t)fy - top) * pitch + ((int32_t)fx - left) * item;
    }
}

static void FN(warped_row)(Warp *warp, int v, float *into) {
    const size_t stride = whole(warp->n);
    FN(locate)(warp, v, warp->at_x, warp->at_y);
    FN(place)(warp, warp->at_x, warp->at_y);
    float *four = warp->four;
    const int taps = warp->row->taps;
    if (warp->bytes && taps == 2) FN(warp_pixels)(warp, warp->offset, warp->tx, warp->ty, four, 1, 2);
    else if (taps == 2) FN(warp_pixels)(warp, warp->offset, warp->tx, warp->ty, four, 0, 2);
    else if (taps == 1) FN(warp_pixels)(warp, warp->offset, warp->tx, warp->ty, four, warp->bytes, 1);
    else FN(warp_pixels)(warp, warp->offset, warp->tx, warp->ty, four, warp->bytes, 4);
    float *restrict r = into, *restrict g = into + stride, *restrict b = into + 2 * stride;
    if (warp->channels == 1) for (int u = 0; u < warp->n; u++) r[u] = four[4 * u];
    else for (int u = 0; u < warp->n; u++) r[u] = four[4 * u], g[u] = four[4 * u + 1], b[u] = four[4 * u + 2];
}
