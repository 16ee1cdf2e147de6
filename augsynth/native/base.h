/* What the CPU kernel reads, and what does not depend on the instruction set: memory, borders, the taps of an axis.

   Pairs are y, x. Coordinates are continuous: pixel i covers [i, i + 1). */

#ifndef AUGSYNTH_BASE_H
#define AUGSYNTH_BASE_H

#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { CONSTANT, EDGE, REFLECT, SYMMETRIC };             /* borders */
enum { UNFILTERED, TRIANGLE, CUBIC };                    /* antialiasing filters */
/* Steps. From INVERT on, they are for images that came as bytes, and round to whole levels first. */
enum { NOTHING, COLOR_MATRIX, HUE, ERASE, INVERT, POSTERIZE, SOLARIZE, AUTOCONTRAST, EQUALIZE, SHARPEN };
enum { NO_NEED, MEAN, EXTREMA, HISTOGRAM, NEIGHBOURS };  /* what a step has to know of the whole image before it */
enum { UINT8, FLOAT32, BFLOAT16 };                       /* types of pixels */

/* A sample, as `engines/native.py` lays it out. */
typedef struct {
    int64_t source;        /* address of the image */
    int64_t target;        /* address of the output */
    double matrix[9];      /* from output to input */
    int32_t strides[3];    /* of the image, in elements: channel, y, x */
    int32_t image[2], size[2]; /* of image and output */
    int32_t interpolation;
    int32_t antialias;     /* flags: shrinking is filtered; */
    int32_t cut_first;     /* a window is cut out before it is resized; */
    int32_t bordered;      /* something may look outside the image */
    int32_t border;
    float fill[3];
    int32_t steps;         /* how many steps follow */
    int32_t type;          /* of the image's pixels */
} Sample;

/* The same, once it is known what has to be read: see place.h. */
typedef struct {
    int64_t source, target; /* the source is the window's first pixel */
    double matrix[9];       /* from the output to the grid */
    int32_t strides[3], size[2];
    int32_t window[2];      /* pixels of the source that may be read */
    int32_t grid[2];        /* pixels that the interpolation sees: the window, or the window shrunk by the filter */
    float ratio[2];         /* pixels of the window for one of the grid */
    int32_t projective;     /* 1 where the last row of the matrix is not 0 0 1 */
    int32_t taps;           /* 1 nearest, 2 bilinear, 4 bicubic */
    int32_t filter, border;
    float fill[3];
    int32_t clamp;          /* 1 where resampled values are clamped */
    int32_t steps, type;
} Row;

typedef struct {
    int32_t code;
    int32_t mean;           /* 1 where `vector` is multiplied by the mean luma of the image before this step */
    union {
        float matrix[9];    /* COLOR_MATRIX; of HUE the first is a shift by a fraction of the circle */
        int32_t rectangle[4]; /* ERASE: top, left, height, width */
    };
    float vector[3];        /* what the mean is multiplied by; the paint of ERASE; the numbers of POSTERIZE and so on */
} Step;

static inline int need_of(const Step *step) {
    switch (step->code) {
        case COLOR_MATRIX: return step->mean ? MEAN : NO_NEED;
        case AUTOCONTRAST: return EXTREMA;
        case EQUALIZE: return HISTOGRAM;
        case SHARPEN: return NEIGHBOURS;
        default: return NO_NEED;
    }
}

/* What all samples of a call have in common. */
typedef struct {
    int channels;       /* 1 or 3 */
    int to;             /* type of the output */
    int interleaved;    /* the output is (h, w, C), else (C, h, w) */
    float white;        /* the value for 1.0, 255 or 1 */
    float luma[3], scale[3], offset[3];
} Output;

/* Tell whether bytes come out as they went in. */
static inline int is_plain(const Output *out) {
    int same = out->to == UINT8 && !out->interleaved;
    for (int c = 0; c < out->channels; c++) same &= out->scale[c] == 1 && out->offset[c] == 0;
    return same;
}

/* --- memory: blocks that every sample of a call uses again ------------------------------------------------------- */

typedef struct Block {
    struct Block *next;
    size_t size, used;
} Block;

typedef struct {
    Block *blocks;
    jmp_buf failed;
} Arena;

/* Return memory for `count` floats or integers, aligned to 64 bytes, with room to read one vector past its end. */
static void *take(Arena *arena, size_t count) {
    size_t bytes = (count * 4 + 63) / 64 * 64 + 192;
    Block *block = arena->blocks;
    while (block != NULL && block->size - block->used < bytes) block = block->next;
    if (block == NULL) {
        size_t size = bytes > (1 << 20) ? bytes : (1 << 20);
        block = malloc(sizeof(Block) + 64 + size);
        if (block == NULL) longjmp(arena->failed, 1);
        block->next = arena->blocks, block->size = size, block->used = 0;
        arena->blocks = block;
    }
    char *start = (char *)(((uintptr_t)(block + 1) + 63) / 64 * 64) + block->used;
    block->used += bytes;
    return start;
}

static void reset(Arena *arena) {
    for (Block *block = arena->blocks; block != NULL; block = block->next) block->used = 0;
}

static void release(Arena *arena) {
    for (Block *block = arena->blocks, *next; block != NULL; block = next) next = block->next, free(block);
}

/* Round up to whole vectors. */
static inline int whole(int n) { return (n + 15) / 16 * 16; }

/* --- borders and weights ----------------------------------------------------------------------------------------- */

/* Bring a pixel number into [0, size) by the border; -1 where a fill stands. */
static inline int bounded(int index, int size, int border) {
    if (index >= 0 && index < size) return index;
    if (border == CONSTANT) return -1;
    if (border >= REFLECT) {
        int period = border == SYMMETRIC ? 2 * size : (size > 1 ? 2 * size - 2 : 1);
        index %= period;
        if (index < 0) index += period;
        if (index >= size) index = (border == SYMMETRIC ? period - 1 : period) - index;
    }
    return index < 0 ? 0 : index >= size ? size - 1 : index;
}

static inline float cubic(float distance, float a) {
    float d = fabsf(distance);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/* Weigh tap i of a footprint whose middle pixel lies t before the point; cubic as OpenCV and torch without a filter. */
static inline float tap_weight(float t, int i, int taps) {
    if (taps == 1) return 1;
    return taps == 2 ? 1 - fabsf(t - i) : cubic(t - (i - 1), -0.75f);
}

/* How each pixel of one axis of the output is made of pixels of the source. */
typedef struct {
    int n, padded;      /* pixels of the output; the same, rounded up to whole vectors */
    int taps;           /* weights of each */
    int low, high;      /* pixels of the source that are read, some of which may lie outside */
    int shifted;        /* each pixel of the output is one of the source, in order: nothing to compute */
    int start;          /* what the first pixel shows, also where that lies outside, */
    int ascends, descends; /* and whether the others follow it one by one, upwards or downwards */
    int folded;         /* pixel numbers may rise and fall */
    int32_t *first;     /* (padded,) the first pixel of the source for each of the output, counted from low */
    float *weight;      /* (taps, padded) */
} Axis;

static const double TOLERANCE = 1e-6; /* `augsynth.fuse._TOLERANCE` */

static int near_whole(double value) { return fabs(value - rint(value)) < TOLERANCE; }

/* Bring the first of `taps` pixels near the source, where all it shows beyond is the same or comes again. */
static int near(int first, int taps, int size, int border) {
    if (border >= REFLECT) {
        int period = border == SYMMETRIC ? 2 * size : (size > 1 ? 2 * size - 2 : 1);
        first %= period;
        return first < 0 ? first + period : first;
    }
    return first < -taps ? -taps : first > size ? size : first;
}

/* Lay out one axis of a map `at = scale u + shift` into `size` pixels, or through a filter into those behind the grid. */
static Axis axis_of(Arena *arena, const Row *row, int a, double scale, double shift, int n, int size, int filter,
                    int taps) {
    Axis axis = {.n = n, .padded = whole(n), .folded = row->border >= REFLECT, .low = INT32_MAX, .high = INT32_MIN};
    float ratio = row->ratio[a], stretch = ratio > 1 ? ratio : 1, support = filter == CUBIC ? 2 * stretch : stretch;
    axis.taps = filter ? (int)floorf(2 * support) + 2 : taps;
    axis.ascends = axis.descends = axis.taps == 1;
    axis.first = take(arena, axis.padded);
    axis.weight = take(arena, (size_t)axis.padded * axis.taps);
    /* Whole pixels in order, the most frequent map, ask for no floor of each. */
    const int plain = axis.taps == 1 && !filter && fabs(scale) == 1 && fabs(shift) < 1e6 && near_whole(shift);
    if (plain) {
        const int sign = (int)scale;
        axis.start = (int)floor(scale * 0.5 + rint(shift)), axis.ascends = sign > 0, axis.descends = sign < 0;
        for (int u = 0; u < n; u++) {
            const int first = near(axis.start + sign * u, 1, size, row->border);
            axis.first[u] = first, axis.weight[u] = 1;
            if (first < axis.low) axis.low = first;
            if (first + 1 > axis.high) axis.high = first + 1;
        }
    }
    for (int u = 0; u < n && !plain; u++) {
        double at = scale * (u + 0.5) + shift;
        at = at < -1e7 ? -1e7 : at > 1e7 ? 1e7 : at;
        float *weight = axis.weight + u;
        int first;
        if (filter) {
            int pixel = (int)floor(at);
            pixel = pixel < 0 ? 0 : pixel >= row->grid[a] ? row->grid[a] - 1 : pixel;
            float centre = (pixel + 0.5f) * ratio, total = 0;
            first = (int)floorf(centre - support + 0.5f);
            for (int k = 0; k < axis.taps; k++) {
                float distance = (first + k + 0.5f - centre) / stretch, value = 1 - fabsf(distance);
                if (filter == CUBIC) value = cubic(distance, -0.5f);
                else if (value < 0) value = 0;
                if (first + k < 0 || first + k >= size) value = 0;
                weight[k * axis.padded] = value, total += value;
            }
            for (int k = 0; k < axis.taps; k++) weight[k * axis.padded] /= total;
        } else {
            double floored = floor(taps == 1 ? at : at - 0.5);
            float t = (float)(at - 0.5 - floored);
            first = near((int)floored - (taps == 1 ? 0 : taps / 2 - 1), taps, size, row->border);
            if (u == 0) axis.start = (int)floored;
            axis.ascends &= (int)floored == axis.start + u, axis.descends &= (int)floored == axis.start - u;
            for (int k = 0; k < taps; k++) weight[k * axis.padded] = tap_weight(t, k, taps);
        }
        axis.first[u] = first;
        if (first < axis.low) axis.low = first;
        if (first + axis.taps > axis.high) axis.high = first + axis.taps;
    }
    axis.shifted = axis.taps == 1;
    for (int u = 0; u < n; u++) {
        axis.first[u] -= axis.low;
        axis.shifted &= axis.first[u] == u;
    }
    for (int u = n; u < axis.padded; u++) {
        axis.first[u] = axis.first[n - 1];
        for (int k = 0; k < axis.taps; k++) axis.weight[k * axis.padded + u] = 0;
    }
    return axis;
}

/* --- what a sample's rows are made from -------------------------------------------------------------------------- */

/* A source of h x w pixels; c, y and x are strides in elements, border and fill tell what lies outside. */
typedef struct {
    const void *data;
    int type, channels, h, w, border;
    ptrdiff_t c, y, x;
    const float *fill;
} Image;

static Image image_of(const Row *row, int channels) {
    Image image = {(const void *)row->source, row->type, channels, row->window[0], row->window[1], row->border};
    image.c = row->strides[0], image.y = row->strides[1], image.x = row->strides[2], image.fill = row->fill;
    return image;
}

static inline float value_at(const Image *image, int y, int x, int c) {
    ptrdiff_t at = y * image->y + x * image->x + c * image->c;
    return image->type == UINT8 ? ((const uint8_t *)image->data)[at] : ((const float *)image->data)[at];
}

/* Lines of a source whose x axis is resampled already; the last `room` of them are kept. */
typedef struct {
    const Image *image;
    Axis y, x;
    int room;
    int32_t *number;                /* (room,) which line stands there */
    float *kept;                    /* (room, channels, x.padded) */
    float *raw;                     /* (channels, raw_stride) a line as it was read */
    size_t raw_stride;
} Lines;

/* A row of a sample whose pixels are only moved: as many of its n pixels as left and right say lie outside the source. */
typedef struct {
    int line;               /* of the source, below 0 where all is outside */
    int back;               /* from the last to the first */
    int left, inside, right;
    int constant;           /* what lies outside is the fill */
    int step;               /* bytes from pixel to pixel, 3 for interleaved ones of three channels */
    const uint8_t *from;    /* the first of those inside, as they lie in the source */
} Strip;

/* Find the strip that row v shows; 0 where it is no shift and no mirror, or of other pixels than bytes side by side. */
static int strip_of(const Lines *lines, int v, Strip *strip) {
    const Image *image = lines->image;
    const Axis *x = &lines->x;
    const int mixed = image->channels == 3 && image->x == 3 && image->c == 1, n = x->n;
    if (!(x->ascends || x->descends) || !(image->x == 1 || mixed)) return 0;
    strip->line = bounded(lines->y.first[v] + lines->y.low, image->h, image->border), strip->back = !x->ascends;
    strip->constant = strip->line < 0 || image->border == CONSTANT, strip->step = (int)image->x;
    /* The first pixel of the source, and how many of the n pixels lie before and behind what it has. */
    const int low = strip->back ? x->start - (n - 1) : x->start, over = low + n - image->w;
    const int before = strip->line < 0 || low < -n ? n : low < 0 ? -low : 0;
    const int behind = before == n || over <= 0 ? 0 : over > n ? n : over;
    strip->left = strip->back ? behind : before, strip->right = strip->back ? before : behind;
    strip->inside = n - before - behind;
    strip->from = (const uint8_t *)image->data + strip->line * image->y + (low + before) * image->x;
    return 1;
}

/* Tell which pixel of its line a pixel outside shows, where the border is no fill. */
static inline int shown_at(const Lines *lines, const Strip *strip, int i) {
    return bounded(strip->back ? lines->x.start - i : lines->x.start + i, lines->image->w, lines->image->border);
}

/* What is known of the whole image before a step. */
typedef struct {
    double luma;
    float mean, low[3], high[3], table[3][256];
    int32_t count[3][256];
} Facts;

/* A part of a source, [top, bottom) x [left, right), with pixels of four channels, and a row of points in it. */
typedef struct {
    const Row *row;
    int n, channels, h, w;          /* pixels of a row of the output; channels and size of the source */
    int top, bottom, left, right;
    double low_x, high_x, low_y, high_y; /* where points may lie: beyond, all looks the same */
    int bytes;                      /* pixels are of four bytes, else of four floats */
    const char *pixels;
    ptrdiff_t pitch;                /* bytes from line to line */
    double *at_x, *at_y;            /* (n,) where the points lie */
    int32_t *offset;                /* (n,) bytes from `pixels` to the first pixel of a point's footprint */
    float *tx, *ty;                 /* (n,) how far a point lies behind that pixel's centre */
    float *four;                    /* (n, 4) */
} Warp;

/* Fold a coordinate at the borders of [0, size]. */
static inline double folded(double at, int size, int border) {
    /* Reflection turns at the centres of the first and the last pixel, symmetry at their edges. */
    double edge = border == SYMMETRIC ? 0 : 0.5, length = size - 2 * edge;
    if (length <= 0) return 0.5;
    double place = (at - edge) / (2 * length);
    place = (place - floor(place)) * 2;
    return edge + length * (place > 1 ? 2 - place : place);
}

/* Bound what a warp can see: the points, and the pixels around them. */
static void bound_view(Warp *warp) {
    const double *m = warp->row->matrix;
    const int margin = warp->row->taps == 1 ? 1 : warp->row->taps;
    const int far = warp->row->border >= REFLECT ? 0 : margin == 1 ? 1 : margin / 2 + 1;
    warp->low_x = -far, warp->high_x = warp->w + far, warp->low_y = -far, warp->high_y = warp->h + far;
    double left = 1e9, right = -1e9, top = 1e9, bottom = -1e9;
    int everything = warp->row->border >= REFLECT;
    for (int corner = 0; corner < 4; corner++) {
        double x = (corner & 1) * (double)warp->row->size[1], y = (corner >> 1) * (double)warp->row->size[0];
        double depth = m[6] * x + m[7] * y + m[8];
        everything |= depth < 1e-6;
        depth = depth > 1e-6 ? depth : 1e-6;
        double at_x = (m[0] * x + m[1] * y + m[2]) / depth, at_y = (m[3] * x + m[4] * y + m[5]) / depth;
        left = at_x < left ? at_x : left, right = at_x > right ? at_x : right;
        top = at_y < top ? at_y : top, bottom = at_y > bottom ? at_y : bottom;
    }
    if (everything || left < warp->low_x) left = warp->low_x;
    if (everything || right > warp->high_x) right = warp->high_x;
    if (everything || top < warp->low_y) top = warp->low_y;
    if (everything || bottom > warp->high_y) bottom = warp->high_y;
    /* Nothing of it may be in sight. */
    left = left > warp->high_x ? warp->high_x : left, right = right < left ? left : right;
    top = top > warp->high_y ? warp->high_y : top, bottom = bottom < top ? top : bottom;
    warp->low_x = left, warp->high_x = right, warp->low_y = top, warp->high_y = bottom;
    warp->left = (int)floor(left) - margin - 1, warp->right = (int)ceil(right) + margin + 1;
    warp->top = (int)floor(top) - margin - 1, warp->bottom = (int)ceil(bottom) + margin + 1;
}

#endif
