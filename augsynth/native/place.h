/* Where a sample lies: copied, resized or warped, from which window, through what filter; see `augsynth/placing.py`. */

#ifndef AUGSYNTH_PLACE_H
#define AUGSYNTH_PLACE_H

#include "base.h"

enum { NEAREST, BILINEAR, BICUBIC };

static const double STEP_LENGTH = 1.6, HORIZON = 1e-6;


static double at_least(double value, double low) { return value > low ? value : low; }

/* Cut the window [low, high) of the source out. */
static void cut_out(Row *row, const double low[2], const double high[2]) {
    const int item = row->type == UINT8 ? 1 : 4;
    for (int a = 0; a < 2; a++) {
        row->source += (int64_t)item * (int64_t)low[a] * row->strides[1 + a];
        row->window[a] = row->grid[a] = (int32_t)(high[a] - low[a]);
    }
}

/* A map that keeps the axes: a copy or a resize, where it has whole-pixel windows. Returns 0 where it has none. */
static int place_straight(Row *row, const Sample *sample, int taps) {
    double low[2], high[2], begin[2], step[2], total[2], before[2];
    int whole = 1, copy = 1, inside = 1, sliced = 1;
    for (int a = 0; a < 2; a++) {
        double scale = row->matrix[a == 0 ? 4 : 0], shift = row->matrix[a == 0 ? 5 : 2];
        double end = shift + scale * row->size[a];
        low[a] = shift < end ? shift : end, high[a] = shift < end ? end : shift;
        step[a] = at_least(fabs(scale), 1e-9);
        whole &= near_whole(low[a]) && near_whole(high[a]);
        copy &= fabs(step[a] - 1) < 1e-9;
        inside &= low[a] > -TOLERANCE && high[a] < row->window[a] + TOLERANCE;
        total[a] = row->window[a] / step[a], before[a] = low[a] / step[a];
        sliced &= near_whole(total[a]) && near_whole(before[a]);
    }
    if (whole && copy) {
        row->taps = 1;
        return 1;
    }
    if (!inside || !(whole || sliced) || sample->bordered || sample->interpolation == NEAREST) return 0;
    /* A window of the input is resized, or the whole of it and a window of that is taken. */
    int entire = !(whole && (sample->cut_first || !sliced)), shrinks = 0;
    double full[2], offset[2];
    for (int a = 0; a < 2; a++) {
        begin[a] = entire ? 0 : rint(low[a]), high[a] = entire ? row->window[a] : rint(high[a]);
        full[a] = entire ? rint(total[a]) : row->size[a], offset[a] = entire ? rint(before[a]) : 0;
        shrinks |= high[a] - begin[a] > full[a];
    }
    cut_out(row, begin, high);
    row->border = EDGE;
    const int filtered = sample->antialias && (shrinks || sample->interpolation == BICUBIC);
    for (int a = 0; a < 2; a++) {
        double *scale = row->matrix + (a == 0 ? 4 : 0), *shift = row->matrix + (a == 0 ? 5 : 2);
        if (!filtered) *shift -= begin[a];
        else {
            *shift = offset[a] + (*scale < 0 ? row->size[a] : 0), *scale = *scale < 0 ? -1 : 1;
            row->grid[a] = (int32_t)full[a];
        }
    }
    row->taps = filtered ? 1 : taps;
    row->filter = !filtered ? UNFILTERED : sample->interpolation == BICUBIC ? CUBIC : TRIANGLE;
    return 1;
}

/* Any other map: where it shrinks, a filter first brings what it can see to a grid of steps that interpolation bears. */
static void place_warped(Row *row, const Sample *sample) {
    const double *m = row->matrix;
    const double h = row->size[0], w = row->size[1];
    double low[2] = {1e9, 1e9}, high[2] = {-1e9, -1e9}, slope[2][2], shrink[2] = {1, 1};
    int everything = row->border >= REFLECT, filtered = sample->antialias && sample->interpolation > NEAREST;
    if (!filtered) return;
    for (int corner = 0; corner < 4; corner++) {
        double x = (corner & 1) * w, y = (corner >> 1) * h, depth = m[6] * x + m[7] * y + m[8];
        /* Past the horizon no corner bounds what is seen, and there the slope has no end. */
        everything |= depth < HORIZON;
        depth = at_least(depth, HORIZON);
        double at[2] = {(m[3] * x + m[4] * y + m[5]) / depth, (m[0] * x + m[1] * y + m[2]) / depth};
        for (int a = 0; a < 2; a++) low[a] = at[a] < low[a] ? at[a] : low[a], high[a] = at[a] > high[a] ? at[a] : high[a];
    }
    double depth = m[6] * w / 2 + m[7] * h / 2 + m[8];
    filtered &= depth >= HORIZON;
    depth = at_least(depth, HORIZON);
    for (int a = 0; a < 2; a++) {
        const double *line = m + (a == 0 ? 3 : 0);
        double at = (line[0] * w / 2 + line[1] * h / 2 + line[2]) / depth;
        for (int b = 0; b < 2; b++) slope[a][b] = (line[b] - at * m[6 + b]) / depth;
        if (filtered) shrink[a] = at_least(sqrt(slope[a][0] * slope[a][0] + slope[a][1] * slope[a][1]) / STEP_LENGTH, 1);
    }
    int differs = 0;
    double full[2];
    for (int a = 0; a < 2; a++) {
        double margin = 2 + ceil(shrink[a]), size = row->window[a];
        low[a] = everything ? 0 : floor(low[a]) - margin, high[a] = everything ? size : ceil(high[a]) + margin;
        low[a] = at_least(low[a], 0), low[a] = low[a] < size - 1 ? low[a] : size - 1;
        high[a] = at_least(high[a], low[a] + 1), high[a] = high[a] < size ? high[a] : size;
        full[a] = at_least(ceil((high[a] - low[a]) / shrink[a] - TOLERANCE), 1);
        differs |= full[a] != high[a] - low[a];
    }
    if (!differs) return;
    cut_out(row, low, high);
    row->filter = TRIANGLE;
    for (int a = 0; a < 2; a++) {
        double ratio = full[a] / (high[a] - low[a]);
        double *line = row->matrix + (a == 0 ? 3 : 0);
        for (int b = 0; b < 3; b++) line[b] = ratio * (line[b] - low[a] * row->matrix[6 + b]);
        row->grid[a] = (int32_t)full[a];
    }
}

static Row place(const Sample *sample) {
    Row row = {.source = sample->source, .target = sample->target, .border = sample->border, .steps = sample->steps,
               .type = sample->type, .clamp = sample->interpolation == BICUBIC, .taps = 1 << sample->interpolation};
    memcpy(row.matrix, sample->matrix, sizeof row.matrix);
    memcpy(row.strides, sample->strides, sizeof row.strides);
    memcpy(row.fill, sample->fill, sizeof row.fill);
    for (int a = 0; a < 2; a++) row.size[a] = sample->size[a], row.window[a] = row.grid[a] = sample->image[a];
    double *m = row.matrix;
    const int flat = fabs(m[6]) < 1e-12 && fabs(m[7]) < 1e-12;
    if (flat && fabs(m[0]) < TOLERANCE && fabs(m[4]) < TOLERANCE) {
        /* A quarter turn is a swap of the source's axes and a map that keeps the axes. */
        for (int b = 0; b < 3; b++) {
            double kept = m[b];
            m[b] = m[3 + b], m[3 + b] = kept;
        }
        int32_t stride = row.strides[1], size = row.window[0];
        row.strides[1] = row.strides[2], row.strides[2] = stride;
        row.window[0] = row.grid[0] = row.window[1], row.window[1] = row.grid[1] = size;
    }
    row.projective = m[6] != 0 || m[7] != 0 || m[8] != 1;
    int straight = flat && fabs(m[1]) < TOLERANCE && fabs(m[3]) < TOLERANCE;
    if (straight) m[1] = m[3] = 0; /* what rounding left of a turn must not make a warp of it */
    if (!straight || !place_straight(&row, sample, row.taps)) place_warped(&row, sample);
    for (int a = 0; a < 2; a++) row.ratio[a] = (float)row.window[a] / (float)row.grid[a];
    return row;
}

#endif
