/* Steps of the neurons with their potentials in registers. Included by avx2.c and neon.c after add_vectors.h; they
 * define before:
 *
 *   vector32, NUMBERS                     a register of so many 32-bit numbers
 *   shift32, shift_of, shifted32          how far to shift to the left; doing it
 *   load32, store32, all32, sum32, difference32, larger32, smaller32
 *   both32, without32, either32           a & b, a & ~b, a ^ b
 *   or16, or32, none16, none32            a | b; whether no bit is set
 *   above32(a, b)                         all ones where a > b
 *   widened(from)                         NUMBERS 16-bit numbers as 32-bit ones
 *   bits_of(fired)                        32 bits from GROUP registers of lanes that are all ones or all zeros
 */

enum { GROUP = 32 / NUMBERS }; /* registers of 32 neurons, whose spikes are stored at once */

/* What a scan needs at every step. A copy, so that stores to potentials cannot change it for the compiler. */
typedef struct {
    vector32 mask, sign, zero;
    shift32 shift;
    vector32 above, subtract; /* of a plain scan */
    const int32_t *bias, *above_of, *subtract_of, *low, *high;
} scan_constants;

NM_INLINE scan_constants constants_of(const nm_scan *how) {
    const scan_constants made = {all32((int32_t)how->mask),
                                 all32((int32_t)how->sign),
                                 all32(how->zero ? -1 : 0),
                                 shift_of(how->shift),
                                 load32((const int32_t *)how->above),
                                 load32((const int32_t *)how->subtract),
                                 (const int32_t *)how->bias,
                                 (const int32_t *)how->above,
                                 (const int32_t *)how->subtract,
                                 (const int32_t *)how->low,
                                 (const int32_t *)how->high};
    return made;
}

/* Steps that follow each other: how many, and how far apart their currents (numbers) and spikes (bytes) lie. */
typedef struct {
    int64_t steps, pitch, stride;
} scan_steps;

/* A register of neurons: potentials go on, and the lanes of those that fire become all ones. */
NM_INLINE vector32 step_register(const scan_constants *with, vector32 received, vector32 *potential, int64_t at,
                                 const int wraps, const int clips) {
    vector32 v = sum32(*potential, load32(with->bias + at));
    v = sum32(v, shifted32(received, with->shift));
    if (wraps) v = difference32(either32(both32(v, with->mask), with->sign), with->sign);
    if (clips) {
        v = larger32(v, load32(with->low + at));
        v = smaller32(v, load32(with->high + at));
    }
    const vector32 fired = above32(v, load32(with->above_of + at));
    v = without32(v, both32(fired, with->zero));
    *potential = difference32(v, both32(fired, load32(with->subtract_of + at)));
    return fired;
}

/* The same for neurons that have one threshold, subtract one number, and nothing else. */
NM_INLINE vector32 step_register_plain(const scan_constants *with, vector32 received, vector32 *potential) {
    const vector32 v = sum32(*potential, received), fired = above32(v, with->above);
    *potential = difference32(v, both32(fired, with->subtract));
    return fired;
}

/* Whether 32 neurons stay as they are, without a spike, in all steps: no current comes, and a step without any changes
 * nothing. */
NM_INLINE int is_quiet(const scan_constants *with, const scan_steps *rows, const int16_t *current,
                       const int32_t *potential, int64_t at, const int wraps, const int clips, const int plain) {
    vector16 any = zero16();
    for (int64_t step = 0; step < rows->steps; step++, current += rows->pitch)
        NM_UNROLL
        for (int k = 0; k < 32; k += LANES) any = or16(any, load16(current + k));
    if (!none16(any)) return 0;
    vector32 changed = all32(0);
    NM_UNROLL
    for (int k = 0; k < GROUP; k++) {
        const vector32 before = load32(potential + NUMBERS * k);
        vector32 v = before;
        const vector32 fired = plain ? step_register_plain(with, all32(0), &v)
                                     : step_register(with, all32(0), &v, at + NUMBERS * k, wraps, clips);
        changed = or32(changed, plain ? fired : or32(fired, either32(v, before))); /* plain ones change when they fire */
    }
    return none32(changed);
}

/* 32 neurons with 16-bit currents, whose potentials stay in registers for `steps` steps. */
NM_INLINE void steps32_of16(const scan_constants *with, const scan_steps *rows, int16_t *current, int32_t *potential,
                            int64_t at, uint8_t *spikes, const int wraps, const int clips, const int plain) {
    if (is_quiet(with, rows, current, potential, at, wraps, clips, plain)) {
        const uint32_t none = 0;
        for (int64_t step = 0; step < rows->steps; step++) memcpy(spikes + step * rows->stride, &none, sizeof none);
        return;
    }
    vector32 v[GROUP];
    NM_UNROLL
    for (int k = 0; k < GROUP; k++) v[k] = load32(potential + NUMBERS * k);
    for (int64_t step = 0; step < rows->steps; step++, current += rows->pitch, spikes += rows->stride) {
        vector32 fired[GROUP];
        NM_UNROLL
        for (int k = 0; k < GROUP; k++) {
            const vector32 received = widened(current + NUMBERS * k);
            fired[k] = plain ? step_register_plain(with, received, &v[k])
                             : step_register(with, received, &v[k], at + NUMBERS * k, wraps, clips);
        }
        NM_UNROLL
        for (int k = 0; k < 32; k += LANES) store16(current + k, zero16());
        const uint32_t bits = bits_of(fired);
        memcpy(spikes, &bits, sizeof bits);
    }
    NM_UNROLL
    for (int k = 0; k < GROUP; k++) store32(potential + NUMBERS * k, v[k]);
}

/* 32 neurons with 32-bit currents, one step. */
NM_INLINE void step32_of32(const scan_constants *with, int32_t *current, int32_t *potential, int64_t at,
                           uint8_t *spikes, const int wraps, const int clips, const int plain) {
    vector32 fired[GROUP];
    NM_UNROLL
    for (int k = 0; k < GROUP; k++) {
        const vector32 received = load32(current + NUMBERS * k);
        store32(current + NUMBERS * k, all32(0));
        vector32 v = load32(potential + NUMBERS * k);
        fired[k] = plain ? step_register_plain(with, received, &v)
                         : step_register(with, received, &v, at + NUMBERS * k, wraps, clips);
        store32(potential + NUMBERS * k, v);
    }
    const uint32_t bits = bits_of(fired);
    memcpy(spikes, &bits, sizeof bits);
}

/* All neurons, 32 at a time, by STEPS(at, neuron, spikes, ...); with or without wrapping and clipping compiled in. */
#define SCAN_LOOP(STEPS, WRAPS, CLIPS, PLAIN)                                                        \
    for (int64_t n = 0, at = 0; n < 64 * words; n += 32, at = at + 32 == how->period ? 0 : at + 32) \
    STEPS(at, n, (uint8_t *)spikes + n / 8, WRAPS, CLIPS, PLAIN)
#define SCAN_BY_FEATURES(STEPS)        \
    if (how->wraps) {                  \
        SCAN_LOOP(STEPS, 1, 1, 0);     \
    } else if (how->clips) {           \
        SCAN_LOOP(STEPS, 0, 1, 0);     \
    } else if (how->plain) {           \
        SCAN_LOOP(STEPS, 0, 0, 1);     \
    } else {                           \
        SCAN_LOOP(STEPS, 0, 0, 0);     \
    }

static void scan16(const nm_scan *how, int64_t words, const scan_steps *rows, int16_t *current, int32_t *potential,
                   uint64_t *spikes) {
    const scan_constants with = constants_of(how);
#define STEPS16(at, n, into, ...) steps32_of16(&with, rows, current + n, potential + n, at, into, __VA_ARGS__)
    SCAN_BY_FEATURES(STEPS16)
#undef STEPS16
}

static void scan32(const nm_scan *how, int64_t words, int32_t *current, int32_t *potential, uint64_t *spikes) {
    const scan_constants with = constants_of(how);
#define STEP32(at, n, into, ...) step32_of32(&with, current + n, potential + n, at, into, __VA_ARGS__)
    SCAN_BY_FEATURES(STEP32)
#undef STEP32
}

static void scan_vectors(const nm_scan *how, int64_t words, void *current, int64_t width, void *potential,
                         int32_t *silent, uint64_t *spikes) {
    const scan_steps one = {1, 0, 0};
    if (how->width != 32 || silent)
        nm_scan_portable(how, words, current, width, potential, silent, spikes);
    else if (width == 16)
        scan16(how, words, &one, (int16_t *)current, (int32_t *)potential, spikes);
    else
        scan32(how, words, (int32_t *)current, (int32_t *)potential, spikes);
}

/* Some steps at once; only 16-bit currents, 32-bit potentials and neurons that are never refractory. */
static void scan_chunk(const nm_scan *how, int64_t words, int16_t *current, int64_t pitch, int32_t *potential,
                       uint64_t *spikes, int64_t stride, int64_t steps) {
    const scan_steps rows = {steps, pitch, 8 * stride};
    scan16(how, words, &rows, current, potential, spikes);
}
