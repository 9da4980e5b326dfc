/* The data of the event engine. nmdeploy/emulator/compiled.py mirrors it field by field.
 *
 * Every field is eight bytes wide but those of an event. Neurons are counted channels
 * last. What happens is defined by nmdeploy/emulator/event_reference.py.
 */
#ifndef NM_EVENTS_H
#define NM_EVENTS_H

#include <stdint.h>

/* A spike on its way: who sent it, and the number of the input event that caused it. */
typedef struct {
    int32_t neuron, cause;
} nm_event;

/* One projection: the neurons that an event of its source reaches, with their weights.
 *
 * By windows: a place has runs of neighbouring targets, each pair of `y_runs` and `x_runs`
 * being one. Unrolled: a place has a row of targets. Weights are in the type of the potential. */
typedef struct {
    int64_t source;                   /* number of the population it comes from */
    int64_t unrolled;
    const int32_t *places;            /* [source neurons][4]: row of windows, or -1 for a lost event; column;
                                         first weight; first target. Unrolled: row, or -1; nothing */
    const int32_t *y_first, *x_first; /* where the runs of a row or column of windows begin */
    const int64_t *y_runs;            /* [..][2]: first target, first weight */
    const int64_t *x_runs;            /* [..][3]: first target, first weight, length */
    const int64_t *first;             /* unrolled: [rows + 1] */
    const int32_t *targets;           /* [..] */
    const void *weights;
} nm_event_map;

/* One population with its tables and the buffers of one sample; see nmdeploy.neurons.EventRule. */
typedef struct {
    int64_t neurons;
    int64_t width;                     /* bits of the potential: 16 or 64 */
    int64_t maps;
    const nm_event_map *map;           /* [maps]; those of one source behind each other */

    int64_t format;                    /* what overflow does: NM_WRAP, NM_SATURATE or NM_RAISE */
    int64_t minimum, maximum, mask, sign;
    int64_t uniform;                   /* the next tables hold one number for all neurons */
    const void *above, *subtract, *low; /* fires above; in the type of the potential */
    const void *tick_low;
    const int64_t *leak;               /* [neurons]; NULL without a slow clock */
    int64_t zero;                      /* resets to zero */
    int64_t least;                     /* events of this weight and below cannot fire a neuron */
    int64_t fires_on_tick;
    const int32_t *ranks, *ranked;     /* rank of each neuron in the order of firing, neuron of each rank; or NULL */

    void *potential;                   /* [neurons and some more] */
    int32_t *fired;                    /* scratch [neurons] */
    int64_t *heads;                    /* scratch [maps] */
    nm_event *events;                  /* what it sent in this step; memory of nm_events, see nm_forget_events */
    int64_t count, capacity;
    int64_t ticked;                    /* events before this one were not caused by a tick */
    const nm_event *given;             /* an input's events, else NULL */
    const int64_t *given_first;        /* [steps + 1] */
    int64_t largest;                   /* spikes that a neuron may send in one step */
    int32_t *counts;                   /* scratch [neurons], zero between steps */
    int64_t *totals;                   /* [neurons]: spikes so far */
    int32_t *spikes;                   /* NULL or [steps][neurons] */
    void *recorded;                    /* NULL or [steps][neurons]: potentials at the end of each step */
} nm_event_population;

enum { NM_RAISE = 3 };
enum { NM_DONE = 0, NM_OVERFLOW = 1, NM_NO_MEMORY = 2 };

typedef int64_t nm_take_events(nm_event_population *populations, int64_t first, int64_t end, int64_t begin,
                               int64_t stop);

#endif
