/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Looking things up in sorted arrays.
 *
 *	at = bisect(list->count, i, list->items[i].start >= addr);
 *
 * is the first index i of [0, count) for which the condition holds, or count if it holds for none.
 * The condition must not hold again for an index before one for which it holds. O(log count).
 */
#ifndef UTIL_BISECT_H
#define UTIL_BISECT_H

#include <stddef.h>

#define bisect(count, i, is_reached)                          \
	({                                                    \
		size_t low_ = 0, high_ = (count);             \
                                                              \
		while (low_ < high_) {                        \
			size_t i = low_ + (high_ - low_) / 2; \
                                                              \
			if (is_reached)                       \
				high_ = i;                    \
			else                                  \
				low_ = i + 1;                 \
		}                                             \
		low_;                                         \
	})

#endif
