/* The data that the emulator's kernels work on. nmdeploy/emulator/compiled.py mirrors it field by field.
 *
 * Every field is eight bytes wide, so that the layout is the same for every compiler.
 *
 * Spikes of a binary population are bits, 64 to a word, neurons in the order height,
 * width, channel (channels last); bits beyond the last neuron are 0. Spikes with other
 * values are int32 in the same order. Both come as rows [steps][samples][...].
 *
 * Integer sums wrap, on purpose: a sum whose final value is proven to fit is right
 * however its partial sums wrap. Signed overflow is undefined in C, so additions are
 * done on unsigned types.
 */
#ifndef NM_H
#define NM_H

#include <stdint.h>

#include "events.h"

/* One projection: how a spike of its source reaches currents of its target. */
typedef struct {
    int64_t kind;   /* NM_WINDOWS or NM_UNROLLED */
    int64_t valued; /* the source holds int32 values, not bits */
    int64_t size;   /* neurons of the source */

    /* NM_WINDOWS: the source is cut into the windows of a sum-pool (1x1 without one). A
     * window's spikes act on a few runs of neighbouring currents: `y_runs` by its row,
     * `x_runs` by its column, every pair of them being one run. */
    int64_t channels, width;         /* of the source */
    int64_t windows_y, windows_x;    /* number of windows */
    const int32_t *rows, *columns;   /* [windows][2]: first and end row or column of the source */
    const int32_t *y_first, *x_first; /* [windows + 1]: where a window's runs begin in the next two */
    const int64_t *y_runs;           /* [..][2]: first current, first weight */
    const int64_t *x_runs;           /* [..][3]: first current, first weight, length */
    const int32_t *bit_weight;       /* [bits of a window's row]: first weight of the bit's channel */
    const int32_t *bit_current;      /* the same for currents; NULL without channel groups */
    const int32_t *row_places;       /* [bits of a row of windows][2]: column of the bit's window, as bit_weight;
                                        windows_x and -1 where no window sees it; NULL where spikes are not sorted */
    int64_t room;                    /* neurons of the largest window */
    int64_t band;                    /* rows of windows whose spikes are sorted at once; see sort_body.h */
    int64_t band_spikes, band_words; /* room for their spikes, and for words of them */
    int64_t pooled, single;          /* whether there is a pool; whether windows are single neurons */
    const void *weights;             /* int16 for 16- and 32-bit currents, else int64 */
    int64_t chunk;                   /* spikes whose 16-bit weights certainly add up within 16 bits */
    int64_t narrow;                  /* 16 bits hold all 32-bit currents while no output sees more spikes */
    int64_t reach_y, reach_x;        /* windows that one output sees */

    /* NM_UNROLLED: a sparse matrix by columns; weights are int16, int32 or int64 as the currents. */
    const int64_t *first;   /* [size + 1] */
    const int32_t *targets; /* [..] */

    /* The dense alternative of NM_WINDOWS, for many spikes; see dense_vectors.h. */
    int64_t dense_above;       /* used where a step has more spikes; -1: never */
    const int8_t *dense;       /* [pairs of blocks][kernel rows][quads][2 blocks][8 channels][4] */
    int64_t dense_blocks, dense_rows, dense_quads, flush;
    int64_t plane_height, plane_width;         /* of the padded, pooled image, in pixels */
    int64_t top, left;                         /* its padding */
    int64_t stride_y, stride_x, dilation_y;
    int64_t out_height, out_width, out_channels;
    int64_t timed; /* a dense layer: its dense alternative takes several steps at once */

    int64_t inhibits; /* adds to `inhibition`, not to `current` */

    /* accumulator format ( 2**exponent * sum ); only with 64-bit currents */
    int64_t scaled;           /* whether anything is to be done */
    int64_t exponent;
    int64_t format;           /* NM_EXACT, NM_WRAP or NM_SATURATE */
    int64_t low, high, mask, sign;
} nm_map;

enum { NM_WINDOWS = 0, NM_UNROLLED = 1 };
enum { NM_EXACT = 0, NM_WRAP = 1, NM_SATURATE = 2 };

/* The rows of a kernel that a window's spikes act on: `runs` [count][2], first current and first weight. */
typedef struct {
    const int64_t *runs;
    int64_t count;
} nm_rows;

/* A neuron's step; see nmdeploy.neurons.Scan. Tables hold `period` numbers (a multiple of
 * 64) in the type of the potential and repeat over the neurons. */
typedef struct {
    int64_t width; /* bits of the potential: 32 or 64 */
    int64_t period;
    const void *bias, *above, *subtract, *low, *high;
    int64_t plain;             /* whether all neurons have one threshold, which may be subtracted, and nothing else */
    int64_t shift;
    int64_t wraps, mask, sign; /* v := ((v & mask) ^ sign) - sign */
    int64_t clips;
    int64_t zero;              /* resets to zero */
    int64_t refractory;
    int64_t ceiling;           /* of each sign's sum, where signs are apart */
} nm_scan;

/* One population with everything that one batch needs. Rows of bits and of potentials
 * hold `words` words and 64 * `words` potentials a sample. */
typedef struct {
    int64_t neurons, words;
    int64_t width;           /* bits of the currents: 16, 32 or 64 */
    int64_t maps;
    const nm_map *map;       /* [maps] */
    const nm_scan *scan;     /* NULL: currents go to `exported` */

    void *const *sources;    /* [maps]: the spikes that arrive in the block's first step */
    const int64_t *strides;  /* [maps]: words (or values) a sample of them */
    uint64_t *spikes;        /* [steps][samples][words], written */
    void *potential;         /* [samples][64 * words] */
    int32_t *silent;         /* the same: steps still to be silent; NULL without a refractory time */
    void *recorded;          /* NULL, or [steps][samples][64 * words] potentials at the end of each step */
    uint32_t *tally;         /* [samples][64 * words]: spikes so far */
    int64_t *exported;       /* [steps][samples][neurons] */

    int64_t chunk, pitch;    /* steps that are scanned at once, and numbers between their currents */
    void *current;           /* scratch, zero between calls: [chunk][pitch], pitch 64 * words and some more */
    void *inhibition;        /* the same for magnitudes of inhibition; NULL unless signs are apart */
    int64_t *sums;           /* the same for scaled maps */
    int32_t *events;         /* scratch: weights and currents of the spikes of a window */
    int64_t *listed;         /* scratch: spikes and words that are being sorted */
    int32_t *census;         /* scratch: spikes of each window */
    uint8_t *plane, *bytes;  /* scratch of the dense kernel */
    int64_t *counters;       /* [maps][3]: steps that were silent, by events, dense */
} nm_stage;

/* The kernels of one instruction set. */
typedef struct {
    const char *name;
    void (*run)(const nm_stage *const *stages, int64_t count, int64_t samples, int64_t steps);
    nm_take_events *events;
} nm_kernels;

extern const nm_kernels nm_portable;
extern const nm_kernels nm_avx2, nm_neon; /* the name is NULL where they were not built */

/* The scan that knows every feature, in portable C. */
void nm_scan_portable(const nm_scan *scan, int64_t words, void *current, int64_t width, void *potential,
                      int32_t *silent, uint64_t *spikes);

/* A block of steps of the given populations, each of which needs only earlier ones and the past. */
void nm_run(const nm_kernels *kernels, const nm_stage *const *stages, int64_t count, int64_t samples, int64_t steps);

/* Steps `begin` to `stop` of the event engine for the populations from `first` to `end`; what became of it. */
int64_t nm_events(const nm_kernels *kernels, nm_event_population *populations, int64_t first, int64_t end,
                  int64_t begin, int64_t stop);

/* Free the queues of populations. */
void nm_forget_events(nm_event_population *populations, int64_t count);

/* Bits of spikes uint8 [steps][samples][channels][positions], 0 or 1, steps `step_stride` bytes apart,
 * in the order of positions, then channels: [steps][samples][words]. */
void nm_pack(const uint8_t *spikes, int64_t steps, int64_t samples, int64_t step_stride, int64_t channels,
             int64_t positions, uint64_t *bits, int64_t words);

/* The inverse: spikes [rows][channels][positions]. */
void nm_unpack(const uint64_t *bits, int64_t rows, int64_t words, int64_t channels, int64_t positions,
               uint8_t *spikes);

/* tally[sample][neuron] += spikes [steps][samples][words]; tally rows have 64 * words numbers. */
void nm_tally(const uint64_t *bits, int64_t steps, int64_t samples, int64_t words, uint32_t *tally);

#endif
