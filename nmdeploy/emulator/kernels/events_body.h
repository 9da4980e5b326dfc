/* The event engine. Included once for each instruction set, which may define before:
 *
 *   TAKE16_SATURATING(population, at, weights, n, fired)   take16 for the case that matters most:
 *                                                          16 bits, saturating, the same numbers for all neurons
 */
#include <stdlib.h>
#include <string.h>

#include "events.h"

#define NM_JOIN_(a, b) a##b
#define NM_JOIN(a, b) NM_JOIN_(a, b)

#define TAKE take16
#define NUMBER int16_t
#define WIDE int32_t
#define UNSIGNED_WIDE uint32_t
#include "events_take.h"
#define TAKE take64
#define NUMBER int64_t
#define WIDE int64_t
#define UNSIGNED_WIDE uint64_t
#include "events_take.h"

NM_INLINE int64_t take_run(const nm_event_population *p, int64_t at, const nm_event_map *map, int64_t weight, int64_t n,
                           int32_t *fired) {
#ifdef TAKE16_SATURATING
    if (p->width == 16 && p->uniform && p->format == NM_SATURATE)
        return TAKE16_SATURATING(p, at, (const int16_t *)map->weights + weight, n, fired);
#endif
    if (p->width == 16) return take16(p, at, (const int16_t *)map->weights + weight, n, fired);
    return take64(p, at, (const int64_t *)map->weights + weight, n, fired);
}

/* All neurons that an event of neuron `sender` reaches by one projection take it; lists those that fire, by number. */
static int64_t take_event(const nm_event_population *p, const nm_event_map *map, int64_t sender) {
    const int32_t *place = map->places + 4 * sender;
    int64_t count = 0;
    if (place[0] < 0) return 0;
    if (map->unrolled) {
        for (int64_t i = map->first[place[0]]; i < map->first[place[0] + 1]; i++) {
            const int64_t found = take_run(p, map->targets[i], map, i, 1, p->fired + count);
            if (found < 0) return -1;
            count += found;
        }
        return count;
    }
    for (int64_t j = map->y_first[place[0]]; j < map->y_first[place[0] + 1]; j++) {
        const int64_t *row = map->y_runs + 2 * j;
        for (int64_t k = map->x_first[place[1]]; k < map->x_first[place[1] + 1]; k++) {
            const int64_t *run = map->x_runs + 3 * k;
            const int64_t at = row[0] + run[0] + place[3], weight = row[1] + run[1] + place[2];
            const int64_t found = take_run(p, at, map, weight, run[2], p->fired + count);
            if (found < 0) return -1;
            count += found;
        }
    }
    return count;
}

/* Sort numbers, few or many: Shell's sort with gaps of Ciura (2001), larger ones by 9/4. */
static void sort_numbers(int32_t *numbers, int64_t count) {
    static const int64_t gaps[] = {90927, 40412, 17961, 7983, 3548, 1577, 701, 301, 132, 57, 23, 10, 4, 1};
    for (int64_t g = 0; g < (int64_t)(sizeof gaps / sizeof gaps[0]); g++) {
        const int64_t gap = gaps[g];
        for (int64_t i = gap; i < count; i++) {
            const int32_t number = numbers[i];
            int64_t j = i;
            for (; j >= gap && numbers[j - gap] > number; j -= gap) numbers[j] = numbers[j - gap];
            numbers[j] = number;
        }
    }
}

/* The listed neurons in the order in which they fire. */
static void put_in_order(const nm_event_population *p, int64_t count) {
    if (count < 2) return;
    for (int64_t i = 0; i < count; i++) p->fired[i] = p->ranks[p->fired[i]];
    sort_numbers(p->fired, count);
    for (int64_t i = 0; i < count; i++) p->fired[i] = p->ranked[p->fired[i]];
}

/* Send the listed neurons' spikes. */
static int64_t send(nm_event_population *p, int64_t count, int32_t cause) {
    if (count <= 0) return count < 0 ? NM_OVERFLOW : NM_DONE;
    if (p->ranks) put_in_order(p, count);
    if (p->count + count > p->capacity) {
        const int64_t room = 2 * (p->count + count) + 64;
        nm_event *more = realloc(p->events, (size_t)room * sizeof *more);
        if (!more) return NM_NO_MEMORY;
        p->events = more;
        p->capacity = room;
    }
    for (int64_t i = 0; i < count; i++) p->events[p->count + i] = (nm_event){p->fired[i], cause};
    p->count += count;
    return NM_DONE;
}

/* One event of a source, over each of its projections from map `m` on. */
NM_INLINE int64_t take_over_all(nm_event_population *p, int64_t m, nm_event event) {
    const int64_t source = p->map[m].source;
    for (; m < p->maps && p->map[m].source == source; m++) {
        const int64_t failed = send(p, take_event(p, p->map + m, event.neuron), event.cause);
        if (failed) return failed;
    }
    return NM_DONE;
}

/* First map of the next source, or the number of maps. */
NM_INLINE int64_t next_source(const nm_event_population *p, int64_t m) {
    const int64_t source = p->map[m].source;
    while (m < p->maps && p->map[m].source == source) m++;
    return m;
}

/* All events of the sources, those that ticks caused or those before: by cause, then source by source. */
static int64_t take_arrivals(nm_event_population *p, const nm_event_population *all, int64_t after_tick) {
    for (int64_t m = 0; m < p->maps; m = next_source(p, m)) p->heads[m] = after_tick ? all[p->map[m].source].ticked : 0;
    for (;;) {
        int64_t earliest = INT64_MAX, chosen = -1;
        for (int64_t m = 0; m < p->maps; m = next_source(p, m)) {
            const nm_event_population *source = all + p->map[m].source;
            const int64_t end = after_tick ? source->count : source->ticked;
            if (p->heads[m] < end && source->events[p->heads[m]].cause < earliest) {
                earliest = source->events[p->heads[m]].cause;
                chosen = m;
            }
        }
        if (chosen < 0) return NM_DONE;
        const nm_event_population *source = all + p->map[chosen].source;
        const int64_t end = after_tick ? source->count : source->ticked;
        for (; p->heads[chosen] < end && source->events[p->heads[chosen]].cause == earliest; p->heads[chosen]++) {
            const int64_t failed = take_over_all(p, chosen, source->events[p->heads[chosen]]);
            if (failed) return failed;
        }
    }
}

NM_INLINE int64_t number_at(const void *numbers, int64_t width, int64_t i) {
    return width == 16 ? ((const int16_t *)numbers)[i] : ((const int64_t *)numbers)[i];
}

/* One tick of the slow clock. */
static int64_t tick(nm_event_population *p) {
    int64_t count = 0;
    for (int64_t n = 0; n < p->neurons; n++) {
        const int64_t i = p->uniform ? 0 : n;
        int64_t u = number_at(p->potential, p->width, n) + p->leak[n];
        const int64_t low = number_at(p->tick_low, p->width, i);
        if (p->format == NM_SATURATE)
            u = u > p->maximum ? p->maximum : u < p->minimum ? p->minimum : u;
        else if (p->format == NM_WRAP)
            u = (int64_t)((((uint64_t)u & (uint64_t)p->mask) ^ (uint64_t)p->sign) - (uint64_t)p->sign);
        else if (u > p->maximum || u < p->minimum)
            return NM_OVERFLOW;
        u = u < low ? low : u;
        if (p->fires_on_tick && u > number_at(p->above, p->width, i)) {
            u = p->zero ? 0 : u - number_at(p->subtract, p->width, i);
            p->fired[count++] = (int32_t)n;
        }
        if (p->width == 16)
            ((int16_t *)p->potential)[n] = (int16_t)u;
        else
            ((int64_t *)p->potential)[n] = u;
    }
    return send(p, count, -1);
}

/* Count and record what the population sent in this step. */
static int64_t end_step(nm_event_population *p, int64_t step) {
    int64_t failed = NM_DONE;
    for (int64_t e = 0; e < p->count; e++) {
        const int32_t neuron = p->events[e].neuron;
        p->totals[neuron]++;
        if (++p->counts[neuron] > p->largest) failed = NM_OVERFLOW;
    }
    if (p->spikes) memcpy(p->spikes + step * p->neurons, p->counts, (size_t)p->neurons * sizeof *p->counts);
    for (int64_t e = 0; e < p->count; e++) p->counts[p->events[e].neuron] = 0;
    if (p->recorded) {
        const size_t bytes = (size_t)p->neurons * (size_t)(p->width / 8);
        memcpy((char *)p->recorded + (size_t)step * bytes, p->potential, bytes);
    }
    return failed;
}

static int64_t take_step(nm_event_population *p, const nm_event_population *all, int64_t step) {
    p->count = 0;
    int64_t failed = take_arrivals(p, all, 0);
    p->ticked = p->count;
    if (!failed && p->leak) failed = tick(p);
    if (!failed) failed = take_arrivals(p, all, 1);
    const int64_t too_many = end_step(p, step);
    return failed ? failed : too_many;
}

/* Steps `begin` to `stop` of the populations from `first` to `end`, each of which has sources before it only. */
static int64_t take_events(nm_event_population *populations, int64_t first, int64_t end, int64_t begin, int64_t stop) {
    for (int64_t step = begin; step < stop; step++) {
        for (int64_t n = first; n < end; n++) {
            nm_event_population *p = populations + n;
            if (p->given) {
                p->events = (nm_event *)p->given + p->given_first[step];
                p->count = p->ticked = p->given_first[step + 1] - p->given_first[step];
                continue;
            }
            const int64_t failed = take_step(p, populations, step);
            if (failed) return failed;
        }
    }
    return NM_DONE;
}
