// SPDX-License-Identifier: GPL-2.0
#include "transport/zero.h"

#include <string.h>

#include "transport/wire.h"

static bool is_zero_page(const uint8_t *page)
{
	uint64_t first;

	memcpy(&first, page, sizeof(first));
	return !first && !memcmp(page, page + 8, WIRE_PAGE - 8);
}

uint64_t zero_run(const uint8_t *data, uint64_t count, bool *is_zero)
{
	uint64_t run = 1;

	*is_zero = is_zero_page(data);
	while (run < count && is_zero_page(data + run * WIRE_PAGE) == *is_zero)
		run++;
	return run;
}
