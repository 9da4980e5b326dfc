/* The kernels for x86-64 processors with AVX2; chosen when the module is loaded on one. */
#include "nm.h"

#if defined(__x86_64__) || defined(_M_X64)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,popcnt"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC target("avx2,bmi,popcnt")
#endif

#include <immintrin.h>
#include <string.h>

#include "bits.h"

#if defined(__clang__)
#define NM_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define NM_UNROLL _Pragma("GCC unroll 12")
#else
#define NM_UNROLL
#endif

typedef __m256i vector;

enum { LANES = 16, MOST = 12 }; /* 16-bit numbers in a register; accumulators that leave registers for the rest */

NM_INLINE vector load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }
NM_INLINE void store(void *to, vector values) { _mm256_storeu_si256((__m256i *)to, values); }

static const int16_t LANE_MASKS[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

/* All ones in the first `lanes` 16-bit lanes. */
NM_INLINE vector first_lanes(int64_t lanes) { return load(LANE_MASKS + LANES - lanes); }

/* `registers` registers of currents take the weights of all spikes; only `last` lanes of the last one change. */
NM_INLINE void add_registers16(int16_t *current, const int16_t *weights, const int32_t *events, int64_t count,
                               const int registers, int64_t last) {
    vector sum[MOST];
    NM_UNROLL
    for (int r = 0; r < registers; r++) sum[r] = load(current + LANES * r);
    const vector before = sum[registers - 1];
    for (int64_t e = 0; e < count; e++) {
        const int16_t *row = weights + events[e];
        NM_UNROLL
        for (int r = 0; r < registers; r++) sum[r] = _mm256_add_epi16(sum[r], load(row + LANES * r));
    }
    sum[registers - 1] = _mm256_blendv_epi8(before, sum[registers - 1], first_lanes(last));
    NM_UNROLL
    for (int r = 0; r < registers; r++) store(current + LANES * r, sum[r]);
}

/* Add 16-bit sums to 32-bit currents. */
NM_INLINE void widen_add(int32_t *current, vector sum) {
    const vector low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sum));
    const vector high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sum, 1));
    store(current, _mm256_add_epi32(load(current), low));
    store(current + 8, _mm256_add_epi32(load(current + 8), high));
}

/* The same to 32-bit currents: 16-bit sums of at most `chunk` spikes, which cannot overflow, at a time. */
NM_INLINE void add_registers32(int32_t *current, const int16_t *weights, const int32_t *events, int64_t count,
                               int64_t chunk, const int registers, int64_t last) {
    for (int64_t from = 0; from < count; from += chunk) {
        const int64_t until = from + chunk < count ? from + chunk : count;
        vector sum[MOST];
        NM_UNROLL
        for (int r = 0; r < registers; r++) sum[r] = _mm256_setzero_si256();
        for (int64_t e = from; e < until; e++) {
            const int16_t *row = weights + events[e];
            NM_UNROLL
            for (int r = 0; r < registers; r++) sum[r] = _mm256_add_epi16(sum[r], load(row + LANES * r));
        }
        sum[registers - 1] = _mm256_and_si256(sum[registers - 1], first_lanes(last));
        NM_UNROLL
        for (int r = 0; r < registers; r++) widen_add(current + LANES * r, sum[r]);
    }
}

/* A switch over the number of registers, so that each is compiled with its own in registers. */
#define BY_REGISTERS(CALL)   \
    switch (registers) {     \
        case 1: CALL(1);     \
        case 2: CALL(2);     \
        case 3: CALL(3);     \
        case 4: CALL(4);     \
        case 5: CALL(5);     \
        case 6: CALL(6);     \
        case 7: CALL(7);     \
        case 8: CALL(8);     \
        case 9: CALL(9);     \
        case 10: CALL(10);   \
        case 11: CALL(11);   \
        default: CALL(12);   \
    }

/* Registers at a time: as many of the rest as there are, in equal parts. */
NM_INLINE int64_t registers_of(int64_t length) {
    const int64_t all = (length + LANES - 1) / LANES, parts = (all + MOST - 1) / MOST;
    return (all + parts - 1) / parts;
}

static void add16(int16_t *current, int64_t length, const int16_t *weights, const int32_t *events, int64_t count) {
    while (length > 0) {
        const int64_t registers = registers_of(length), room = LANES * registers;
        const int64_t last = length < room ? length - LANES * (registers - 1) : LANES;
#define CALL(R)                                                    \
    add_registers16(current, weights, events, count, R, last);     \
    break
        BY_REGISTERS(CALL)
#undef CALL
        current += room, weights += room, length -= room;
    }
}

static void add32(int32_t *current, int64_t length, const int16_t *weights, const int32_t *events, int64_t count,
                  int64_t chunk) {
    while (length > 0) {
        const int64_t registers = registers_of(length), room = LANES * registers;
        const int64_t last = length < room ? length - LANES * (registers - 1) : LANES;
#define CALL(R)                                                           \
    add_registers32(current, weights, events, count, chunk, R, last);     \
    break
        BY_REGISTERS(CALL)
#undef CALL
        current += room, weights += room, length -= room;
    }
}

#define ADD16(current, length, weights, events, count) add16(current, length, weights, events, count)
#define ADD32(current, length, weights, events, count, chunk) add32(current, length, weights, events, count, chunk)
#include "scatter_body.h"

#include "dense_avx2.h"
#include "scan_avx2.h"
#include "tally_body.h"
#include "tally_avx2.h"

static void scan_avx2(const nm_scan *how, int64_t words, void *current, int64_t width, void *potential, int32_t *silent,
                 uint64_t *spikes) {
    if (how->width != 32 || silent)
        nm_scan_portable(how, words, current, width, potential, silent, spikes);
    else if (width == 16)
        scan16(how, words, (int16_t *)current, (int32_t *)potential, spikes);
    else
        scan32(how, words, (int32_t *)current, (int32_t *)potential, spikes);
}

#define SCAN scan_avx2
#define HAS_DENSE 1
#define DENSE_PRODUCTS dense
#define TALLY tally_avx2
#include "run_body.h"

#include "events_avx2.h"
#include "events_body.h"

const nm_kernels nm_avx2 = {"AVX2", run, take_events};

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else
const nm_kernels nm_avx2 = {0};
#endif
