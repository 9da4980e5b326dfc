/* A run of neighbouring neurons takes one event. Included once for each type of potential,
 * which defines before: TAKE, NUMBER, WIDE and UNSIGNED_WIDE (holding sums of two), LOWEST of WIDE.
 *
 * The first pass has no branches, so that compilers turn it into vectors; most events fire nobody.
 */

/* Returns how many fired, having listed them; -1 where a potential leaves a format that raises. */
NM_INLINE int64_t NM_JOIN(TAKE, _as)(const nm_event_population *p, NUMBER *restrict v, const NUMBER *restrict w,
                                     int64_t at, int64_t n, int32_t *restrict fired, const int format,
                                     const int uniform) {
    const NUMBER *restrict above = (const NUMBER *)p->above + (uniform ? 0 : at);
    const NUMBER *restrict low = (const NUMBER *)p->low + (uniform ? 0 : at);
    const NUMBER *restrict subtract = (const NUMBER *)p->subtract + (uniform ? 0 : at);
    const WIDE minimum = (WIDE)p->minimum, maximum = (WIDE)p->maximum, least = (WIDE)p->least;
    const UNSIGNED_WIDE mask = (UNSIGNED_WIDE)p->mask, sign = (UNSIGNED_WIDE)p->sign;
    WIDE outside = 0, firing = 0;
    for (int64_t i = 0; i < n; i++) {
        WIDE u = (WIDE)v[i] + (WIDE)w[i];
        if (format == NM_SATURATE) {
            u = u > maximum ? maximum : u;
            u = u < minimum ? minimum : u;
        } else if (format == NM_WRAP) {
            u = (WIDE)((((UNSIGNED_WIDE)u & mask) ^ sign) - sign);
        } else {
            outside |= (u > maximum) | (u < minimum);
        }
        const WIDE floor = (WIDE)low[uniform ? 0 : i];
        u = u < floor ? floor : u;
        firing |= (u > (WIDE)above[uniform ? 0 : i]) & ((WIDE)w[i] > least);
        v[i] = (NUMBER)u;
    }
    if (outside) return -1;
    if (!firing) return 0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        if (v[i] > above[uniform ? 0 : i] && (WIDE)w[i] > least) {
            v[i] = p->zero ? 0 : (NUMBER)(v[i] - subtract[uniform ? 0 : i]);
            fired[count++] = (int32_t)(at + i);
        }
    }
    return count;
}

static int64_t TAKE(const nm_event_population *p, int64_t at, const NUMBER *w, int64_t n, int32_t *fired) {
    NUMBER *v = (NUMBER *)p->potential + at;
    if (p->uniform) {
        if (p->format == NM_SATURATE) return NM_JOIN(TAKE, _as)(p, v, w, at, n, fired, NM_SATURATE, 1);
        if (p->format == NM_WRAP) return NM_JOIN(TAKE, _as)(p, v, w, at, n, fired, NM_WRAP, 1);
        return NM_JOIN(TAKE, _as)(p, v, w, at, n, fired, NM_RAISE, 1);
    }
    if (p->format == NM_SATURATE) return NM_JOIN(TAKE, _as)(p, v, w, at, n, fired, NM_SATURATE, 0);
    if (p->format == NM_WRAP) return NM_JOIN(TAKE, _as)(p, v, w, at, n, fired, NM_WRAP, 0);
    return NM_JOIN(TAKE, _as)(p, v, w, at, n, fired, NM_RAISE, 0);
}

#undef TAKE
#undef NUMBER
#undef WIDE
#undef UNSIGNED_WIDE
