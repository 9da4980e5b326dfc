/* The kernels in plain C, for every processor; compilers turn the inner loops into its vectors. */
#include <string.h>

#include "nm.h"
#include "bits.h"

#define DEFINE_ADD(NAME, CURRENT, UNSIGNED)                                                                      \
    static void NAME(CURRENT *restrict current, int64_t length, const int16_t *restrict weights, nm_rows rows,   \
                     const int32_t *restrict events, int64_t count) {                                            \
        for (int64_t r = 0; r < rows.count; r++) {                                                               \
            CURRENT *into = current + rows.runs[2 * r];                                                          \
            for (int64_t e = 0; e < count; e++) {                                                                \
                const int16_t *row = weights + rows.runs[2 * r + 1] + events[e];                                 \
                for (int64_t i = 0; i < length; i++)                                                             \
                    into[i] = (CURRENT)((UNSIGNED)into[i] + (UNSIGNED)(CURRENT)row[i]);                          \
            }                                                                                                    \
        }                                                                                                        \
    }
DEFINE_ADD(add16, int16_t, uint16_t)
DEFINE_ADD(add32, int32_t, uint32_t)

#define ADD16(current, length, weights, rows, events, count) add16(current, length, weights, rows, events, count)
#define ADD32(current, length, weights, rows, events, count, chunk) add32(current, length, weights, rows, events, count)
#include "scatter_body.h"
#include "tally_body.h"

#define SCAN scan_16_32
#define CURRENT int16_t
#define POTENTIAL int32_t
#define UNSIGNED uint32_t
#include "scan_body.h"
#define SCAN scan_32_32
#define CURRENT int32_t
#define POTENTIAL int32_t
#define UNSIGNED uint32_t
#include "scan_body.h"
#define SCAN scan_16_64
#define CURRENT int16_t
#define POTENTIAL int64_t
#define UNSIGNED uint64_t
#include "scan_body.h"
#define SCAN scan_32_64
#define CURRENT int32_t
#define POTENTIAL int64_t
#define UNSIGNED uint64_t
#include "scan_body.h"
#define SCAN scan_64_64
#define CURRENT int64_t
#define POTENTIAL int64_t
#define UNSIGNED uint64_t
#include "scan_body.h"

void nm_scan_portable(const nm_scan *scan, int64_t words, void *current, int64_t width, void *potential,
                      int32_t *silent, uint64_t *spikes) {
    if (scan->width == 32 && width == 16)
        scan_16_32(scan, words, (int16_t *)current, (int32_t *)potential, silent, spikes);
    else if (scan->width == 32)
        scan_32_32(scan, words, (int32_t *)current, (int32_t *)potential, silent, spikes);
    else if (width == 16)
        scan_16_64(scan, words, (int16_t *)current, (int64_t *)potential, silent, spikes);
    else if (width == 32)
        scan_32_64(scan, words, (int32_t *)current, (int64_t *)potential, silent, spikes);
    else
        scan_64_64(scan, words, (int64_t *)current, (int64_t *)potential, silent, spikes);
}

#define SCAN nm_scan_portable
#define HAS_CHUNKS 0
#define SCAN_CHUNK(scan, words, current, pitch, potential, spikes, stride, steps) (void)0
#define HAS_DENSE 0
#define DENSE_PRODUCTS(map, bits, current, width, plane, bytes) (void)0
#define DENSE_STEPS(map, bits, stride, current, pitch, steps, plane) (void)0
#define TALLY tally_portable
#include "run_body.h"

#include "events_body.h"

const nm_kernels nm_portable = {"portable C", run, take_events};

void nm_tally(const uint64_t *bits, int64_t steps, int64_t samples, int64_t words, uint32_t *tally) {
    for (int64_t sample = 0; sample < samples; sample++)
        tally_portable(bits + sample * words, steps, words, samples * words, tally + sample * 64 * words);
}

void nm_run(const nm_kernels *kernels, const nm_stage *const *stages, int64_t count, int64_t samples, int64_t steps) {
    kernels->run(stages, count, samples, steps);
}
