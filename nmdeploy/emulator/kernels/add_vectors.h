/* Event scatter with the currents of a run in registers. Included by avx2.c and neon.c before scatter_body.h, which
 * define before:
 *
 *   vector16, LANES, MOST                       a register of so many 16-bit numbers; how many take currents at once
 *   load16, store16, zero16, sum16, both16      what they say; both16 is a bitwise and
 *   choose16(mask, yes, no)                     lanes of `yes` where the mask is all ones, else of `no`
 *   widen_add(current, sum)                     adds 16-bit sums to 32-bit currents
 */

#if defined(__clang__)
#define NM_UNROLL _Pragma("unroll")
#elif defined(__GNUC__)
#define NM_UNROLL _Pragma("GCC unroll 12")
#else
#define NM_UNROLL
#endif

/* Keeps a compiler from computing every register's address by itself, which takes as long as the addition. */
#if defined(__GNUC__) || defined(__clang__)
#define NM_ONE_BASE(pointer) __asm__("" : "+r"(pointer))
#else
#define NM_ONE_BASE(pointer) (void)0
#endif

static const int16_t LANE_MASKS[2 * 16] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

/* All ones in the first `lanes` 16-bit lanes. */
NM_INLINE vector16 first_lanes(int64_t lanes) { return load16(LANE_MASKS + 16 - lanes); }

/* Adds a row of weights to `registers` registers. */
NM_INLINE void add_row(vector16 sum[MOST], const int16_t *row, const int registers) {
    NM_ONE_BASE(row);
    NM_UNROLL
    for (int r = 0; r < registers; r++) sum[r] = sum16(sum[r], load16(row + LANES * r));
}

/* `registers` registers of currents take the weights of at least one spike, row by row of the kernel. Unless they are
 * `whole`, only `last` lanes of the last one change. */
NM_INLINE void add_registers16(int16_t *current, const int16_t *weights, nm_rows rows, const int32_t *events,
                               int64_t count, const int registers, const int whole, vector16 last) {
    const int64_t *run = rows.runs, *end = run + 2 * rows.count;
    const int64_t first = events[0];
    for (; run < end; run += 2) {
        int16_t *into = current + run[0];
        const int16_t *from = weights + run[1];
        NM_ONE_BASE(into);
        vector16 sum[MOST];
        NM_UNROLL
        for (int r = 0; r < registers; r++) sum[r] = load16(into + LANES * r);
        const vector16 before = sum[registers - 1];
        add_row(sum, from + first, registers);
        for (int64_t e = 1; e < count; e++) add_row(sum, from + events[e], registers);
        if (!whole) sum[registers - 1] = choose16(last, sum[registers - 1], before);
        NM_UNROLL
        for (int r = 0; r < registers; r++) store16(into + LANES * r, sum[r]);
    }
}

/* The same to 32-bit currents: 16-bit sums of at most `chunk` spikes, which cannot overflow, at a time. */
NM_INLINE void add_registers32(int32_t *current, const int16_t *weights, const int32_t *events, int64_t count,
                               int64_t chunk, const int registers, vector16 last) {
    for (int64_t from = 0; from < count; from += chunk) {
        const int64_t until = from + chunk < count ? from + chunk : count;
        vector16 sum[MOST];
        NM_UNROLL
        for (int r = 0; r < registers; r++) sum[r] = zero16();
        for (int64_t e = from; e < until; e++) add_row(sum, weights + events[e], registers);
        sum[registers - 1] = both16(sum[registers - 1], last);
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
    const int64_t all = (length + LANES - 1) / LANES;
    if (all <= MOST) return all;
    const int64_t parts = (all + MOST - 1) / MOST;
    return (all + parts - 1) / parts;
}

/* CALL(R), R registers wide, until all of the run's length is done. */
#define ADD_ROWS                                                                              \
    while (length > 0) {                                                                      \
        const int64_t registers = registers_of(length), room = LANES * registers;             \
        const vector16 last = first_lanes(length < room ? length - LANES * (registers - 1) : LANES); \
        BY_REGISTERS(CALL)                                                                    \
        current += room, weights += room, length -= room;                                     \
    }

static void add16(int16_t *current, int64_t length, const int16_t *weights, nm_rows rows, const int32_t *events,
                  int64_t count) {
#define CALL(R)                                                                        \
    if (length == LANES * R)                                                           \
        add_registers16(current, weights, rows, events, count, R, 1, last);            \
    else                                                                               \
        add_registers16(current, weights, rows, events, count, R, 0, last);            \
    break
    ADD_ROWS
#undef CALL
}

static void add32(int32_t *current, int64_t length, const int16_t *weights, nm_rows rows, const int32_t *events,
                  int64_t count, int64_t chunk) {
#define CALL(R)                                                                                                  \
    for (int64_t r = 0; r < rows.count; r++)                                                                     \
        add_registers32(current + rows.runs[2 * r], weights + rows.runs[2 * r + 1], events, count, chunk, R, last); \
    break
    ADD_ROWS
#undef CALL
}

#define ADD16 add16
#define ADD32 add32
