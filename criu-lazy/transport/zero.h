/* SPDX-License-Identifier: GPL-2.0 */
/* Pages of zeros are told, not sent. */
#ifndef TRANSPORT_ZERO_H
#define TRANSPORT_ZERO_H

#include <stdbool.h>
#include <stdint.h>

/* How many of the `count` (> 0) pages at data are like the first: all zeros, or none of them. */
uint64_t zero_run(const uint8_t *data, uint64_t count, bool *is_zero);

#endif
