/* One step of the neurons, eight potentials in a register. Included by avx2.c. */

/* What a scan needs at every step. A copy, so that stores to potentials cannot change it for the compiler. */
typedef struct {
    vector mask, sign, zero;
    __m128i shift;
    const int32_t *bias, *above, *subtract, *low, *high;
} scan_constants;

NM_INLINE scan_constants constants_of(const nm_scan *how) {
    const scan_constants made = {_mm256_set1_epi32((int32_t)how->mask),
                                 _mm256_set1_epi32((int32_t)how->sign),
                                 _mm256_set1_epi32(how->zero ? -1 : 0),
                                 _mm_cvtsi32_si128((int)how->shift),
                                 (const int32_t *)how->bias,
                                 (const int32_t *)how->above,
                                 (const int32_t *)how->subtract,
                                 (const int32_t *)how->low,
                                 (const int32_t *)how->high};
    return made;
}

/* Eight neurons: potentials go on, and the lanes of those that fire become all ones. */
NM_INLINE vector step8(const scan_constants *with, vector received, int32_t *potential, int64_t at, const int wraps,
                       const int clips) {
    vector v = _mm256_add_epi32(load(potential), load(with->bias + at));
    v = _mm256_add_epi32(v, _mm256_sll_epi32(received, with->shift));
    if (wraps) v = _mm256_sub_epi32(_mm256_xor_si256(_mm256_and_si256(v, with->mask), with->sign), with->sign);
    if (clips) {
        v = _mm256_max_epi32(v, load(with->low + at));
        v = _mm256_min_epi32(v, load(with->high + at));
    }
    const vector fired = _mm256_cmpgt_epi32(v, load(with->above + at));
    v = _mm256_andnot_si256(_mm256_and_si256(fired, with->zero), v);
    v = _mm256_sub_epi32(v, _mm256_and_si256(fired, load(with->subtract + at)));
    store(potential, v);
    return fired;
}

/* The bits of 32 neurons from four registers of lanes that are all ones or all zeros. */
NM_INLINE uint64_t bits_of(vector a, vector b, vector c, vector d) {
    /* Packing works within 128-bit halves; the permutation puts the groups of four back in order. */
    const vector bytes = _mm256_packs_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    const vector order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return (uint32_t)_mm256_movemask_epi8(_mm256_permutevar8x32_epi32(bytes, order));
}

/* 32 neurons with 16-bit currents. */
NM_INLINE uint64_t step32_of16(const scan_constants *with, int16_t *current, int32_t *potential, int64_t at,
                               const int wraps, const int clips) {
    vector fired[4];
    NM_UNROLL
    for (int k = 0; k < 4; k++) {
        const vector received = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(current + 8 * k)));
        fired[k] = step8(with, received, potential + 8 * k, at + 8 * k, wraps, clips);
    }
    store(current, _mm256_setzero_si256());
    store(current + 16, _mm256_setzero_si256());
    return bits_of(fired[0], fired[1], fired[2], fired[3]);
}

/* 32 neurons with 32-bit currents. */
NM_INLINE uint64_t step32_of32(const scan_constants *with, int32_t *current, int32_t *potential, int64_t at,
                               const int wraps, const int clips) {
    vector fired[4];
    NM_UNROLL
    for (int k = 0; k < 4; k++) {
        const vector received = load(current + 8 * k);
        store(current + 8 * k, _mm256_setzero_si256());
        fired[k] = step8(with, received, potential + 8 * k, at + 8 * k, wraps, clips);
    }
    return bits_of(fired[0], fired[1], fired[2], fired[3]);
}

/* All neurons, with or without wrapping and clipping compiled in. */
#define SCAN_LOOP(STEP32, WRAPS, CLIPS)                                                                 \
    for (int64_t w = 0, at = 0; w < words; w++, at = at + 64 == how->period ? 0 : at + 64) {            \
        const int64_t n = 64 * w;                                                                       \
        const uint64_t low = STEP32(&with, current + n, potential + n, at, WRAPS, CLIPS);          \
        const uint64_t high = STEP32(&with, current + n + 32, potential + n + 32, at + 32, WRAPS, CLIPS); \
        spikes[w] = low | high << 32;                                                                   \
    }

#define DEFINE_SCAN(NAME, CURRENT, STEP32)                                                              \
    static void NAME(const nm_scan *how, int64_t words, CURRENT *current, int32_t *potential, uint64_t *spikes) { \
        const scan_constants with = constants_of(how);                                                  \
        if (how->wraps) {                                                                               \
            SCAN_LOOP(STEP32, 1, 1)                                                                     \
        } else if (how->clips) {                                                                        \
            SCAN_LOOP(STEP32, 0, 1)                                                                     \
        } else {                                                                                        \
            SCAN_LOOP(STEP32, 0, 0)                                                                     \
        }                                                                                               \
    }

DEFINE_SCAN(scan16, int16_t, step32_of16)
DEFINE_SCAN(scan32, int32_t, step32_of32)
