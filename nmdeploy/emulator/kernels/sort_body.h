/* Spikes sorted by the window that they lie in. Included by scatter_body.h.
 *
 * How many spikes a word holds, and which windows have any, is chance, and a processor that guesses wrong loses as much
 * time as a dozen additions take. So lists are written without asking, and only their ends move with what is there. */

enum { AT_ONCE = 4 }; /* spikes of a word that are listed without asking whether they exist */

/* Where the lists of some rows of windows lie. A place is the window's number, row by row of windows_x + 1;
 * the last one of a row is that of spikes which no window sees. */
typedef struct {
    int32_t *restrict events; /* [places][room]: where the weights of a window's spikes begin */
    int32_t *restrict counts; /* [places]: how many they are */
    int64_t *restrict spikes; /* place of the row's first window in the high half, bit among the row's in the low half */
    int64_t *restrict places; /* of windows with spikes: row in the high half, column in the low half */
    uint64_t *restrict words; /* with spikes */
    int64_t *restrict at;     /* as `spikes`, of each word's lowest bit */
} nm_lists;

/* Divides the scratch memory; nmdeploy/emulator/bands.py says how large it is. */
NM_INLINE nm_lists lists_of(const nm_map *map, int32_t *events, int64_t *listed) {
    const int64_t places = map->band * (map->windows_x + 1);
    const nm_lists lists = {events,
                            events + places * map->room,
                            listed,
                            listed + map->band_spikes,
                            (uint64_t *)listed + map->band_spikes + places,
                            listed + map->band_spikes + places + map->band_words};
    return lists;
}

/* Find the words with spikes in the rows of windows from `first` to `end`. */
NM_INLINE int64_t find_words(const nm_map *map, const uint64_t *bits, int64_t first, int64_t end, nm_lists into) {
    const int64_t length = map->width * map->channels;
    int64_t count = 0;
    for (int64_t y = first; y < end; y++) {
        const int64_t begin = map->rows[2 * y] * length, stop = map->rows[2 * y + 1] * length, shift = begin & 63;
        const int64_t row = ((y - first) * (map->windows_x + 1)) << 32;
        for (int64_t k = begin - shift; k < stop; k += 64) {
            uint64_t word = bits[k >> 6];
            if (k < begin) word &= ~UINT64_C(0) << shift;
            if (k + 64 > stop) word &= ~UINT64_C(0) >> (k + 64 - stop);
            into.words[count] = word;
            into.at[count] = row + k - begin;
            count += word != 0;
        }
    }
    return count;
}

/* List the spikes of `count` words. */
NM_INLINE int64_t list_spikes(int64_t count, nm_lists lists) {
    int64_t found = 0;
    for (int64_t w = 0; w < count; w++) {
        const int64_t at = lists.at[w], ones = nm_ones(lists.words[w]);
        int64_t *into = lists.spikes + found;
        uint64_t word = lists.words[w];
        for (int64_t i = 0; i < AT_ONCE; i++, word &= word - 1) into[i] = at + nm_lowest(word | UINT64_C(1) << 63);
        for (int64_t i = AT_ONCE; i < ones; i++, word &= word - 1) into[i] = at + nm_lowest(word);
        found += ones;
    }
    return found;
}

/* Give each of `count` spikes to its window. */
NM_INLINE void sort_spikes(const nm_map *map, int64_t count, nm_lists lists) {
    for (int64_t i = 0; i < count; i++) {
        const int32_t *place = map->row_places + 2 * (int64_t)(uint32_t)lists.spikes[i];
        const int64_t window = (lists.spikes[i] >> 32) + place[0];
        lists.events[window * map->room + lists.counts[window]] = place[1];
        lists.counts[window] += place[1] >= 0; /* what no window sees does not count */
    }
}

/* Find the windows with spikes among `rows` rows. */
NM_INLINE int64_t find_windows(const nm_map *map, int64_t rows, nm_lists lists) {
    int64_t count = 0;
    for (int64_t y = 0; y < rows; y++) {
        for (int64_t x = 0; x < map->windows_x; x++) {
            lists.places[count] = y << 32 | x;
            count += lists.counts[y * (map->windows_x + 1) + x] != 0;
        }
    }
    return count;
}

/* Sort the spikes of the rows of windows from `first` to `end`; returns how many windows have some. */
NM_INLINE int64_t sort_band(const nm_map *map, const uint64_t *bits, int64_t first, int64_t end, nm_lists lists) {
    memset(lists.counts, 0, (size_t)((end - first) * (map->windows_x + 1)) * sizeof *lists.counts);
    sort_spikes(map, list_spikes(find_words(map, bits, first, end, lists), lists), lists);
    return find_windows(map, end - first, lists);
}
