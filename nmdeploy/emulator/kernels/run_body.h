/* Going through samples, populations and steps. Included once for each instruction set, after
 * scatter_body.h, which defines before:
 *
 *   SCAN(scan, words, current, width, potential, silent, spikes)       one step of a sample's neurons
 *   HAS_CHUNKS, SCAN_CHUNK(scan, words, current, pitch, potential, spikes, stride, steps)  some steps, if it can
 *   HAS_DENSE, DENSE_PRODUCTS(map, bits, current, width, plane, bytes)  the dense kernel, if there is one
 *   DENSE_STEPS(map, bits, stride, current, pitch, steps, plane)       the same for some steps of a dense layer
 *   TALLY(bits, steps, words, stride, tally)                           counting a sample's spikes
 */

enum { SILENT = 0, BY_EVENTS = 1, DENSE = 2 };

/* Number of spikes; of values, whether there are any. */
static int64_t activity(const nm_map *map, const void *source) {
    int64_t found = 0;
    if (map->valued) {
        const int32_t *values = (const int32_t *)source;
        for (int64_t i = 0; i < map->size; i++) found |= values[i];
        return found != 0;
    }
    const uint64_t *bits = (const uint64_t *)source;
    for (int64_t k = 0; 64 * k < map->size; k++) found += nm_ones(bits[k]);
    return found;
}

/* 2**exponent * sum, wrapping; a negative exponent is a shift to the right that floors. */
static int64_t shifted(int64_t sum, int64_t exponent) {
    if (exponent >= 0) return (int64_t)((uint64_t)sum << exponent);
    return sum < 0 ? ~(~sum >> -exponent) : sum >> -exponent;
}

/* total += accumulator format ( 2**exponent * sums ); clears the sums. */
static void deliver(const nm_map *map, int64_t *sums, int64_t *total, int64_t neurons) {
    for (int64_t i = 0; i < neurons; i++) {
        int64_t value = shifted(sums[i], map->exponent);
        if (map->format == NM_WRAP)
            value = (int64_t)((((uint64_t)value & (uint64_t)map->mask) ^ (uint64_t)map->sign) - (uint64_t)map->sign);
        else if (map->format == NM_SATURATE)
            value = value < map->low ? map->low : value > map->high ? map->high : value;
        total[i] = (int64_t)((uint64_t)total[i] + (uint64_t)value);
        sums[i] = 0;
    }
}

/* Spikes of window (y, x). */
static int64_t window_spikes(const nm_map *map, const uint64_t *bits, int64_t y, int64_t x) {
    const int64_t length = (map->columns[2 * x + 1] - map->columns[2 * x]) * map->channels;
    int64_t found = 0;
    for (int64_t row = map->rows[2 * y]; row < map->rows[2 * y + 1]; row++) {
        const int64_t start = (row * map->width + map->columns[2 * x]) * map->channels;
        for (int64_t k = 0; k < length; k += 64)
            found += nm_ones(nm_bits(bits, start + k, length - k < 64 ? length - k : 64));
    }
    return found;
}

/* A bound on the spikes that any one output sees: those of the fullest box of windows. `census` gets
 * an integral image, [windows_y + 1][windows_x + 1]: the spikes above and to the left. */
static int64_t busiest(const nm_map *map, const uint64_t *bits, int32_t *census) {
    const int64_t height = map->windows_y, width = map->windows_x, pitch = width + 1;
    memset(census, 0, (size_t)pitch * sizeof *census);
    for (int64_t y = 0; y < height; y++) {
        int32_t *line = census + (y + 1) * pitch, sum = 0;
        line[0] = 0;
        for (int64_t x = 0; x < width; x++) {
            sum += (int32_t)window_spikes(map, bits, y, x);
            line[x + 1] = line[x + 1 - pitch] + sum;
        }
    }
    int64_t most = 0;
    for (int64_t y = 0; y < height; y++) {
        const int64_t bottom = y + map->reach_y < height ? y + map->reach_y : height;
        const int32_t *above = census + y * pitch, *below = census + bottom * pitch;
        for (int64_t x = 0; x < width; x++) {
            const int64_t right = x + map->reach_x < width ? x + map->reach_x : width;
            const int64_t found = below[right] - below[x] - above[right] + above[x];
            most = found > most ? found : most;
        }
    }
    return most;
}

/* How a projection's spikes of one step are best computed. */
static int kernel_for(const nm_map *map, int64_t spikes) {
    if (!spikes) return SILENT; /* 0 in every format */
    return HAS_DENSE && map->dense_above >= 0 && !map->timed && spikes > map->dense_above ? DENSE : BY_EVENTS;
}

/* Whether 16 bits hold the currents of these spikes, though in the worst case they do not. */
static int is_narrow(const nm_map *map, const void *source, int64_t spikes, int32_t *census) {
    if (!map->narrow) return 0;
    return spikes <= map->narrow || busiest(map, (const uint64_t *)source, census) <= map->narrow;
}

/* Add everything that a projection delivers in one step of one sample. */
static void gather_one(const nm_stage *stage, const nm_map *map, const void *source, int kernel, void *excitation,
                       int64_t width) {
    void *current = map->inhibits ? stage->inhibition : excitation;
    if (kernel == DENSE) {
        /* Another map of the stage may have left its image where this one has its border. */
        if (stage->maps > 1) memset(stage->plane, 0, (size_t)(map->plane_height * map->plane_width * map->channels));
        DENSE_PRODUCTS(map, (const uint64_t *)source, current, width, stage->plane, stage->bytes);
    } else if (kernel == BY_EVENTS && map->scaled) {
        scatter(map, source, stage->sums, width, stage->events, stage->listed);
        deliver(map, stage->sums, (int64_t *)current, stage->neurons);
    } else if (kernel == BY_EVENTS) {
        scatter(map, source, current, width, stage->events, stage->listed);
    }
}

/* The spikes (or values) of projection `index` in `row` of the block. */
static const void *arriving(const nm_stage *stage, int64_t index, int64_t row) {
    const int64_t at = row * stage->strides[index];
    if (stage->map[index].valued) return (const int32_t *)stage->sources[index] + at;
    return (const uint64_t *)stage->sources[index] + at;
}

/* Projection `index` of one step of one sample into `current`; returns the width of the currents. */
static int64_t gather_map(const nm_stage *stage, int64_t index, int64_t row, void *current, int64_t width) {
    const nm_map *map = &stage->map[index];
    const void *source = arriving(stage, index, row);
    const int64_t spikes = activity(map, source);
    const int kernel = kernel_for(map, spikes);
    if (kernel == BY_EVENTS && is_narrow(map, source, spikes, stage->census)) width = 16;
    gather_one(stage, map, source, kernel, current, width);
    stage->counters[3 * index + kernel]++;
    return width;
}

/* All projections of one step of one sample into `current`; returns the width of the currents. */
static int64_t gather(const nm_stage *stage, int64_t row, void *current) {
    int64_t width = stage->width;
    for (int64_t m = 0; m < stage->maps; m++) width = gather_map(stage, m, row, current, width);
    return width;
}

/* Some steps of projection `index` by its dense alternative, if that is faster; returns whether it was. */
static int gather_densely(const nm_stage *stage, int64_t index, int64_t row, int64_t samples, int64_t steps) {
    const nm_map *map = &stage->map[index];
    if (!HAS_DENSE || !map->timed || steps == 1) return 0;
    int64_t spikes = 0;
    for (int64_t i = 0; i < steps; i++) spikes += activity(map, arriving(stage, index, row + i * samples));
    if (spikes <= map->dense_above * steps) return 0;
    DENSE_STEPS(map, (const uint64_t *)arriving(stage, index, row), samples * stage->strides[index],
                (int16_t *)stage->current, stage->pitch, steps, stage->plane);
    stage->counters[3 * index + DENSE] += steps;
    return 1;
}

/* All projections of some steps of one sample, in 16 bits. */
static void gather_chunk(const nm_stage *stage, int64_t row, int64_t samples, int64_t steps) {
    for (int64_t m = 0; m < stage->maps; m++) {
        if (gather_densely(stage, m, row, samples, steps)) continue;
        for (int64_t i = 0; i < steps; i++)
            gather_map(stage, m, row + i * samples, (int16_t *)stage->current + i * stage->pitch, 16);
    }
}

/* Give away the currents of one step as they are, and clear them. */
static void export_currents(const nm_stage *stage, int64_t width, int64_t *into) {
    for (int64_t i = 0; i < stage->neurons; i++) {
        if (width == 16)
            into[i] = ((int16_t *)stage->current)[i];
        else if (width == 32)
            into[i] = ((int32_t *)stage->current)[i];
        else
            into[i] = ((int64_t *)stage->current)[i];
    }
    memset(stage->current, 0, (size_t)(stage->neurons * width / 8));
}

#include "apart_body.h"

/* Bits beyond the last neuron are no neurons. */
static void cut_spikes(const nm_stage *stage, uint64_t *spikes) {
    if (stage->neurons & 63) spikes[stage->words - 1] &= (UINT64_C(1) << (stage->neurons & 63)) - 1;
}

/* The neurons' own part of one step: potentials, spikes, recording. */
static void step_neurons(const nm_stage *stage, int64_t width, int64_t sample, int64_t row) {
    const nm_scan *scan = stage->scan;
    const int64_t neurons = 64 * stage->words, bytes = neurons * scan->width / 8;
    char *potential = (char *)stage->potential + sample * bytes;
    int32_t *silent = stage->silent ? stage->silent + sample * neurons : NULL;
    uint64_t *spikes = stage->spikes + row * stage->words;
    if (stage->inhibition) take_inhibition(stage->current, stage->inhibition, neurons, width, scan->ceiling);
    SCAN(scan, stage->words, stage->current, width, potential, silent, spikes);
    cut_spikes(stage, spikes);
    if (stage->recorded) memcpy((char *)stage->recorded + row * bytes, potential, (size_t)bytes);
}

/* Some steps of a sample whose potentials, which a cache may not hold, then pass through registers only once. */
static void run_chunk(const nm_stage *stage, int64_t sample, int64_t samples, int64_t first, int64_t steps) {
    const int64_t row = first * samples + sample;
    uint64_t *spikes = stage->spikes + row * stage->words;
    gather_chunk(stage, row, samples, steps);
    SCAN_CHUNK(stage->scan, stage->words, (int16_t *)stage->current, stage->pitch,
               (int32_t *)stage->potential + sample * 64 * stage->words, spikes, samples * stage->words, steps);
    for (int64_t i = 0; i < steps; i++) cut_spikes(stage, spikes + i * samples * stage->words);
}

static void run_step(const nm_stage *stage, int64_t sample, int64_t samples, int64_t step) {
    const int64_t row = step * samples + sample;
    const int64_t width = gather(stage, row, stage->current);
    if (stage->scan)
        step_neurons(stage, width, sample, row);
    else
        export_currents(stage, width, stage->exported + row * stage->neurons);
}

static void run_stage(const nm_stage *stage, int64_t sample, int64_t samples, int64_t steps) {
    const int64_t chunk = HAS_CHUNKS ? stage->chunk : 1;
    for (int64_t step = 0; step < steps; step += chunk) {
        if (chunk > 1)
            run_chunk(stage, sample, samples, step, steps - step < chunk ? steps - step : chunk);
        else
            run_step(stage, sample, samples, step);
    }
    if (stage->scan)
        TALLY(stage->spikes + sample * stage->words, steps, stage->words, samples * stage->words,
              stage->tally + sample * 64 * stage->words);
}

static void run(const nm_stage *const *stages, int64_t count, int64_t samples, int64_t steps) {
    /* A sample goes through all populations before the next one comes, so that its spikes stay in cache. */
    for (int64_t sample = 0; sample < samples; sample++)
        for (int64_t i = 0; i < count; i++) run_stage(stages[i], sample, samples, steps);
}
