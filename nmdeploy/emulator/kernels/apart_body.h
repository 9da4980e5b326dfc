/* Chips that sum excitation and inhibition apart: each saturates by itself before they meet. Included by run_body.h. */

/* excitation := min(excitation, ceiling) - min(inhibition, ceiling); clears the inhibition. */
#define DEFINE_TAKE(NAME, CURRENT, LARGEST)                                                                     \
    static void NAME(CURRENT *restrict excitation, CURRENT *restrict inhibition, int64_t count, int64_t ceiling) { \
        const CURRENT most = (CURRENT)(ceiling < LARGEST ? ceiling : LARGEST);                                  \
        for (int64_t i = 0; i < count; i++) {                                                                   \
            const CURRENT up = excitation[i] < most ? excitation[i] : most;                                     \
            const CURRENT down = inhibition[i] < most ? inhibition[i] : most;                                   \
            excitation[i] = (CURRENT)(up - down);                                                               \
            inhibition[i] = 0;                                                                                  \
        }                                                                                                       \
    }
DEFINE_TAKE(take_inhibition16, int16_t, INT16_MAX)
DEFINE_TAKE(take_inhibition32, int32_t, INT32_MAX)
DEFINE_TAKE(take_inhibition64, int64_t, INT64_MAX)

static void take_inhibition(void *excitation, void *inhibition, int64_t count, int64_t width, int64_t ceiling) {
    if (width == 16)
        take_inhibition16((int16_t *)excitation, (int16_t *)inhibition, count, ceiling);
    else if (width == 32)
        take_inhibition32((int32_t *)excitation, (int32_t *)inhibition, count, ceiling);
    else
        take_inhibition64((int64_t *)excitation, (int64_t *)inhibition, count, ceiling);
}
