/* The event engine's entry, and the memory of its queues. */
#include <stdlib.h>

#include "nm.h"

int64_t nm_events(const nm_kernels *kernels, nm_event_population *populations, int64_t first, int64_t end,
                  int64_t begin, int64_t stop) {
    return kernels->events(populations, first, end, begin, stop);
}

void nm_forget_events(nm_event_population *populations, int64_t count) {
    for (int64_t n = 0; n < count; n++) {
        nm_event_population *p = populations + n;
        if (p->given) continue;
        free(p->events);
        p->events = NULL;
        p->count = p->capacity = 0;
    }
}
