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

typedef __m256i vector, vector16, vector32;

enum { LANES = 16, MOST = 12 }; /* 16-bit numbers in a register; accumulators that leave registers for the rest */

NM_INLINE vector load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }
NM_INLINE void store(void *to, vector values) { _mm256_storeu_si256((__m256i *)to, values); }
NM_INLINE vector16 load16(const int16_t *from) { return load(from); }
NM_INLINE void store16(int16_t *to, vector16 values) { store(to, values); }
NM_INLINE vector16 zero16(void) { return _mm256_setzero_si256(); }
NM_INLINE vector16 sum16(vector16 a, vector16 b) { return _mm256_add_epi16(a, b); }
NM_INLINE vector16 both16(vector16 a, vector16 b) { return _mm256_and_si256(a, b); }
NM_INLINE vector16 or16(vector16 a, vector16 b) { return _mm256_or_si256(a, b); }
NM_INLINE int none16(vector16 a) { return _mm256_testz_si256(a, a); }
NM_INLINE vector16 choose16(vector16 mask, vector16 yes, vector16 no) { return _mm256_blendv_epi8(no, yes, mask); }

/* Add 16-bit sums to 32-bit currents. */
NM_INLINE void widen_add(int32_t *current, vector16 sum) {
    const vector low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(sum));
    const vector high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(sum, 1));
    store(current, _mm256_add_epi32(load(current), low));
    store(current + 8, _mm256_add_epi32(load(current + 8), high));
}

#include "add_vectors.h"
#include "scatter_body.h"

enum { BYTES = 32 }; /* of a register */

typedef vector vector8, quad_weights, quad_value, quad_sums, quad_totals;

NM_INLINE vector8 load8(const uint8_t *from) { return load(from); }
NM_INLINE void store8(uint8_t *to, vector8 values) { store(to, values); }
NM_INLINE vector8 all8(uint8_t number) { return _mm256_set1_epi8((char)number); }
NM_INLINE vector8 sum8(vector8 a, vector8 b) { return _mm256_add_epi8(a, b); }
NM_INLINE vector8 difference8(vector8 a, vector8 b) { return _mm256_sub_epi8(a, b); }
NM_INLINE vector8 both8(vector8 a, vector8 b) { return _mm256_and_si256(a, b); }
NM_INLINE vector8 either8(vector8 a, vector8 b) { return _mm256_xor_si256(a, b); }
NM_INLINE vector8 or8(vector8 a, vector8 b) { return _mm256_or_si256(a, b); }

/* 32 bits as bytes: all ones or all zeros. */
NM_INLINE vector lanes_of(uint32_t bits) {
    const vector pick = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3,
                                         3, 3, 3, 3, 3);
    const vector bit = _mm256_set1_epi64x((int64_t)0x8040201008040201u);
    const vector copies = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), pick);
    return _mm256_cmpeq_epi8(_mm256_and_si256(copies, bit), bit);
}

NM_INLINE quad_weights load_quad(const int8_t *from) { return load(from); }
NM_INLINE quad_value spread_quad(int32_t four) { return _mm256_set1_epi32(four); }
NM_INLINE quad_sums no_sums(void) { return _mm256_setzero_si256(); }
NM_INLINE quad_totals no_totals(void) { return _mm256_setzero_si256(); }
NM_INLINE quad_sums add_quad(quad_sums sums, quad_value value, quad_weights weights) {
    return _mm256_add_epi16(sums, _mm256_maddubs_epi16(value, weights));
}
NM_INLINE quad_totals flushed(quad_totals totals, quad_sums sums) {
    return _mm256_add_epi32(totals, _mm256_madd_epi16(sums, _mm256_set1_epi16(1)));
}
NM_INLINE void add_totals32(int32_t *current, quad_totals totals) {
    store(current, _mm256_add_epi32(load(current), totals));
}
NM_INLINE void add_totals16(int16_t *current, quad_totals totals) {
    const __m128i narrow = _mm_packs_epi32(_mm256_castsi256_si128(totals), _mm256_extracti128_si256(totals, 1));
    _mm_storeu_si128((__m128i *)current, _mm_add_epi16(_mm_loadu_si128((const __m128i *)current), narrow));
}

#include "dense_vectors.h"

enum { NUMBERS = 8 }; /* 32-bit numbers in a register */

typedef __m128i shift32;

NM_INLINE vector32 load32(const int32_t *from) { return load(from); }
NM_INLINE void store32(int32_t *to, vector32 values) { store(to, values); }
NM_INLINE vector32 all32(int32_t number) { return _mm256_set1_epi32(number); }
NM_INLINE shift32 shift_of(int64_t bits) { return _mm_cvtsi32_si128((int)bits); }
NM_INLINE vector32 shifted32(vector32 a, shift32 bits) { return _mm256_sll_epi32(a, bits); }
NM_INLINE vector32 sum32(vector32 a, vector32 b) { return _mm256_add_epi32(a, b); }
NM_INLINE vector32 difference32(vector32 a, vector32 b) { return _mm256_sub_epi32(a, b); }
NM_INLINE vector32 both32(vector32 a, vector32 b) { return _mm256_and_si256(a, b); }
NM_INLINE vector32 without32(vector32 a, vector32 b) { return _mm256_andnot_si256(b, a); }
NM_INLINE vector32 either32(vector32 a, vector32 b) { return _mm256_xor_si256(a, b); }
NM_INLINE vector32 or32(vector32 a, vector32 b) { return _mm256_or_si256(a, b); }
NM_INLINE int none32(vector32 a) { return _mm256_testz_si256(a, a); }
NM_INLINE vector32 larger32(vector32 a, vector32 b) { return _mm256_max_epi32(a, b); }
NM_INLINE vector32 smaller32(vector32 a, vector32 b) { return _mm256_min_epi32(a, b); }
NM_INLINE vector32 above32(vector32 a, vector32 b) { return _mm256_cmpgt_epi32(a, b); }
NM_INLINE vector32 widened(const int16_t *from) {
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)from));
}

/* The bits of 32 neurons from registers of lanes that are all ones or all zeros. */
NM_INLINE uint32_t bits_of(const vector32 fired[4]) {
    /* Packing works within 128-bit halves; the permutation puts the groups of four back in order. */
    const vector first = _mm256_packs_epi32(fired[0], fired[1]), second = _mm256_packs_epi32(fired[2], fired[3]);
    const vector bytes = _mm256_packs_epi16(first, second);
    const vector order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return (uint32_t)_mm256_movemask_epi8(_mm256_permutevar8x32_epi32(bytes, order));
}

#include "scan_vectors.h"
#include "tally_body.h"

NM_INLINE void add_eight(uint32_t *tally, const uint8_t *bytes) {
    const vector wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes));
    store(tally, _mm256_add_epi32(load(tally), wide));
}

#include "tally_vectors.h"

#define SCAN scan_vectors
#define HAS_CHUNKS 1
#define SCAN_CHUNK scan_chunk
#define HAS_DENSE 1
#define DENSE_PRODUCTS dense
#define DENSE_STEPS dense_steps
#define TALLY tally_vectors
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
