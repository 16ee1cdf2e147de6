/* One sample from its pixels to its output. Compiled once for each instruction set. */

#include "resample.h"
#include "steps.h"
#include "levels.h"
#include "write.h"
#include "copy.h"

/* Make a sample's rows: straight for maps that keep the axes, warped for all others. */
typedef struct {
    Lines lines;
    Warp warp;
    int straight;
} FN(Rows);

static void FN(make_row)(FN(Rows) *rows, const Row *row, float white, int y, float *into, int channels) {
    if (rows->straight) FN(straight_row)(&rows->lines, y, into);
    else FN(warped_row)(&rows->warp, y, into);
    if (row->clamp) FN(clamp_row)(into, channels * whole(row->size[1]), white);
}

static Lines FN(lines_of)(Arena *arena, const Image *image, Axis y, Axis x) {
    Lines lines = {.image = image, .y = y, .x = x, .room = y.taps + 1};
    lines.raw_stride = whole(x.high - x.low) + 32;
    lines.raw = take(arena, lines.raw_stride * image->channels);
    /* Vectors are read past the end of a line, under a weight of 0 that only a number makes 0. */
    memset(lines.raw, 0, lines.raw_stride * image->channels * sizeof(float));
    lines.kept = take(arena, (size_t)lines.room * image->channels * x.padded);
    memset(lines.kept, 0, (size_t)lines.room * image->channels * x.padded * sizeof(float));
    lines.number = take(arena, lines.room);
    for (int i = 0; i < lines.room; i++) lines.number[i] = INT32_MIN;
    return lines;
}

/* Shrink the window by the filter to the grid: planes of floats. */
static Image FN(shrunk)(Arena *arena, const Row *row, const Image *image) {
    const int h = row->grid[0], w = row->grid[1];
    Axis y = axis_of(arena, row, 0, 1, 0, h, image->h, row->filter, 1);
    Axis x = axis_of(arena, row, 1, 1, 0, w, image->w, row->filter, 1);
    Lines lines = FN(lines_of)(arena, image, y, x);
    const size_t pitch = (size_t)image->channels * x.padded;
    float *planes = take(arena, h * pitch);
    for (int v = 0; v < h; v++) FN(straight_row)(&lines, v, planes + v * pitch);
    Image result = *image;
    result.data = planes, result.type = FLOAT32, result.h = h, result.w = w;
    result.c = x.padded, result.y = pitch, result.x = 1;
    return result;
}

/* Copy what a warp can see of its source into pixels of four, in bytes where that loses nothing. */
static Warp FN(warp_of)(Arena *arena, const Row *row, const Image *image) {
    Warp warp = {.row = row, .n = row->size[1], .h = image->h, .w = image->w, .channels = image->channels};
    warp.bytes = image->type == UINT8;
    for (int c = 0; c < image->channels && row->border == CONSTANT; c++) warp.bytes &= row->fill[c] == floorf(row->fill[c]);
    bound_view(&warp);
    warp.pitch = (ptrdiff_t)(warp.right - warp.left) * (warp.bytes ? 4 : 16);
    char *pixels = take(arena, (size_t)(warp.bottom - warp.top) * warp.pitch / 4 + 8);
    warp.pixels = pixels;
    size_t stride = whole(warp.right - warp.left) + 16;
    float *raw = take(arena, 3 * stride);
    for (int line = warp.top; line < warp.bottom; line++, pixels += warp.pitch)
        FN(read_pixels)(&warp, image, bounded(line, image->h, image->border), raw, stride, pixels);
    warp.at_x = take(arena, 2 * (size_t)warp.n), warp.at_y = take(arena, 2 * (size_t)warp.n);
    warp.offset = take(arena, warp.n), warp.tx = take(arena, warp.n), warp.ty = take(arena, warp.n);
    warp.four = take(arena, 4 * (size_t)warp.n);
    return warp;
}

static void FN(open_rows)(Arena *arena, FN(Rows) *rows, const Row *row, Image *image) {
    const double *m = row->matrix;
    int kept = !row->projective && m[1] == 0 && m[3] == 0, filter = row->filter;
    if (filter && !(kept && row->taps == 1)) *image = FN(shrunk)(arena, row, image), filter = UNFILTERED;
    rows->straight = kept;
    if (kept) {
        Axis y = axis_of(arena, row, 0, m[4], m[5], row->size[0], image->h, filter, row->taps);
        Axis x = axis_of(arena, row, 1, m[0], m[2], row->size[1], image->w, filter, row->taps);
        rows->lines = FN(lines_of)(arena, image, y, x);
    } else {
        rows->warp = FN(warp_of)(arena, row, image);
    }
}

/* An image between its resample and its output: rows of planes, all of them where a step has to know them first. */
typedef struct {
    const Output *out;
    const Step **steps;
    int h, w, entire;
    size_t stride, pitch;   /* elements from plane to plane, and from row to row */
    float *planes, *kept;   /* kept: two rows as they were before they were sharpened */
    Facts facts;
} FN(Canvas);

static void FN(sharpen)(FN(Canvas) *canvas, const Step *step, int y) {
    float *row = canvas->planes + y * canvas->pitch, *mine = canvas->kept + (y & 1) * canvas->pitch;
    const float *above = canvas->kept + ((y + 1) & 1) * canvas->pitch, *below = row + canvas->pitch;
    memcpy(mine, row, canvas->pitch * sizeof(float));
    if (y == 0 || y + 1 == canvas->h) return;
    for (size_t c = 0, at = 0; c < (size_t)canvas->out->channels; c++, at += canvas->stride)
        FN(sharpen_row)(step, row + at, above + at, mine + at, below + at, canvas->w);
}

/* Run the steps [from, to) on row y; only the first of them may ask for something. */
static void FN(step_row)(FN(Canvas) *canvas, int from, int to, int y, float *row) {
    const int n = canvas->w, channels = canvas->out->channels;
    const size_t stride = canvas->stride;
    for (int k = from; k < to; k++) {
        const Step *step = canvas->steps[k];
        if (step->code == COLOR_MATRIX)
            FN(color_row)(step, step->mean ? canvas->facts.mean : 0, canvas->out->white, row, row + stride,
                          row + 2 * stride, n, channels);
        else if (step->code == HUE) FN(hue_row)(step->matrix[0], row, row + stride, row + 2 * stride, n);
        else if (step->code == ERASE) FN(erase_row)(step, y, row, stride, n, channels);
        else if (step->code == SHARPEN) FN(sharpen)(canvas, step, y);
        else FN(level_row)(step, &canvas->facts, row, stride, n, channels);
    }
}

static void FN(render_sample)(Arena *arena, const Row *row, const Step *steps, const Output *out) {
    Image image = image_of(row, out->channels);
    FN(Rows) rows;
    FN(open_rows)(arena, &rows, row, &image);
    FN(Canvas) canvas = {.out = out, .h = row->size[0], .w = row->size[1], .stride = whole(row->size[1])};
    canvas.pitch = out->channels * canvas.stride;
    canvas.steps = take(arena, 2 * (size_t)row->steps);
    int count = 0, passes = 1;
    for (int k = 0; k < row->steps; k++)
        if (steps[k].code != NOTHING) canvas.steps[count++] = steps + k, passes += need_of(steps + k) != NO_NEED;
    canvas.entire = passes > 1;
    canvas.planes = take(arena, (canvas.entire ? canvas.h : 1) * canvas.pitch);
    canvas.kept = canvas.entire ? take(arena, 2 * canvas.pitch) : NULL;
    const Step *last = count ? canvas.steps[count - 1] : NULL;
    const int planar = out->to == FLOAT32 && !out->interleaved && out->channels == 3;
    const int joined = planar && count > 0 && last->code == COLOR_MATRIX;
    /* Lines are read in the order in which they lie in memory: half the time of the other one. */
    const int moved = rows.straight && rows.lines.y.taps == 1 && row->type == UINT8 && count == 0;
    const int bytes = moved && is_plain(out), floats = moved && out->to == FLOAT32 && !out->interleaved;
    uint8_t *room = bytes ? take(arena, canvas.w) : NULL;
    for (int pass = 0, next = 0, stop; pass < passes; pass++, next = stop) {
        for (stop = next + (pass > 0); stop < count && need_of(canvas.steps[stop]) == NO_NEED; stop++) {}
        const int need = stop < count ? need_of(canvas.steps[stop]) : NO_NEED;
        Facts found;
        if (need) FN(open_facts)(&found);
        for (int v = 0; v < canvas.h; v++) {
            const int y = moved && rows.lines.y.descends ? canvas.h - 1 - v : v;
            float *at = canvas.planes + (canvas.entire ? y * canvas.pitch : 0);
            if (bytes && FN(copy_row)(&rows.lines, row, y, room)) continue;
            if (floats && FN(move_row)(&rows.lines, row, out, y)) continue;
            if (pass == 0) FN(make_row)(&rows, row, out->white, y, at, out->channels);
            const int alone = joined && !need; /* the last step is left for the write */
            FN(step_row)(&canvas, next, stop - alone, y, at);
            if (need) FN(gather_facts)(&found, need, out, at, canvas.stride, canvas.w);
            else if (alone) FN(color_and_write)(out, row, last, last->mean ? canvas.facts.mean : 0, y, at, canvas.stride);
            else FN(write_row)(out, row, y, at, canvas.stride);
        }
        if (need) FN(close_facts)(&found, need, out->channels, canvas.h * canvas.w), canvas.facts = found;
    }
}

static void FN(render)(Arena *arena, const Sample *samples, const Step *steps, int count, int capacity, const Output *out) {
    for (int i = 0; i < count; i++) {
        reset(arena);
        Row row = place(samples + i);
        FN(render_sample)(arena, &row, steps + (ptrdiff_t)i * capacity, out);
    }
}
