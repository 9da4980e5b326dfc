/* Compares the vector kernels of the file KERNELS with plain loops and with portable C, on random numbers.
 * Prints the first difference and exits with 1. */
#include <stdio.h>
#include <stdlib.h>

#include KERNELS

enum { SPIKES = 70, ROOM = 400, SLACK = 192, POSITIONS = 256 };

static uint64_t state = 20261122;

/* Numbers from low to high (xorshift64*; Vigna 2016). */
static int64_t between(int64_t low, int64_t high) {
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return low + (int64_t)(((state * UINT64_C(2685821657736338717)) >> 16) % (uint64_t)(high - low + 1));
}

static void same(const char *what, const void *found, const void *expected, size_t bytes, int64_t trial) {
    const uint8_t *a = found, *b = expected;
    for (size_t i = 0; i < bytes; i++) {
        if (a[i] == b[i]) continue;
        printf("%s differs at byte %d in trial %d\n", what, (int)i, (int)trial);
        exit(1);
    }
}

/* Currents may wrap. Sums of 16-bit weights for 32-bit currents may not; `chunk` is as large as that allows. */
static void check_adds(int64_t trial) {
    static int16_t weights[POSITIONS + ROOM + SLACK], current[2 * ROOM + SLACK], expected[2 * ROOM + SLACK];
    static int32_t current32[2 * ROOM + SLACK], expected32[2 * ROOM + SLACK];
    int32_t events[SPIKES];
    const int64_t length = between(1, ROOM), count = between(1, SPIKES), most = 32767 / between(1, SPIKES);
    const int64_t chunk = 32767 / most, runs[4] = {0, 0, ROOM, 3};
    const nm_rows rows = {runs, between(0, 2)};
    for (int64_t i = 0; i < POSITIONS + ROOM + SLACK; i++) weights[i] = (int16_t)between(-most, most);
    for (int64_t e = 0; e < SPIKES; e++) events[e] = (int32_t)between(0, POSITIONS - 4);
    for (int64_t i = 0; i < 2 * ROOM + SLACK; i++) {
        current[i] = expected[i] = (int16_t)between(INT16_MIN, INT16_MAX);
        current32[i] = expected32[i] = (int32_t)between(INT32_MIN, INT32_MAX);
    }
    for (int64_t r = 0; r < rows.count; r++)
        for (int64_t e = 0; e < count; e++)
            for (int64_t i = 0; i < length; i++) {
                const int64_t at = runs[2 * r] + i, weight = weights[runs[2 * r + 1] + events[e] + i];
                expected[at] = (int16_t)((uint32_t)expected[at] + (uint32_t)weight);
                expected32[at] = (int32_t)((uint32_t)expected32[at] + (uint32_t)weight);
            }
    add16(current, length, weights, rows, events, count);
    add32(current32, length, weights, rows, events, count, chunk);
    same("16-bit currents", current, expected, sizeof current, trial);
    same("32-bit currents", current32, expected32, sizeof current32, trial);
}

enum { WORDS_OF_SCAN = 3, NEURONS = 64 * WORDS_OF_SCAN, STEPS = 5 };

static int32_t tables[5][NEURONS];

/* A rule with tables of `period` numbers. */
static nm_scan random_rule(void) {
    const int32_t range = (int32_t)between(1, 40000);
    const int64_t plain = between(0, 3) == 0, bits = between(8, 31);
    for (int64_t i = 0; i < NEURONS; i++) {
        tables[0][i] = plain ? 0 : (int32_t)between(-50, 50);
        tables[1][i] = plain && i ? tables[1][0] : (int32_t)between(-range, range);
        tables[2][i] = plain && i ? tables[2][0] : (int32_t)between(-range, range);
        tables[3][i] = (int32_t)between(-2 * range, 0);
        tables[4][i] = (int32_t)between(0, 2 * range);
    }
    nm_scan rule = {.width = 32, .period = between(0, 1) ? 64 : NEURONS, .plain = plain};
    rule.bias = tables[0], rule.above = tables[1], rule.subtract = tables[2];
    rule.low = tables[3], rule.high = tables[4];
    if (plain) return rule;
    rule.shift = between(0, 6), rule.zero = between(0, 1), rule.wraps = between(0, 1);
    rule.clips = rule.wraps || between(0, 1); /* whoever wraps also clips */
    rule.mask = (INT64_C(1) << bits) - 1, rule.sign = INT64_C(1) << (bits - 1);
    return rule;
}

static void check_scans(int64_t trial) {
    static int16_t current[STEPS][NEURONS], given[STEPS][NEURONS];
    static int32_t current32[NEURONS], given32[NEURONS], potential[NEURONS], expected[NEURONS];
    uint64_t spikes[STEPS][WORDS_OF_SCAN], wanted[STEPS][WORDS_OF_SCAN];
    const nm_scan rule = random_rule();
    const int64_t reach = between(0, INT64_C(1) << NEURONS / 32);
    for (int64_t i = 0; i < NEURONS; i++) {
        potential[i] = expected[i] = (int32_t)between(-100000, 100000);
        current32[i] = given32[i] = (int32_t)between(-100000, 100000);
        const int64_t reached = reach >> i / 32 & 1; /* some groups of neurons get no current at all */
        for (int64_t s = 0; s < STEPS; s++)
            current[s][i] = given[s][i] = reached ? (int16_t)between(INT16_MIN, INT16_MAX) : 0;
    }
    scan_vectors(&rule, WORDS_OF_SCAN, current32, 32, potential, NULL, spikes[0]);
    nm_scan_portable(&rule, WORDS_OF_SCAN, given32, 32, expected, NULL, wanted[0]);
    same("spikes from 32-bit currents", spikes[0], wanted[0], sizeof spikes[0], trial);
    scan_vectors(&rule, WORDS_OF_SCAN, current[0], 16, potential, NULL, spikes[0]);
    scan_chunk(&rule, WORDS_OF_SCAN, current[1], NEURONS, potential, spikes[1], WORDS_OF_SCAN, STEPS - 1);
    for (int64_t s = 0; s < STEPS; s++)
        nm_scan_portable(&rule, WORDS_OF_SCAN, given[s], 16, expected, NULL, wanted[s]);
    same("spikes", spikes, wanted, sizeof spikes, trial);
    same("potentials", potential, expected, sizeof potential, trial);
    same("cleared currents", current, given, sizeof current, trial);
    same("cleared 32-bit currents", current32, given32, sizeof current32, trial);
}

static void check_tally(int64_t trial) {
    enum { MOST_WORDS = 7, LONG = 200 };
    static uint64_t bits[LONG][MOST_WORDS];
    uint32_t tally[64 * MOST_WORDS], expected[64 * MOST_WORDS];
    const int64_t words = between(1, MOST_WORDS), steps = between(0, LONG), rare = between(0, 1);
    for (int64_t i = 0; i < 64 * MOST_WORDS; i++) tally[i] = expected[i] = (uint32_t)between(0, 1000);
    for (int64_t s = 0; s < LONG; s++)
        for (int64_t w = 0; w < MOST_WORDS; w++)
            bits[s][w] = rare && between(0, 9) ? 0 : (uint64_t)between(0, INT64_C(1) << 40) << between(0, 23);
    for (int64_t s = 0; s < steps; s++)
        for (int64_t i = 0; i < 64 * words; i++) expected[i] += bits[s][i / 64] >> (i % 64) & 1;
    tally_vectors(bits[0], steps, words, MOST_WORDS, tally);
    same("counts of spikes", tally, expected, sizeof tally, trial);
}

/* An unpadded convolution. */
static void check_dense(int64_t trial) {
    enum { HEIGHT = 6, WIDTH = 7, CHANNELS = 12, FILTERS = 24, SIZE = HEIGHT * WIDTH * CHANNELS };
    enum { KERNEL = 3, QUADS = KERNEL * CHANNELS / 4, OUT_Y = HEIGHT - 2, OUT_X = WIDTH - 2 };
    enum { ALL = OUT_Y * OUT_X * FILTERS };
    static int8_t weights[2][KERNEL][QUADS][2][8][4];
    static uint8_t plane[SIZE + SLACK], bytes[SIZE + SLACK];
    static int32_t current[ALL + SLACK], expected[ALL + SLACK];
    static int16_t current16[ALL + SLACK], expected16[ALL + SLACK];
    uint64_t bits[SIZE / 64 + 2];
    nm_map map = {.channels = CHANNELS, .width = WIDTH, .windows_y = HEIGHT, .windows_x = WIDTH};
    map.dense = &weights[0][0][0][0][0][0], map.dense_blocks = FILTERS / 8, map.dense_rows = KERNEL;
    map.dense_quads = QUADS, map.plane_height = HEIGHT;
    map.plane_width = WIDTH, map.stride_x = map.stride_y = map.dilation_y = 1, map.out_height = OUT_Y;
    map.out_width = OUT_X, map.out_channels = FILTERS, map.flush = 32767 / 254;
    if (between(0, 1)) map.flush = between(1, map.flush);
    const int64_t most = between(1, 127), full = between(0, 1);
    for (int64_t i = 0; i < (int64_t)sizeof weights; i++) ((int8_t *)weights)[i] = (int8_t)between(-most, most);
    for (int64_t w = 0; w < (int64_t)(sizeof bits / 8); w++)
        bits[w] = full ? ~UINT64_C(0) : (uint64_t)between(0, INT64_MAX - 1) << 1;
    for (int64_t i = 0; i < ALL + SLACK; i++) {
        current[i] = expected[i] = (int32_t)between(-100000, 100000);
        current16[i] = expected16[i] = (int16_t)between(-100, 100);
    }
    for (int64_t i = 0; i < ALL; i++) {
        const int64_t f = i % FILTERS, x = i / FILTERS % OUT_X, y = i / FILTERS / OUT_X;
        int64_t sum = 0;
        for (int64_t k = 0; k < KERNEL; k++)
            for (int64_t b = 0; b < 4 * QUADS; b++) {
                const int64_t from = ((y + k) * WIDTH + x) * CHANNELS + b;
                if (bits[from / 64] >> (from % 64) & 1) sum += weights[f / 16][k][b / 4][f / 8 % 2][f % 8][b % 4];
            }
        expected[i] += (int32_t)sum;
        expected16[i] = (int16_t)(expected16[i] + sum);
    }
    dense(&map, bits, current, 32, plane, bytes);
    dense(&map, bits, current16, 16, plane, bytes);
    same("dense 32-bit currents", current, expected, ALL * sizeof *current, trial);
    same("dense 16-bit currents", current16, expected16, ALL * sizeof *current16, trial);
}

int main(void) {
    for (int64_t trial = 0; trial < 400; trial++) {
        check_adds(trial);
        check_scans(trial);
        check_tally(trial);
        check_dense(trial);
    }
    printf("all equal\n");
    return 0;
}
